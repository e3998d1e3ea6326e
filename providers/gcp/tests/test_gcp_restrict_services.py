"""A service is denied to the whole project, refused to the agent, and given back exactly as it was."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.canon import Json
from breakglass.model.action import Grade
from breakglass.provider import Outcome
from breakglass_gcp.actions import restrict_services
from breakglass_gcp.settings import complaints
from providers.gcp.tests.feeds_gcp import still, subscription, topic
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo
from providers.gcp.tests.services_gcp import (
    ACCEPTED,
    ACTION,
    MODELS,
    SECRETS,
    allowed,
    denied,
    left,
    policy,
    refused,
    set_policy,
    steps,
)

POLICY = restrict_services.POLICY


def test_the_agent_is_refused_in_googles_words_and_the_policy_goes_again(rig: Rig) -> None:
    """Whoever it acts as: nobody in the project gets through, and a policy that was not there is deleted."""
    token = rig.token(rig.account("bot", roles=["roles/aiplatform.user"]))
    before = still(rig)
    provider = rig.provider(**ACCEPTED)
    found = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    assert refused(rig, token) == ""

    prior, state = close(action, found.target)

    assert refused(rig, token).endswith(
        "Request is disallowed by organization's constraints/gcp.restrictServiceUsage constraint"
        f" for 'projects/{rig.number}' attempting to use service '{MODELS}'."
    )
    assert policy(rig)["spec"]["rules"] == [{"values": {"deniedValues": [MODELS]}}]
    assert policy(rig)["spec"]["inheritFromParent"] is True
    assert action.judge(found.target, state).grade is Grade.NONE
    assert action.probe(found.target) is None
    again = {POLICY: Outcome.RESTORED, MODELS: Outcome.RESTORED}
    assert undo(action, found.target, prior).objects == again
    assert (policy(rig), refused(rig, token)) == (None, "")
    assert still(rig) == before
    assert set(undo(action, found.target, prior).objects.values()) == {Outcome.ALREADY}


@pytest.mark.parametrize("inherits", [True, False])
def test_denied_values_that_were_there_stay_with_the_dry_run_and_come_back_exactly(
    rig: Rig, *, inherits: bool
) -> None:
    """One value more, in the rule that has such."""
    set_policy(rig, denied(SECRETS, inherits=inherits), dryRunSpec=allowed(SECRETS))
    before = still(rig)
    provider = rig.provider(**ACCEPTED)
    found = proposal(provider, ACTION)
    action = provider.actions[ACTION]

    prior, _ = close(action, found.target)

    assert policy(rig)["spec"]["rules"] == [{"values": {"deniedValues": [SECRETS, MODELS]}}]
    assert policy(rig)["spec"].get("inheritFromParent", False) is inherits
    assert policy(rig)["dryRunSpec"]["rules"] == allowed(SECRETS)["rules"]
    assert undo(action, found.target, prior).objects == {POLICY: Outcome.RESTORED, MODELS: Outcome.RESTORED}
    assert still(rig) == before


def test_what_was_denied_before_is_not_given_back(rig: Rig) -> None:
    """Nothing is written for it, and nothing is undone."""
    set_policy(rig, denied(f"is:{MODELS}"))
    before = still(rig)
    provider = rig.provider(**ACCEPTED)
    found = proposal(provider, ACTION)
    action = provider.actions[ACTION]

    prior, _ = close(action, found.target)

    assert still(rig) == before
    assert set(undo(action, found.target, prior).objects.values()) == {Outcome.ALREADY}
    assert still(rig) == before


def test_a_policy_above_with_an_allow_list_is_narrowed_and_comes_back(rig: Rig) -> None:
    """The project inherits it: denied values win where policies merge."""
    token = rig.token(rig.account("bot", roles=["roles/aiplatform.user"]))
    above = allowed(MODELS, SECRETS, "pubsub.googleapis.com")["rules"]
    rig.control("orgpolicy.set", {"constraint": "gcp.restrictServiceUsage", "rules": above})
    provider = rig.provider(**ACCEPTED)
    found = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    prior, _ = close(action, found.target)

    assert refused(rig, token) != ""
    topic(rig)  # another service of the list works on
    undo(action, found.target, prior)
    assert refused(rig, token) == ""


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (allowed(MODELS), "allow-list"),
        (allowed(SECRETS), "denies it already"),
        ({**allowed(SECRETS), "inheritFromParent": True}, "allow-list"),
        ({"rules": [{"allowAll": True}]}, "allows all"),
        ({"rules": [{"denyAll": True}]}, "denies it already"),
        ({"reset": True}, "resets the constraint"),
        (
            {
                "rules": [
                    {
                        "values": {"deniedValues": [SECRETS]},
                        "condition": {"expression": "resource.matchTag('1/env', 'prod')"},
                    }
                ]
            },
            "has a condition",
        ),
        (
            {"rules": [{"values": {"deniedValues": [SECRETS]}}, {"values": {"allowedValues": [MODELS]}}]},
            "allow-list",
        ),
        (denied(*(f"s{n}.googleapis.com" for n in range(500))), "500 values"),
    ],
    ids=("lists", "lacks", "lacks-inherits", "all", "none", "reset", "condition", "mixed", "full"),
)
def test_a_policy_of_another_form_is_left_and_the_plan_says_what_to_do(
    rig: Rig, spec: dict[str, Any], said: str
) -> None:
    """Nobody's policy is rewritten into another kind."""
    set_policy(rig, spec)
    provider = rig.provider(**ACCEPTED)

    assert steps(provider) == []
    assert said in left(provider)


