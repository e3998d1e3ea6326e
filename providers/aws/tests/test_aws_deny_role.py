"""A role is denied everything by the slot that is free, whoever fights back, and is as it was afterwards."""

from __future__ import annotations

import json
from typing import Any

import pytest

from breakglass.canon import Json
from breakglass.errors import ProviderError
from breakglass.model.action import Verdict
from breakglass.model.resource import Resource
from breakglass.provider import Action, Outcome
from breakglass_aws.actions import deny_role
from breakglass_aws.found import Found
from breakglass_aws.settings import AWS_DENY_ALL
from providers.aws.tests import least_executor
from providers.aws.tests.identity_rig import TRUST, fill_slots, managed, planned
from providers.aws.tests.rig_aws import Rig, close, undo


def _role(rig: Rig, name: str = "bot", path: str = "/") -> Any:  # noqa: ANN401 - boto3 has no types
    iam = rig.boto("iam")
    iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=TRUST)
    return iam


def _planned(rig: Rig, **settings: Json) -> tuple[Action, Resource]:
    return planned(rig, deny_role.SPEC.name, Found({"roles": ("bot",)}), **settings)


def _attached(iam: Any, name: str = "bot") -> list[str]:  # noqa: ANN401 - boto3 has no types
    return [one["PolicyArn"] for one in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]]


def test_a_role_with_a_free_slot_gets_the_quarantine_policy_and_loses_it_again(rig: Rig) -> None:
    """What was attached before stays attached."""
    iam = _role(rig)
    other = managed(iam, "other")
    iam.attach_role_policy(RoleName="bot", PolicyArn=other)
    action, target = _planned(rig)

    prior, state = close(action, target)

    assert set(_attached(iam)) == {other, AWS_DENY_ALL}
    assert "attached policy" in action.judge(target, state).reason
    assert Outcome.RESTORED in undo(action, target, prior).objects.values()
    assert _attached(iam) == [other]
    assert "RESTORED" not in {one.name for one in undo(action, target, prior).objects.values()}


