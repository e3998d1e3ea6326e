"""What the agent made for itself, as the audit log tells it: its own from then on, or a door."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from breakglass.canon import Json
from breakglass.model.action import Verdict
from breakglass_gcp.calls import Calls
from breakglass_gcp.discover.gather import Gathered, gather
from breakglass_gcp.discover.labels import LABEL
from breakglass_gcp.project import Project
from providers.gcp.tests.pools_gcp import make_pool
from providers.gcp.tests.rig_gcp import AGENT, LOCATION, Rig


@pytest.fixture
def bot(rig: Rig) -> str:
    """Return the agent's account, which may do everything in the project."""
    return rig.account("bot", roles=["roles/owner"])


@pytest.fixture
def agent(rig: Rig, bot: str) -> Calls:
    """Return the agent's own calls."""
    return rig.calls_as(rig.token(bot))


def gathered(rig: Rig, bot: str) -> Gathered:
    """Gather as the executor."""
    return gather(rig.provider(service_accounts=[bot]).project)


def doors(found: Gathered) -> dict[str, Verdict]:
    """Return the doors by name."""
    return {one.door.name: one.door.verdict for one in found.proposed.doors}


def make_account(rig: Rig, by: Calls, name: str) -> str:
    """Make a service account."""
    asked = {"name": f"projects/{rig.project}", "account_id": name}
    return str(by.call("iam_admin", "create_service_account", asked).email)


def test_an_account_that_it_made_is_its_own(rig: Rig, bot: str, agent: Calls) -> None:
    """With who made it and when; one that somebody else made is not."""
    friend = make_account(rig, agent, "friend-of-bot")
    rig.account("innocent")

    found = gathered(rig, bot).found

    assert list(found.identities) == [bot, friend]
    assert found.origin("service_accounts", friend).startswith(f"made by {bot} at 20")


def test_what_its_accounts_accounts_made_is_its_own_too(rig: Rig, bot: str, agent: Calls) -> None:
    """The log is read again for each generation."""
    child = make_account(rig, agent, "child-of-bot")
    rig.grant(f"serviceAccount:{child}", "roles/owner")
    grandchild = make_account(rig, rig.calls_as(rig.token(child)), "grandchild-of-bot")

    assert list(gathered(rig, bot).found.identities) == [bot, child, grandchild]


def test_work_and_triggers_that_it_made_are_its_own_wherever_they_lie(
    rig: Rig, bot: str, agent: Calls
) -> None:
    """In a region too that the reach does not name."""
    far = f"projects/{rig.project}/locations/asia-east1"
    template = {"containers": [{"image": "x"}], "service_account": bot}
    service = {"parent": far, "service_id": "hidden", "service": {"template": template}}
    assert agent.operate("run_services", "create_service", service)
    job = {
        "name": f"{far}/jobs/again",
        "schedule": "* * * * *",
        "http_target": {"uri": "https://example.com/"},
    }
    agent.call("scheduler", "create_job", {"parent": far, "job": job})
    agent.call("topics", "create_topic", {"name": f"projects/{rig.project}/topics/work"})
    topic = f"projects/{rig.project}/topics/work"
    agent.call(
        "subscriptions",
        "create_subscription",
        {"name": f"projects/{rig.project}/subscriptions/work", "topic": topic},
    )
    agent.call("tasks", "create_queue", {"parent": far, "queue": {"name": f"{far}/queues/later"}})

    found = gathered(rig, bot).found

    assert found.of("run_services") == ("asia-east1/hidden",)
    assert found.of("scheduler_jobs") == ("asia-east1/again",)
    assert found.of("task_queues") == ("asia-east1/later",)
    assert (found.of("subscriptions"), found.of("topics")) == (("work",), ("work",))
    assert "made by" in found.origin("task_queues", "asia-east1/later")


def test_a_key_of_somebody_elses_account_is_a_door(rig: Rig, bot: str, agent: Calls) -> None:
    """No step may touch a stranger's account; a key of its own account is no door."""
    stranger = rig.account("payments")
    for email in (stranger, bot):
        agent.call("iam_admin", "create_service_account_key", {"name": f"projects/-/serviceAccounts/{email}"})

    said = {name: verdict for name, verdict in doors(gathered(rig, bot)).items() if name.startswith("key ")}

    assert list(said.values()) == [Verdict.NOT_CONTAINED]
    assert stranger in next(iter(said))


def test_a_grant_to_a_stranger_is_a_door(rig: Rig, bot: str, agent: Calls) -> None:
    """Whoever it let in may let it in again; a grant to its own account dies with that account."""
    resource = f"projects/{rig.project}"
    policy = agent.call("projects", "get_iam_policy", {"resource": resource})
    policy.bindings.add(role="roles/editor", members=["user:mallory@evil.example", f"serviceAccount:{bot}"])
    agent.call("projects", "set_iam_policy", {"resource": resource, "policy": policy})

    said = doors(gathered(rig, bot))

    assert said == {
        f"roles/editor on {resource} for user:mallory@evil.example": Verdict.NOT_CONTAINED,
        f"tokens by roles/editor on {resource}": Verdict.UNKNOWN,
    }


