"""Identity Center: one user of a permission set is denied in every account, and the others are not."""

from __future__ import annotations

import json

from breakglass.canon import Json
from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from breakglass_aws.actions import identity_center
from providers.aws.tests.rig_aws import Rig, close, proposal, undo

USER = "11111111-2222-3333-4444-555555555555"
POLICY = '{"Version": "2012-10-17",  "Statement": {"Effect":"Allow","Action":"s3:*","Resource":"*"}}'


def _permission_set(rig: Rig, name: str) -> tuple[str, str]:
    """Make a permission set that the user has in two accounts."""
    sso = rig.boto("sso-admin")
    instance = sso.list_instances()["Instances"][0]["InstanceArn"]
    made = sso.create_permission_set(Name=name, InstanceArn=instance)["PermissionSet"]["PermissionSetArn"]
    for account in ("123456789012", "222222222222"):
        sso.create_account_assignment(
            InstanceArn=instance,
            TargetId=account,
            TargetType="AWS_ACCOUNT",
            PermissionSetArn=made,
            PrincipalType="USER",
            PrincipalId=USER,
        )
    return str(instance), str(made)


def test_the_deny_is_contained_once_every_account_has_it_and_comes_out_again(rig: Rig) -> None:
    """Provisioning is asynchronous: the answer to the request is no proof."""
    instance, permission_set = _permission_set(rig, "agents")
    sso = rig.boto("sso-admin")
    names = {"InstanceArn": instance, "PermissionSetArn": permission_set}
    sso.put_inline_policy_to_permission_set(InlinePolicy=POLICY, **names)
    provider = rig.provider(permission_sets=[f"{instance}#{permission_set}#{USER}"])
    found = proposal(provider, identity_center.SPEC.name)
    action = provider.actions[found.action]
    first = action.observe(found.target)
    action.apply(found.target, first, "t")

    early = action.judge(found.target, action.observe(found.target))
    close(action, found.target)

    assert early.verdict is Verdict.NOT_CONTAINED
    assert "222222222222" in early.reason
    state = rig.sandbox.control("state")["permission_sets"]
    (told,) = state.values()
    assert set(told["provisioned"]) == {"123456789012", "222222222222"}
    deny = json.loads(told["inline"])["Statement"][0]
    assert deny["Condition"] == {"StringEquals": {"identitystore:UserId": [USER]}}
    outcome = undo(action, found.target, first.objects)
    assert set(outcome.objects.values()) == {Outcome.RESTORED}
    assert sso.get_inline_policy_for_permission_set(**names)["InlinePolicy"] == POLICY


def test_a_permission_set_without_an_inline_policy_has_none_again(rig: Rig) -> None:
    """Absent stays absent; a second look at an undone one changes nothing."""
    instance, permission_set = _permission_set(rig, "agents")
    provider = rig.provider(permission_sets=[f"{instance}#{permission_set}#{USER}"])
    found = proposal(provider, identity_center.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)

    first, second = undo(action, found.target, prior), undo(action, found.target, prior)

    assert set(first.objects.values()) == {Outcome.RESTORED}
    assert set(second.objects.values()) == {Outcome.ALREADY}
    names = {"InstanceArn": instance, "PermissionSetArn": permission_set}
    assert not rig.boto("sso-admin").get_inline_policy_for_permission_set(**names)["InlinePolicy"]


def test_other_permission_sets_of_the_user_are_doors(rig: Rig) -> None:
    """Whoever is denied in one may sign in with another; one that is not there is said."""
    instance, permission_set = _permission_set(rig, "agents")
    _, other = _permission_set(rig, "admins")
    gone = f"{permission_set[:-4]}0000"
    entries: list[Json] = [f"{instance}#{one}#{USER}" for one in (permission_set, gone)]
    provider = rig.provider(permission_sets=entries)

    discovery = provider.discover()

    assert f"permission set {other.rpartition('/')[2]} for user {USER}" in {
        one.door.name for one in discovery.doors
    }
    assert f"permission set {gone}" in {one.resource for one in discovery.not_touched}
