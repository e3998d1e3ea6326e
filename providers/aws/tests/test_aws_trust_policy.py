"""Nobody assumes a role any more, and the trust policy comes back byte for byte."""

from __future__ import annotations

from breakglass.provider import Outcome
from breakglass_aws.actions import trust_policy
from breakglass_aws.found import Found
from providers.aws.tests.identity_rig import planned, proposed
from providers.aws.tests.rig_aws import Rig, close, undo

ODD = (
    '{ "Version":"2012-10-17",\n\t"Statement":[ {"Action":"sts:AssumeRole", "Effect":"Allow",'
    '"Principal":{"Service":["lambda.amazonaws.com" , "ec2.amazonaws.com"]}} ] }'
)


def test_a_trust_policy_is_closed_and_comes_back_byte_for_byte(rig: Rig) -> None:
    """White space and order are kept."""
    rig.boto("iam").create_role(RoleName="bot", AssumeRolePolicyDocument=ODD)
    action, target = planned(rig, trust_policy.SPEC.name, Found({"roles": ("bot",)}))

    prior, state = close(action, target)

    assert [*prior.values()] == [ODD]
    assert "nobody" in action.judge(target, state).reason
    assert [*undo(action, target, prior).objects.values()] == [Outcome.RESTORED]
    assert action.observe(target).objects == prior


def test_a_trust_policy_that_others_changed_since_is_left_alone(rig: Rig) -> None:
    """Drift: somebody opened it again on purpose."""
    iam = rig.boto("iam")
    iam.create_role(RoleName="bot", AssumeRolePolicyDocument=ODD)
    action, target = planned(rig, trust_policy.SPEC.name, Found({"roles": ("bot",)}))
    prior, _ = close(action, target)
    other = ODD.replace("ec2", "ecs-tasks")
    iam.update_assume_role_policy(RoleName="bot", PolicyDocument=other)

    assert [*undo(action, target, prior).objects.values()] == [Outcome.DRIFTED]
    assert [*action.observe(target).objects.values()] == [other]


def test_who_may_assume_a_role_is_read_again_at_the_end_also_where_the_role_is_denied(rig: Rig) -> None:
    """What is moot is not: an agent that was not denied yet could put the policy back behind the proof."""
    rig.boto("iam").create_role(RoleName="bot", AssumeRolePolicyDocument=ODD)
    steps = {one.key: one for one in proposed(rig, Found({"roles": ("bot",)})).proposals}

    assert steps.keys() == {"deny_role:bot", "deny_new_sessions:bot"}
    assert steps["deny_new_sessions:bot"].moot_by == ()


def test_a_document_without_an_allow_lets_nobody_in() -> None:
    """A document that cannot be read counts as one that lets somebody in."""
    assert not trust_policy.lets_somebody(trust_policy.NOBODY)
    assert trust_policy.lets_somebody(ODD)
    assert trust_policy.lets_somebody("not a policy")
    assert trust_policy.lets_somebody('{"Statement":[]}')