def test_a_right_to_act_as_somebody_else_leaves_tokens_behind(rig: Rig, bot: str, agent: Calls) -> None:
    """Those it minted before the stop live on: the verdict is unknown until somebody looked."""
    stranger = rig.account("payments")
    resource = f"projects/{rig.project}/serviceAccounts/{stranger}"
    policy = agent.call("iam_admin", "get_iam_policy", {"resource": resource})
    policy.bindings.add(role="roles/iam.serviceAccountTokenCreator", members=[f"serviceAccount:{bot}"])
    agent.call("iam_admin", "set_iam_policy", {"resource": resource, "policy": policy})

    said = doors(gathered(rig, bot))

    assert said == {f"tokens of {stranger}": Verdict.UNKNOWN}


def test_what_was_refused_to_it_made_nothing(rig: Rig) -> None:
    """An attempt is in the log as well."""
    poor = rig.account("poor-bot")
    calls = rig.calls_as(rig.token(poor))
    with pytest.raises(Exception, match="refused"):
        make_account(rig, calls, "friend-of-poor")

    assert list(gathered(rig, poor).found.identities) == [poor]


def test_a_label_that_the_agent_put_on_itself_is_doubted(rig: Rig, bot: str, agent: Calls) -> None:
    """It may be an innocent's subscription: the plan says whose hand it was."""
    topic, name = f"projects/{rig.project}/topics/orders", f"projects/{rig.project}/subscriptions/orders"
    rig.admin.call("topics", "create_topic", {"name": topic})
    rig.admin.call("subscriptions", "create_subscription", {"name": name, "topic": topic})
    labelled = {"name": name, "topic": topic, "labels": {LABEL: AGENT}}
    changed = {"subscription": labelled, "update_mask": {"paths": ["labels"]}}
    agent.call("subscriptions", "update_subscription", changed)

    origin = gathered(rig, bot).found.origin("subscriptions", "orders")

    assert "changed by the agent itself" in origin


def test_code_that_it_put_into_somebody_elses_service_is_a_door(rig: Rig, bot: str, agent: Calls) -> None:
    """It runs there as somebody else; the service does not become the agent's, and a stop spares it."""
    parent = f"projects/{rig.project}/locations/{LOCATION}"
    template = {"containers": [{"image": "x"}], "service_account": rig.account("web")}
    asked = {"parent": parent, "service_id": "web", "service": {"template": template}}
    assert rig.admin.operate("run_services", "create_service", asked)
    changed = rig.admin.call("run_services", "get_service", {"name": f"{parent}/services/web"})
    changed.template.containers[0].image = "evil"
    assert agent.operate("run_services", "update_service", {"service": changed})

    found = gathered(rig, bot)

    assert found.found.of("run_services") == ()
    assert doors(found) == {f"code of {parent}/services/web": Verdict.NOT_CONTAINED}


def test_an_audit_log_that_cannot_be_read_is_said(rig: Rig, bot: str) -> None:
    """Incomplete, so that the verdict is unknown at best; the rest is planned."""
    rig.control("faults", {"faults": [{"method": "*ListLogEntries", "code": "PERMISSION_DENIED"}]})

    found = gathered(rig, bot)

    rig.control("faults", {"faults": []})
    assert list(found.found.identities) == [bot]
    assert any("made for itself" in one for one in found.proposed.incomplete)


def test_a_user_of_its_account_that_appeared_after_the_harm_began_is_no_veto(rig: Rig, bot: str) -> None:
    """It is a door; the account is not left alone for it."""
    time.sleep(0.01)
    provider = rig.provider(service_accounts=[bot])
    connection = provider.project.connection
    since = connection.clock.now()
    time.sleep(0.01)
    parent = f"projects/{rig.project}/locations/{LOCATION}"
    template = {"containers": [{"image": "x"}], "service_account": bot}
    asked = {"parent": parent, "service_id": "late", "service": {"template": template}}
    assert rig.admin.operate("run_services", "create_service", asked)

    found = gather(Project(provider.project.settings, replace(connection, since=since)))

    assert found.found.sharers == {}
    assert found.found.late_sharers == {bot: (f"Cloud Run service {LOCATION}/late",)}
    assert f"Cloud Run service {LOCATION}/late" in doors(found)


@pytest.mark.parametrize("named", ["principals", "workload_pools", "set"])
def test_what_a_federated_identity_made_is_the_agents_too(rig: Rig, named: str) -> None:
    """By its subject, by its whole pool, or by a set of the pool."""
    make_pool(rig.admin, rig.project, "agents")
    start = f"iam.googleapis.com/projects/{rig.number}/locations/global/workloadIdentityPools/agents"
    subject = f"principal://{start}/subject/bot"
    rig.grant(subject, "roles/owner")
    friend = make_account(rig, rig.calls_as(rig.token(subject)), "friend-of-pool")
    reach: dict[str, dict[str, Json]] = {
        "principals": {"principals": [subject]},
        "workload_pools": {"workload_pools": ["agents"]},
        "set": {"principals": [f"principalSet://{start}/*"]},
    }

    found = gather(rig.provider(**reach[named]).project).found

    assert found.of("service_accounts") == (friend,)
    assert list(found.identities) == [friend]
