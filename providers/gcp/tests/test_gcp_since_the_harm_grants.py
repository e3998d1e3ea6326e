"""Grants that were added since the harm began: what the agent added, no restore gives back."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass_gcp.discover.stays_away import HAND
from providers.gcp.tests.feeds_gcp import topic
from providers.gcp.tests.harm_gcp import ANN, BOB, CREATOR, MALLORY, MINT, Harm
from providers.gcp.tests.rig_gcp import LOCATION, Rig
from providers.gcp.tests.rig_run import Run

PROJECT = "gcp.projects.remove_grants"
WRITE, START = "gcp.pubsub.remove_publishers", "gcp.run.remove_job_invokers"


@pytest.fixture
def harm(rig: Rig) -> Harm:
    """Return an agent before the harm."""
    return Harm.of(rig)


def test_whom_the_agent_let_mint_as_itself_since_does_not_come_back(harm: Harm) -> None:
    """The plan says so; one of before comes back, and a person's new one is named."""
    harm.mints(ANN)
    harm.begins()
    harm.mints(MALLORY)
    harm.mints(BOB, by=harm.rig.admin)

    step, _ = harm.plan(MINT)

    assert harm.stopped_and_restored(step) == {
        f"{CREATOR} {ANN}": "restored",
        f"{CREATOR} {BOB}": "restored",
        f"{CREATOR} {MALLORY}": "ended",
    }
    assert [one.partition(" at ")[0] for one in step.affects if " at " in one] == [
        f"{CREATOR} {BOB}: added since the harm began, by admin@sandbox.example",
        f"{CREATOR} {MALLORY}: added since the harm began, by {harm.bot}",
    ]
    ends = [one.rpartition(": ")[2] for one in step.affects if " at " in one]
    assert ends == ["comes back with a restore", "stays away"]
    assert (ANN in step.affects, BOB in step.affects, MALLORY in step.affects) == (True, True, False)
    assert "1 added since the harm began: stays away, 1 added since by somebody else" in step.target.label


def test_whom_somebody_let_in_whom_the_agent_let_in_does_not_come_back(harm: Harm) -> None:
    """An account of a stranger's is its hand from then on."""
    hand = harm.rig.account("hand")
    harm.begins()
    harm.grant(
        "projects",
        f"projects/{harm.rig.project}",
        lambda it: it.bindings.add(role="roles/owner", members=[f"serviceAccount:{hand}"]),
    )
    harm.mints(MALLORY, by=harm.rig.calls_as(harm.rig.token(hand)))

    assert harm.stopped_and_restored(harm.plan(MINT)[0]) == {f"{CREATOR} {MALLORY}": "ended"}


def test_whom_an_account_let_in_of_which_the_agent_made_a_key_does_not_come_back(harm: Harm) -> None:
    """The plan names the account as the agent's hand, so that who signs sees it."""
    ci = harm.rig.account("ci", roles=["roles/owner"])
    harm.begins()
    harm.mints(BOB, by=harm.rig.calls_as(harm.rig.token(ci)))
    harm.agent.call("iam_admin", "create_service_account_key", {"name": f"projects/-/serviceAccounts/{ci}"})
    harm.mints(MALLORY, by=harm.rig.calls_as(harm.rig.token(ci)))

    step, found = harm.plan(MINT)

    hands = [one.reason.partition(", by ")[0] for one in found.not_touched if one.resource == HAND]
    assert hands[0] == f"{ci}: a key of it"
    done = harm.stopped_and_restored(step)
    assert done == {f"{CREATOR} {BOB}": "restored", f"{CREATOR} {MALLORY}": "ended"}


def test_what_a_responder_took_whom_the_agent_let_in_is_not_the_agents_to_give_again(harm: Harm) -> None:
    """The agent marks them by a grant of anything to them."""
    name, admin = topic(harm.rig, "results"), "user:admin@sandbox.example"
    harm.mints(BOB)
    harm.begins()
    harm.grant("topics", name, lambda it: it.bindings.add(role="roles/pubsub.admin", members=[admin]))
    account = f"projects/-/serviceAccounts/{harm.bot}"
    harm.grant("iam_admin", account, lambda it: it.ClearField("bindings"), harm.rig.admin)
    harm.mints(BOB)

    assert harm.stopped_and_restored(harm.plan(MINT)[0]) == {f"{CREATOR} {BOB}": "ended"}


