"""A user is denied everything: by policy, boundary or inline; its keys and credentials are off."""

from __future__ import annotations

from typing import Any

from breakglass.model.action import Grade, Verdict
from breakglass.provider import Outcome
from breakglass_aws.actions import access_keys, deny_user, service_credentials
from breakglass_aws.found import Found
from breakglass_aws.settings import AWS_DENY_ALL
from breakglass_aws.since_harm import INACTIVE, status
from providers.aws.tests.identity_rig import FREE, fill_slots, managed, planned, proposed
from providers.aws.tests.rig_aws import Rig, close, undo

BOT = Found({"users": ("bot",)})


def _user(rig: Rig, name: str = "bot") -> Any:  # noqa: ANN401 - boto3 has no types
    iam = rig.boto("iam")
    iam.create_user(UserName=name)
    return iam


def test_a_user_is_denied_by_policy_and_by_the_evaluators_word(rig: Rig) -> None:
    """Without the agent's credential the evaluator is the proof, and the reason says why."""
    iam = _user(rig)
    iam.put_user_policy(UserName="bot", PolicyName="free", PolicyDocument=FREE)
    action, target = planned(rig, deny_user.SPEC.name, BOT)
    before = action.probe(target)

    prior, _ = close(action, target)
    proof = action.probe(target)

    assert before is not None
    assert before.verdict is Verdict.NOT_CONTAINED
    assert proof is not None
    assert (proof.verdict, proof.grade) == (Verdict.CONTAINED, Grade.PLATFORM_EVALUATOR)
    assert "no credential of the agent's is held" in proof.reason
    undo(action, target, prior)
    assert iam.list_attached_user_policies(UserName="bot")["AttachedPolicies"] == []


def test_a_user_without_a_free_slot_gets_a_boundary_and_the_old_one_comes_back(rig: Rig) -> None:
    """Ten attached policies, and a boundary that is in the way."""
    iam = _user(rig)
    fill_slots(iam, "user", "bot")
    old = managed(iam, "old-boundary")
    iam.put_user_permissions_boundary(UserName="bot", PermissionsBoundary=old)
    action, target = planned(rig, deny_user.SPEC.name, BOT)

    prior, _ = close(action, target)

    held = iam.get_user(UserName="bot")["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"]
    proof = action.probe(target)
    assert held == AWS_DENY_ALL
    assert proof is not None
    assert proof.verdict is Verdict.CONTAINED
    undo(action, target, prior)
    assert iam.get_user(UserName="bot")["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == old


def test_a_user_whose_quarantine_policy_denies_nothing_is_denied_inline(rig: Rig) -> None:
    """And the inline policy goes again."""
    iam = _user(rig)
    action, target = planned(rig, deny_user.SPEC.name, BOT, quarantine_policy=managed(iam, "empty"))

    prior, _ = close(action, target)

    assert iam.list_user_policies(UserName="bot")["PolicyNames"] == ["breakglass-quarantine"]
    undo(action, target, prior)
    assert iam.list_user_policies(UserName="bot")["PolicyNames"] == []


def test_a_key_that_is_made_while_the_stop_runs_is_set_inactive_too(rig: Rig) -> None:
    """The container is the user, not the keys of the plan; a restore gives back what is of before it."""
    iam = _user(rig)
    first = iam.create_access_key(UserName="bot")["AccessKey"]["AccessKeyId"]
    rig.age("bot")
    action, target = planned(rig, access_keys.SPEC.name, BOT)
    prior, _ = close(action, target)
    second = iam.create_access_key(UserName="bot")["AccessKey"]["AccessKeyId"]

    later, state = close(action, target)

    assert {key: status(one) for key, one in state.objects.items()} == {first: INACTIVE, second: INACTIVE}
    outcomes = undo(action, target, {**later, **prior}).objects
    assert outcomes == {first: Outcome.RESTORED, second: Outcome.ENDED}


def test_a_session_that_was_made_from_a_key_is_refused_by_the_users_deny(rig: Rig) -> None:
    """The key is off and the session would live on for hours: the deny reaches it."""
    iam = _user(rig)
    iam.put_user_policy(UserName="bot", PolicyName="free", PolicyDocument=FREE)
    keys = iam.create_access_key(UserName="bot")["AccessKey"]
    session = rig.boto("sts", keys).get_session_token()["Credentials"]
    rig.boto("sqs", session).list_queues()

    close(*planned(rig, deny_user.SPEC.name, BOT))

    sqs = rig.boto("sqs", session)
    refused = False
    try:
        sqs.list_queues()
    except sqs.exceptions.ClientError as error:
        refused = "AccessDenied" in error.response["Error"]["Code"]
    assert refused


def test_every_service_specific_credential_is_off_and_only_the_active_ones_come_back(rig: Rig) -> None:
    """Long-term Bedrock keys are such credentials."""
    iam = _user(rig)
    first, second = (
        iam.create_service_specific_credential(UserName="bot", ServiceName=service)[
            "ServiceSpecificCredential"
        ]["ServiceSpecificCredentialId"]
        for service in ("bedrock.amazonaws.com", "codecommit.amazonaws.com")
    )
    iam.update_service_specific_credential(
        UserName="bot", ServiceSpecificCredentialId=second, Status="Inactive"
    )
    rig.age("bot")
    action, target = planned(rig, service_credentials.SPEC.name, BOT)

    prior, state = close(action, target)

    assert {key: status(one) for key, one in state.objects.items()} == {first: INACTIVE, second: INACTIVE}
    assert undo(action, target, prior).objects == {first: Outcome.RESTORED, second: Outcome.ALREADY}
    assert action.observe(target).objects[first] == prior[first]


def test_a_user_that_does_not_exist_and_the_executors_own_are_left_alone(rig: Rig) -> None:
    """Both are said; neither gets a step."""
    gone = proposed(rig, Found({"users": ("/agents/nobody",)}))
    assert not gone.proposals
    assert "no such user" in gone.not_touched[0].reason

    iam = _user(rig, "ops")
    iam.put_user_policy(UserName="ops", PolicyName="free", PolicyDocument=FREE)
    rig.secrets.keep("ops", iam.create_access_key(UserName="ops")["AccessKey"])
    own = proposed(rig, Found({"users": ("ops",)}), credential="ops")
    assert not own.proposals
    assert "the executor acts as this user" in own.doors[0].door.reason