def test_a_role_without_a_free_slot_gets_a_boundary_and_the_old_one_comes_back(rig: Rig) -> None:
    """Ten attached policies: the boundary denies, and what stood there is put back."""
    iam = _role(rig)
    fill_slots(iam, "role", "bot")
    old = managed(iam, "old-boundary")
    iam.put_role_permissions_boundary(RoleName="bot", PermissionsBoundary=old)
    action, target = _planned(rig)

    prior, state = close(action, target)

    assert "boundary" in action.judge(target, state).reason
    assert AWS_DENY_ALL not in _attached(iam)
    undo(action, target, prior)
    assert iam.get_role(RoleName="bot")["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == old


def test_a_boundary_that_the_stop_set_where_none_was_is_removed(rig: Rig) -> None:
    """Restore leaves no empty boundary behind."""
    iam = _role(rig)
    fill_slots(iam, "role", "bot")
    action, target = _planned(rig)

    prior, _ = close(action, target)
    undo(action, target, prior)

    assert "PermissionsBoundary" not in iam.get_role(RoleName="bot")["Role"]


def test_a_quarantine_policy_that_the_agent_emptied_is_not_trusted(rig: Rig) -> None:
    """A customer's policy can be changed: where it denies nothing, the inline deny stands in for it."""
    iam = _role(rig)
    empty = managed(iam, "quarantine")
    iam.attach_role_policy(RoleName="bot", PolicyArn=empty)
    action, target = _planned(rig, quarantine_policy=empty)

    prior, state = close(action, target)

    assert "inline" in action.judge(target, state).reason
    undo(action, target, prior)
    assert iam.list_role_policies(RoleName="bot")["PolicyNames"] == []
    assert _attached(iam) == [empty]


def test_a_customers_policy_that_denies_everything_is_used(rig: Rig) -> None:
    """The account's own quarantine policy is taken where it denies."""
    iam = _role(rig)
    deny = '{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":["*"],"Resource":["*"]}}'
    own = iam.create_policy(PolicyName="own", PolicyDocument=deny)["Policy"]["Arn"]
    least_executor.give(rig, name="executor-of-this-kit", settings={"quarantine_policy": own})
    action, target = _planned(rig, quarantine_policy=own)

    close(action, target)

    assert _attached(iam) == [own]


def test_a_deny_that_the_agent_takes_away_is_put_back(rig: Rig) -> None:
    """Someone detaches it right after the change: the next round attaches it again."""
    iam = _role(rig)
    action, target = _planned(rig)
    prior, _ = close(action, target)
    iam.detach_role_policy(RoleName="bot", PolicyArn=AWS_DENY_ALL)

    again, _ = close(action, target)

    assert _attached(iam) == [AWS_DENY_ALL]
    undo(action, target, {**again, **prior})
    assert _attached(iam) == []


def test_a_role_that_was_replaced_is_denied_too_and_restore_calls_it_drifted(rig: Rig) -> None:
    """The same name with another id is another role: its deny stays until people looked at it."""
    iam = _role(rig)
    action, target = _planned(rig)
    prior, _ = close(action, target)
    iam.detach_role_policy(RoleName="bot", PolicyArn=AWS_DENY_ALL)
    iam.delete_role(RoleName="bot")
    _role(rig)

    later, _ = close(action, target)
    reversal = undo(action, target, {**later, **prior})

    assert set(reversal.objects.values()) == {Outcome.DRIFTED}
    assert _attached(iam) == [AWS_DENY_ALL]


def test_a_role_that_was_denied_before_the_stop_stays_denied(rig: Rig) -> None:
    """What was a no-op at containment is not reversed."""
    iam = _role(rig)
    iam.attach_role_policy(RoleName="bot", PolicyArn=AWS_DENY_ALL)
    action, target = _planned(rig)

    prior, _ = close(action, target)

    assert set(undo(action, target, prior).objects.values()) == {Outcome.ALREADY}
    assert _attached(iam) == [AWS_DENY_ALL]


def test_an_inline_policy_of_our_name_comes_back_byte_for_byte(rig: Rig) -> None:
    """White space, order and all."""
    iam = _role(rig)
    empty = managed(iam, "quarantine")
    before = (
        '{ "Version" : "2012-10-17",\n "Statement": [ {"Resource":"*", "Effect":"Allow","Action":"s3:*"} ] }'
    )
    iam.put_role_policy(RoleName="bot", PolicyName="breakglass-quarantine", PolicyDocument=before)
    action, target = _planned(rig, quarantine_policy=empty)

    prior, _ = close(action, target)
    undo(action, target, prior)

    state = action.observe(target)
    assert [value for key, value in state.objects.items() if key.endswith(" inline")] == [before]


def test_a_role_that_is_deleted_is_contained_and_not_made_again(rig: Rig) -> None:
    """Gone at containment counts as contained, gone at restore as drifted."""
    iam = _role(rig)
    action, target = _planned(rig)
    prior, _ = close(action, target)
    iam.detach_role_policy(RoleName="bot", PolicyArn=AWS_DENY_ALL)
    iam.delete_role(RoleName="bot")

    state = action.observe(target)

    assert action.judge(target, state).verdict is Verdict.CONTAINED
    assert set(undo(action, target, prior).objects.values()) == {Outcome.DRIFTED}


def test_a_role_with_a_long_path_is_found_by_name_and_by_path(rig: Rig) -> None:
    """The inventory may give the path or not."""
    name, path = "a+b=c,d.e@f-g_h", f"/{'/'.join(['agents'] * 20)}/"
    iam = _role(rig, name, path)
    for named in (name, f"{path.strip('/')}/{name}"):
        close(*planned(rig, deny_role.SPEC.name, Found({"roles": (named,)})))
    assert _attached(iam, name) == [AWS_DENY_ALL]


def test_a_role_with_every_slot_full_is_reported_open(rig: Rig) -> None:
    """No policy that denies, and no room inline: never contained, and the reason says why."""
    iam = _role(rig)
    fill_slots(iam, "role", "bot")
    big = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    big["Statement"][0]["Resource"] = [f"arn:aws:s3:::{n:060}" for n in range(133)]  # type: ignore[index]  # a test's own literal
    iam.put_role_policy(RoleName="bot", PolicyName="big", PolicyDocument=json.dumps(big))
    action, target = _planned(rig, quarantine_policy=managed(iam, "emptied"))

    with pytest.raises(ProviderError, match="no slot for a deny is left"):
        close(action, target)

    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED


def test_a_change_without_effect_is_never_called_contained(rig: Rig) -> None:
    """The service says yes and nothing happens: what is read back decides."""
    _role(rig)
    action, target = _planned(rig)
    fault = {"service": "iam", "operation": "AttachRolePolicy", "answer": "no-effect"}
    rig.sandbox.control("faults", {"faults": [fault]})

    with pytest.raises(AssertionError, match="not contained after 3 rounds"):
        close(action, target, rounds=3)
