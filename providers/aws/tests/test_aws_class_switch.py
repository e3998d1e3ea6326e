"""One call denies a class: the default version of a policy that its principals carry."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.canon import Json
from breakglass.errors import ProviderError
from breakglass.model.action import Grade, Verdict
from breakglass.model.resource import Resource
from breakglass.provider import Action, Outcome
from breakglass_aws.actions import class_switch, deny_role
from breakglass_aws.actions.denial import DENY_ALL
from breakglass_aws.found import Found
from providers.aws.tests.identity_rig import TRUST, managed, planned, proposed
from providers.aws.tests.rig_aws import Rig, close, undo

AGENT = Found({"users": ("bot",), "roles": ("bot",)})


def _class(rig: Rig, *, armed: bool = True) -> tuple[Any, str]:
    """Make a user and a role of the agent's that carry the class policy."""
    iam = rig.boto("iam")
    policy = managed(iam, "class")
    if armed:
        iam.create_policy_version(PolicyArn=policy, PolicyDocument=DENY_ALL, SetAsDefault=False)
    iam.create_user(UserName="bot")
    iam.create_role(RoleName="bot", AssumeRolePolicyDocument=TRUST)
    iam.attach_user_policy(UserName="bot", PolicyArn=policy)
    iam.attach_role_policy(RoleName="bot", PolicyArn=policy)
    return iam, policy


def _planned(rig: Rig, policy: str, **settings: Json) -> tuple[Action, Resource]:
    return planned(rig, class_switch.SPEC.name, AGENT, class_policy=policy, **settings)


def _default(iam: Any, policy: str) -> str:  # noqa: ANN401 - boto3 has no types
    return str(iam.get_policy(PolicyArn=policy)["Policy"]["DefaultVersionId"])


def test_one_call_denies_all_that_carry_the_policy_and_one_lets_them_go(rig: Rig) -> None:
    """Proven for each of the agent's principals by the evaluator."""
    iam, policy = _class(rig)
    action, target = _planned(rig, policy)
    since = len(rig.sandbox.control("calls", {}))

    prior, _ = close(action, target)
    calls = rig.sandbox.control("calls", {})[since:]
    proof = action.probe(target)

    assert [one["operation"] for one in calls if one["operation"].startswith(("Set", "Put", "Att"))] == [
        "SetDefaultPolicyVersion"
    ]
    assert _default(iam, policy) == "v2"
    assert proof is not None
    assert (proof.verdict, proof.grade) == (Verdict.CONTAINED, Grade.PLATFORM_EVALUATOR)
    assert Outcome.RESTORED in undo(action, target, prior).objects.values()
    assert _default(iam, policy) == "v1"


def test_the_switch_and_the_single_denies_make_each_other_moot(rig: Rig) -> None:
    """Whichever is proven first is enough; both are tried."""
    _, policy = _class(rig)
    steps = proposed(rig, AGENT, class_policy=policy).proposals
    switch = next(one for one in steps if one.action == class_switch.SPEC.name)
    deny = next(one for one in steps if one.action == deny_role.SPEC.name)

    assert set(switch.moot_by) == {"deny_user:bot", "deny_role:bot"}
    assert deny.moot_by == (switch.key,)


def test_an_agent_that_takes_the_policy_off_is_not_contained(rig: Rig) -> None:
    """The switch reaches only who carries it."""
    iam, policy = _class(rig)
    action, target = _planned(rig, policy)
    close(action, target)
    iam.detach_role_policy(RoleName="bot", PolicyArn=policy)

    judgement = action.judge(target, action.observe(target))

    assert judgement.verdict is Verdict.NOT_CONTAINED
    assert "role/bot" in judgement.reason


def test_a_denying_version_that_the_agent_deleted_is_reported(rig: Rig) -> None:
    """No version is ever made here."""
    iam, policy = _class(rig)
    action, target = _planned(rig, policy)
    iam.delete_policy_version(PolicyArn=policy, VersionId="v2")

    with pytest.raises(ProviderError, match="no version of the class policy denies"):
        close(action, target)


def test_a_class_that_was_denied_before_stays_denied(rig: Rig) -> None:
    """A no-op at containment is not reversed."""
    iam, policy = _class(rig)
    iam.set_default_policy_version(PolicyArn=policy, VersionId="v2")
    action, target = _planned(rig, policy)
    prior, _ = close(action, target)

    assert set(undo(action, target, prior).objects.values()) == {Outcome.ALREADY}
    assert _default(iam, policy) == "v2"


def test_a_switch_that_is_not_armed_or_would_hit_others_is_left_alone(rig: Rig) -> None:
    """And the plan says why."""
    iam, policy = _class(rig, armed=False)
    assert "not armed" in proposed(rig, AGENT, class_policy=policy).not_touched[0].reason

    iam.create_policy_version(PolicyArn=policy, PolicyDocument=DENY_ALL, SetAsDefault=False)
    iam.create_user(UserName="payroll")
    iam.attach_user_policy(UserName="payroll", PolicyArn=policy)
    assert "user/payroll" in proposed(rig, AGENT, class_policy=policy).not_touched[0].reason

    accepted = proposed(rig, AGENT, class_policy=policy, accept_blast_radius=["user/payroll"]).proposals
    assert accepted[0].affects == ("user/payroll",)
    missing = proposed(rig, AGENT, class_policy=policy.replace("class", "nothing"))
    assert "no such policy" in missing.not_touched[0].reason
