"""What was made or let in since the harm began stays off at a restore; the plan names what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from breakglass.clock import Instant, SystemClock
from breakglass.model.resource import Resource, State
from breakglass.provider import Action, Outcome, Proposal, Proposed
from breakglass_aws.actions import access_keys, identities, service_credentials
from breakglass_aws.found import Found
from breakglass_aws.since_harm import ACTIVE, INACTIVE, kept, status
from providers.aws.tests.identity_rig import FREE, account_of, planned
from providers.aws.tests.rig_aws import Rig, close, undo
from providers.aws.tests.test_aws_discover import gathered

BOT = Found({"users": ("bot",)})
KEYS, OTHERS = access_keys.SPEC.name, service_credentials.SPEC.name
CODE = "codecommit.amazonaws.com"


def test_a_key_that_was_made_since_the_harm_began_does_not_come_back(rig: Rig) -> None:
    """It is set inactive with the other one, and named when it is left so."""
    agent, old = _bot(rig)
    new = agent.create_access_key(UserName="bot")["AccessKey"]["AccessKeyId"]
    action, step, _ = _planned(rig, KEYS)

    prior, state = close(action, step.target)
    undone = undo(action, step.target, prior)

    assert {key: status(one) for key, one in state.objects.items()} == {old: INACTIVE, new: INACTIVE}
    assert undone.objects == {old: Outcome.RESTORED, new: Outcome.ENDED}
    assert undone.reason.endswith(f"left off, made or let in since {_since(step.target)}: {new}")
    assert _live(rig) == {old: ACTIVE, new: INACTIVE}


def test_without_a_beginning_what_is_made_after_the_plan_does_not_come_back(rig: Rig) -> None:
    """And what was there when it was made does."""
    _, old = _bot(rig)
    action, target = planned(rig, KEYS, BOT)
    new = rig.boto("iam").create_access_key(UserName="bot")["AccessKey"]["AccessKeyId"]

    prior, _ = close(action, target)

    assert undo(action, target, prior).objects == {old: Outcome.RESTORED, new: Outcome.ENDED}


def test_a_key_of_since_the_harm_that_somebody_deleted_after_the_stop_is_no_drift(rig: Rig) -> None:
    """Nothing of it was to be put back."""
    agent, old = _bot(rig)
    new = agent.create_access_key(UserName="bot")["AccessKey"]["AccessKeyId"]
    action, step, _ = _planned(rig, KEYS)
    prior, _ = close(action, step.target)
    rig.boto("iam").delete_access_key(UserName="bot", AccessKeyId=new)

    assert undo(action, step.target, prior).objects == {old: Outcome.RESTORED, new: Outcome.ENDED}


def test_a_stop_that_recorded_the_status_alone_is_undone_as_it_said(rig: Rig) -> None:
    """Its plan has no instant; every key that was active comes back, whenever it was made."""
    _, key = _bot(rig)
    late = rig.boto("iam").create_access_key(UserName="bot")["AccessKey"]["AccessKeyId"]
    action, target = planned(rig, KEYS, BOT)
    seen, _ = close(action, target)
    old = {name: target.params[name] for name in ("user", "unique_id", "held")}

    undone = undo(action, replace(target, params=old), {one: status(value) for one, value in seen.items()})

    assert undone.objects == {key: Outcome.RESTORED, late: Outcome.RESTORED}


def test_the_plan_names_the_keys_of_which_cloudtrail_tells(rig: Rig) -> None:
    """By whom they were made, also by an administrator; and which the agent had set active."""
    agent, old = _bot(rig)
    rig.boto("iam").update_access_key(UserName="bot", AccessKeyId=old, Status=INACTIVE)
    rig.boto("iam").update_access_key(UserName="bot", AccessKeyId=old, Status=ACTIVE)
    new = agent.create_access_key(UserName="bot")["AccessKey"]["AccessKeyId"]

    _, step, _ = _planned(rig, KEYS)

    assert step.target.params["stay_off"] == [new]
    assert step.target.label == "access keys of user bot; 1 since the harm began: off for good"
    [told] = step.affects
    assert told.startswith(f"access key {new}, made since the harm began, by user/bot at ")
    assert told.endswith(": a restore leaves it off")


def test_a_key_of_peacetime_that_the_agent_set_active_does_not_come_back(rig: Rig) -> None:
    """It was off before; whoever holds its secret must not have it from us."""
    agent, _ = _bot(rig)
    dormant = rig.boto("iam").create_access_key(UserName="bot")["AccessKey"]["AccessKeyId"]
    rig.boto("iam").update_access_key(UserName="bot", AccessKeyId=dormant, Status=INACTIVE)
    rig.age("bot")
    agent.update_access_key(UserName="bot", AccessKeyId=dormant, Status=ACTIVE)
    action, step, _ = _planned(rig, KEYS)

    prior, _ = close(action, step.target)

    assert f"{dormant}, set active since the harm began, by user/bot" in step.affects[0]
    assert undo(action, step.target, prior).objects[dormant] is Outcome.ENDED


def test_what_cloudtrail_tells_is_found_under_the_name_that_a_user_has_now(rig: Rig) -> None:
    """The agent sets a key active, then renames itself."""
    agent, old = _bot(rig)
    agent.update_access_key(UserName="bot", AccessKeyId=old, Status=ACTIVE)
    agent.update_user(UserName="bot", NewUserName="ghost")

    _, step, _ = _planned(rig, KEYS)

    assert (step.target.id, step.target.params["stay_off"]) == ("user/ghost", [old])


@pytest.mark.parametrize(
    "deed",
    [
        pytest.param(
            lambda iam, _: iam.create_service_specific_credential(UserName="bot", ServiceName=CODE), id="made"
        ),
        pytest.param(
            lambda iam, old: iam.reset_service_specific_credential(
                UserName="bot", ServiceSpecificCredentialId=old
            ),
            id="reset",
        ),
    ],
)
def test_a_service_credential_whose_secret_the_agent_got_does_not_come_back(
    rig: Rig, deed: Callable[[Any, str], Mapping[str, Any]]
) -> None:
    """A new one, or an old one with a new secret; one that it never touched does."""
    iam, (agent, _) = rig.boto("iam"), _bot(rig)
    calm, old = (_credential(iam, service) for service in ("bedrock.amazonaws.com", CODE))
    rig.age("bot")
    got = str(deed(agent, old)["ServiceSpecificCredential"]["ServiceSpecificCredentialId"])
    action, step, _ = _planned(rig, OTHERS)

    prior, _ = close(action, step.target)
    undone = undo(action, step.target, prior)

    assert undone.objects == {
        one: Outcome.ENDED if one == got else Outcome.RESTORED for one in {calm, old, got}
    }
    assert undone.reason.endswith(got)
    assert step.target.params["stay_off"] == [got]


def test_a_password_that_the_agent_gave_its_user_is_named_before_anybody_signs(rig: Rig) -> None:
    """No step takes it away, and the user's deny goes with a restore."""
    agent, _ = _bot(rig)
    agent.create_login_profile(UserName="bot", Password="correct-Horse-9-battery")  # noqa: S106 - of a sandbox

    _, _, left = _planned(rig, KEYS)

    said = {one.resource: one.reason for one in left.not_touched}
    assert "delete it by hand" in said["password of user bot"]


