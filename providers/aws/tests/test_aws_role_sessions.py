"""Of a shared role, the agent's sessions are denied and the others go on."""

from __future__ import annotations

import json
from typing import Any

from breakglass.model.action import Grade, Verdict
from breakglass.model.resource import Resource
from breakglass.provider import Action, Outcome
from breakglass_aws.actions import role_sessions
from breakglass_aws.found import Found
from providers.aws.tests.identity_rig import FREE, ROLE_ARN, TRUST, planned
from providers.aws.tests.rig_aws import Rig, close, undo

AGENT = Found({"role_sessions": ("shared/bot-*",), "users": ("bot",)})


def _shared(rig: Rig) -> Any:  # noqa: ANN401 - boto3 has no types
    iam = rig.boto("iam")
    iam.create_role(RoleName="shared", AssumeRolePolicyDocument=f" {TRUST}\n")
    iam.put_role_policy(RoleName="shared", PolicyName="free", PolicyDocument=FREE)
    return iam


def _planned(rig: Rig) -> tuple[Action, Resource]:
    return planned(rig, role_sessions.SPEC.name, AGENT)


def _session(rig: Rig, name: str) -> Any:  # noqa: ANN401 - boto3 has no types
    return rig.boto("sqs", rig.sandbox.control("mint", {"role": "shared", "session": name}))


def _code(client: Any) -> str:  # noqa: ANN401 - boto3 has no types
    try:
        client.list_queues()
    except client.exceptions.ClientError as error:
        return str(error.response["Error"]["Code"])
    return "allowed"


def test_only_the_agents_sessions_are_denied(rig: Rig) -> None:
    """The evaluator says so for its userid, and the session itself is refused."""
    _shared(rig)
    mine, others = _session(rig, "bot-1"), _session(rig, "payroll")
    action, target = _planned(rig)

    close(action, target)
    proof = action.probe(target)

    assert _code(mine).startswith("AccessDenied")
    assert _code(others) == "allowed"
    assert proof is not None
    assert (proof.verdict, proof.grade) == (Verdict.CONTAINED, Grade.PLATFORM_EVALUATOR)


def test_the_agents_own_user_gets_no_session_under_another_name(rig: Rig) -> None:
    """A new name would not be denied: the trust policy keeps the agent's principals out."""
    iam = _shared(rig)
    iam.create_user(UserName="bot")
    iam.put_user_policy(UserName="bot", PolicyName="free", PolicyDocument=FREE)
    sts = rig.boto("sts", iam.create_access_key(UserName="bot")["AccessKey"])
    sts.assume_role(RoleArn=f"{ROLE_ARN}shared", RoleSessionName="other")

    close(*_planned(rig))

    refused = ""
    try:
        sts.assume_role(RoleArn=f"{ROLE_ARN}shared", RoleSessionName="other")
    except sts.exceptions.ClientError as error:
        refused = error.response["Error"]["Code"]
    assert refused == "AccessDenied"


def test_both_policies_come_back_byte_for_byte(rig: Rig) -> None:
    """The inline policy goes, the trust policy is the text that it was."""
    iam = _shared(rig)
    action, target = _planned(rig)

    prior, _ = close(action, target)
    reversal = undo(action, target, prior)

    assert set(reversal.objects.values()) == {Outcome.RESTORED}
    assert action.observe(target).objects == prior
    assert f" {TRUST}\n" in prior.values()
    assert iam.list_role_policies(RoleName="shared")["PolicyNames"] == ["free"]


def test_a_session_deny_that_the_agent_changed_is_set_again(rig: Rig) -> None:
    """Restore still finds what the stop left."""
    iam = _shared(rig)
    action, target = _planned(rig)
    prior, _ = close(action, target)
    name = str(target.params["policy_name"])
    iam.put_role_policy(RoleName="shared", PolicyName=name, PolicyDocument=FREE)

    later, _ = close(action, target)

    assert set(undo(action, target, {**later, **prior}).objects.values()) == {Outcome.RESTORED}


def test_two_agents_of_one_role_do_not_touch_each_others_denies(rig: Rig) -> None:
    """Each set of sessions has a policy and a statement of its own."""
    iam = _shared(rig)
    action, target = _planned(rig)
    second = Found({"role_sessions": ("shared/rival",), "users": ("rival",)})
    close(action, target)
    other = planned(rig, role_sessions.SPEC.name, second)
    prior, _ = close(*other)

    undo(*other, prior)

    assert action.judge(target, action.observe(target)).verdict is Verdict.CONTAINED
    document = iam.get_role(RoleName="shared")["Role"]["AssumeRolePolicyDocument"]
    assert "user/rival" not in json.dumps(document)