def test_a_dry_run_alone_is_left(rig: Rig) -> None:
    """It has no spec: what holds is above it."""
    set_policy(rig, denied(SECRETS))
    rig.admin.rest(
        "orgpolicy",
        "PATCH",
        f"v2/projects/{rig.project}/policies/gcp.restrictServiceUsage",
        body={"name": "x", "dryRunSpec": denied(SECRETS)},
    )

    assert "dry run" in left(rig.provider(**ACCEPTED))


def test_a_policy_that_cannot_be_read_is_not_changed_unseen(rig: Rig) -> None:
    """The plan goes on without it."""
    rig.control("faults", {"faults": [{"method": "*.policies.get", "code": "PERMISSION_DENIED"}]})
    provider = rig.provider(**ACCEPTED)
    discovery = provider.discover()

    assert steps(provider) == []
    assert "not changed unseen" in left(provider)
    assert discovery.incomplete == ()


def test_without_acceptance_of_the_blast_radius_nothing_is_denied(rig: Rig) -> None:
    """It is named as whom an account that is shared is."""
    provider = rig.provider(class_services=[MODELS], locations=[])

    assert steps(provider) == []
    assert f"accept_blast_radius lacks service:{MODELS}" in left(provider)


def test_a_service_that_other_steps_call_is_left_and_the_others_are_denied(rig: Rig) -> None:
    """The executor is refused like everybody else: it would shut itself out of its own stop."""
    topic(rig)
    subscription(rig)
    email = rig.account("bot")
    pubsub = "pubsub.googleapis.com"
    provider = rig.provider(
        service_accounts=[email],
        subscriptions=["inbox"],
        class_services=[pubsub, MODELS],
        accept_blast_radius=[f"service:{pubsub}", f"service:{MODELS}"],
        locations=[],
    )

    [found] = steps(provider)

    assert found.target.params["services"] == [MODELS]
    assert pubsub not in found.target.label
    assert "steps of this plan call it" in left(provider, pubsub)
    assert f"disable_account:{email}" in found.moot_by
    assert "snapshot_backlog:inbox" not in found.moot_by


def test_with_nothing_that_stops_the_agent_nothing_makes_it_moot(rig: Rig) -> None:
    """Then it stays unknown whatever is read back: it is never the reason to say contained."""
    [found] = steps(rig.provider(**ACCEPTED))

    assert found.moot_by == ()
    assert restrict_services.SPEC.best_grade is Grade.NONE


def test_a_change_that_is_seen_late_refuses_later(rig: Rig) -> None:
    """Eventual consistency: what is read back may not hold everywhere yet."""
    token = rig.token(rig.account("bot", roles=["roles/aiplatform.user"]))
    provider = rig.provider(**ACCEPTED)
    found = proposal(provider, ACTION)
    rig.control("settings", {"visibility_delay_s": 30})
    rig.control("advance", {"seconds": 31})  # what was granted before is seen
    try:
        close(provider.actions[ACTION], found.target)
        early = refused(rig, token)
        rig.control("advance", {"seconds": 31})
        late = refused(rig, token)
    finally:
        rig.control("settings", {"visibility_delay_s": 0})

    assert early == ""
    assert "restrictServiceUsage" in late


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"class_services": ["aiplatform"]}, "class_services"),
        ({"class_services": ["iam.googleapis.com"]}, "class_services"),
        ({"class_services": ["logging.googleapis.com"]}, "class_services"),
        ({"class_services": ["aiplatform.googleapis.com.evil.example"]}, "class_services"),
        ({"accept_blast_radius": ["service:aiplatform"]}, "accept_blast_radius"),
        ({"accept_blast_radius": ["services:aiplatform.googleapis.com"]}, "accept_blast_radius"),
    ],
)
def test_what_is_no_service_or_is_needed_by_all_is_refused_in_the_inventory(
    keys: dict[str, Json], said: str
) -> None:
    """Before anything is connected."""
    entry: dict[str, Json] = {"project": "support-prod", "project_number": "402830112233"}

    assert [one for one in complaints({**entry, **keys}) if one.startswith(said)]
    assert complaints({**entry, **ACCEPTED}) == []