def test_a_credential_of_which_iam_tells_no_date_stays_off(rig: Rig) -> None:
    """Nobody knows that it is of peacetime."""
    _, key = _bot(rig)
    action, target = planned(rig, KEYS, BOT)
    close(action, target)
    undated = kept({"Status": ACTIVE})

    undone = action.revert(target, State({key: undated}), action.observe(target))

    assert undone.objects == {key: Outcome.ENDED}


def _bot(rig: Rig) -> tuple[Any, str]:
    """Make the agent's user with a key of peacetime; return it as the agent, and the key's id."""
    iam = rig.boto("iam")
    iam.create_user(UserName="bot")
    iam.put_user_policy(UserName="bot", PolicyName="all", PolicyDocument=FREE)
    key = iam.create_access_key(UserName="bot")["AccessKey"]
    rig.age("bot")
    return rig.boto("iam", key), str(key["AccessKeyId"])


def _planned(rig: Rig, action: str) -> tuple[Action, Proposal, Proposed]:
    """Return the step of an action as discovery proposes it, and what it says besides."""
    provider = rig.provider(users=["bot"])
    seen = gathered(provider, SystemClock().now().plus(-60))
    proposed = identities.propose(account_of(provider), seen.found)
    provider.preflight(())
    [step] = [one for one in proposed.proposals if one.action == action]
    return provider.actions[action], step, seen.proposed


def _since(target: Resource) -> Instant:
    return Instant(int(str(target.params["since_ms"])))


def _credential(iam: Any, service: str) -> str:  # noqa: ANN401 - boto3 has no types
    made = iam.create_service_specific_credential(UserName="bot", ServiceName=service)
    return str(made["ServiceSpecificCredential"]["ServiceSpecificCredentialId"])


def _live(rig: Rig) -> dict[str, str]:
    listed = rig.boto("iam").list_access_keys(UserName="bot")["AccessKeyMetadata"]
    return {one["AccessKeyId"]: one["Status"] for one in listed}