def test_what_the_agent_took_and_gave_again_is_as_it_was_but_not_with_a_wider_condition(harm: Harm) -> None:
    """A grant without the condition that it had is another grant."""
    name = f"projects/-/serviceAccounts/{harm.bot}"

    def conditioned(policy: Any) -> None:  # noqa: ANN401 - Policy
        bound = policy.bindings.add(role=CREATOR, members=[BOB])
        bound.condition.title, bound.condition.expression = "never", "false"

    harm.mints(ANN)
    harm.grant("iam_admin", name, conditioned)
    harm.begins()
    harm.grant("iam_admin", name, lambda it: it.ClearField("bindings"))
    harm.mints(ANN, BOB)

    done = harm.stopped_and_restored(harm.plan(MINT)[0])

    assert done == {f"{CREATOR} {ANN}": "restored", f"{CREATOR} {BOB}": "ended"}


def test_a_role_of_the_project_that_the_agent_gave_itself_since_does_not_come_back(harm: Harm) -> None:
    """Of an identity that there is nothing to disable of."""
    engine = (
        "principal://agents.global.org-1.system.id.goog/resources/aiplatform/projects/7"
        "/locations/eu/reasoningEngines/9"
    )
    harm.rig.grant(engine, "roles/viewer")
    harm.begins(principals=[engine])
    harm.grant(
        "projects",
        f"projects/{harm.rig.project}",
        lambda it: it.bindings.add(role="roles/owner", members=[engine]),
    )

    step, _ = harm.plan(PROJECT)

    done = harm.stopped_and_restored(step)
    assert done == {f"roles/viewer {engine}": "restored", f"roles/owner {engine}": "ended"}
    assert any("roles/owner" in one and one.endswith("stays away") for one in step.affects)


@pytest.mark.parametrize("readable", [True, False], ids=["policy read", "policy not read"])
def test_a_topic_that_the_agent_let_itself_write_since_is_not_its_again(harm: Harm, readable: bool) -> None:  # noqa: FBT001 - a parameter
    """Also where the plan could not read the topic's policy, and so could not list what comes back."""
    name, member = topic(harm.rig, "results"), f"serviceAccount:{harm.bot}"
    before = "roles/pubsub.viewer"
    harm.grant("topics", name, lambda it: it.bindings.add(role=before, members=[member]), harm.rig.admin)
    harm.begins(topics=["results"])
    harm.grant("topics", name, lambda it: it.bindings.add(role="roles/pubsub.publisher", members=[member]))
    if not readable:
        fault = {"method": "*Publisher/GetIamPolicy", "code": "PERMISSION_DENIED", "times": 9}
        harm.rig.control("faults", {"faults": [fault, {**fault, "method": "*IAMPolicy/GetIamPolicy"}]})

    step, _ = harm.plan(WRITE)
    harm.rig.control("faults", {"faults": []})

    assert (step.target.params["granted"] is None) is not readable
    done = harm.stopped_and_restored(step)
    assert done == {f"{before} {member}": "restored", f"roles/pubsub.publisher {member}": "ended"}


def test_whom_the_agent_let_start_its_job_since_does_not_start_it_again(harm: Harm) -> None:
    """By the job's own policy."""
    run = Run(harm.rig, harm.bot)
    run.job()
    name, role = run.name("jobs"), "roles/run.invoker"
    harm.grant("run_jobs", name, lambda it: it.bindings.add(role=role, members=[ANN]), harm.rig.admin)
    harm.begins(run_jobs=[f"{LOCATION}/{name.rpartition('/')[2]}"])
    harm.grant("run_jobs", name, lambda it: it.bindings.add(role=role, members=[MALLORY]))

    step, _ = harm.plan(START)

    assert harm.stopped_and_restored(step) == {f"{role} {ANN}": "restored", f"{role} {MALLORY}": "ended"}
    assert (ANN in step.affects, MALLORY in step.affects) == (True, False)
