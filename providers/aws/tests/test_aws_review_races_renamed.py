"""A user that the agent renames between planning and stop, or while it runs, is still the agent's."""

from __future__ import annotations

from breakglass.model.action import Verdict
from breakglass_aws.actions import access_keys, deny_role, deny_user
from breakglass_aws.found import Found
from providers.aws.tests.identity_rig import FREE, TRUST, planned, proposed
from providers.aws.tests.rig_aws import Rig, close, undo

BOT = Found({"users": ("bot",)})


def test_a_user_that_was_renamed_after_planning_is_denied_under_its_new_name(rig: Rig) -> None:
    """It keeps its keys and sessions: gone under its name is not gone."""
    iam = rig.boto("iam")
    iam.create_user(UserName="bot")
    iam.put_user_policy(UserName="bot", PolicyName="free", PolicyDocument=FREE)
    action, target = planned(rig, deny_user.SPEC.name, BOT)
    iam.update_user(UserName="bot", NewUserName="ghost")

    seen = action.judge(target, action.observe(target))
    prior, _ = close(action, target)

    assert seen.verdict is Verdict.NOT_CONTAINED
    assert len(iam.list_attached_user_policies(UserName="ghost")["AttachedPolicies"]) == 1
    undo(action, target, prior)
    assert iam.list_attached_user_policies(UserName="ghost")["AttachedPolicies"] == []


def test_a_decoy_under_the_old_name_hides_nothing(rig: Rig) -> None:
    """Both are denied: the user of the unique id that was signed, and the one in its place."""
    iam = rig.boto("iam")
    iam.create_user(UserName="bot")
    action, target = planned(rig, deny_user.SPEC.name, BOT)
    iam.update_user(UserName="bot", NewUserName="ghost")
    iam.create_user(UserName="bot")

    prior, _ = close(action, target)

    for name in ("ghost", "bot"):
        assert len(iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]) == 1
    undo(action, target, prior)
    assert iam.list_attached_user_policies(UserName="ghost")["AttachedPolicies"] == []


def test_the_keys_of_a_renamed_user_are_set_inactive(rig: Rig) -> None:
    """And come back at the restore."""
    iam = rig.boto("iam")
    iam.create_user(UserName="bot")
    key = iam.create_access_key(UserName="bot")["AccessKey"]["AccessKeyId"]
    rig.age("bot")
    action, target = planned(rig, access_keys.SPEC.name, BOT)
    iam.update_user(UserName="bot", NewUserName="ghost")

    prior, _ = close(action, target)

    assert set(prior) == {key}
    assert iam.list_access_keys(UserName="ghost")["AccessKeyMetadata"][0]["Status"] == "Inactive"
    undo(action, target, prior)
    assert iam.list_access_keys(UserName="ghost")["AccessKeyMetadata"][0]["Status"] == "Active"


def test_a_user_that_is_not_there_when_planning_is_a_door(rig: Rig) -> None:
    """Renamed an hour ago, it works on: nothing may be called contained silently."""
    found = proposed(rig, Found({"users": ("bot",)}))

    assert [(one.door.name, one.door.verdict) for one in found.doors] == [
        ("user/bot in aws", Verdict.UNKNOWN)
    ]


def test_a_role_made_again_at_another_path_is_asked_about_under_its_new_arn(rig: Rig) -> None:
    """The evaluator knows no role of the signed ARN: that is no proof."""
    iam = rig.boto("iam")
    iam.create_role(RoleName="bot", AssumeRolePolicyDocument=TRUST)
    action, target = planned(rig, deny_role.SPEC.name, Found({"roles": ("bot",)}))
    iam.delete_role(RoleName="bot")
    iam.create_role(RoleName="bot", Path="/else/", AssumeRolePolicyDocument=TRUST)
    iam.put_role_policy(RoleName="bot", PolicyName="free", PolicyDocument=FREE)

    said = action.probe(target)

    assert said is not None
    assert said.verdict is Verdict.NOT_CONTAINED
