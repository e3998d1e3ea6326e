"""What moto gets wrong of Identity Center: a permission set reaches an account only once it is provisioned.

Provisioning takes until it was asked about twice; a second request meanwhile is a conflict (IAM Identity
Center API reference, ProvisionPermissionSet).
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from breakglass_aws.sandbox.call import Call, Handler, Refusal

NOT_LATEST = "LATEST_PERMISSION_SET_NOT_PROVISIONED"
ASKED_BEFORE_DONE = 2
Where = tuple[str, str, str]
"""Account, region, ARN of the permission set."""
_INLINE: dict[Where, str] = {}
_PROVISIONED: dict[Where, dict[str, str]] = {}
"""Where -> account -> the inline policy that is there."""
_RUNNING: dict[Where, dict[str, Any]] = {}
_NUMBERS = itertools.count(1)


def put_inline_policy(call: Call) -> Mapping[str, Any]:
    """Set the inline policy; no account has it yet."""
    _INLINE[_where(call)] = str(call.params["InlinePolicy"])
    return {}


def get_inline_policy(call: Call) -> Mapping[str, Any]:
    """Tell the inline policy; empty where there is none."""
    return {"InlinePolicy": _INLINE.get(_where(call), "")}


def delete_inline_policy(call: Call) -> Mapping[str, Any]:
    """Remove the inline policy."""
    _INLINE.pop(_where(call), None)
    return {}


def provision(call: Call) -> Mapping[str, Any]:
    """Begin to bring the permission set to the accounts that it is assigned in."""
    where = _where(call)
    if where in _RUNNING:
        raise Refusal("ConflictException", "a provisioning of this permission set is in progress")
    _RUNNING[where] = {
        "Status": "IN_PROGRESS",
        "RequestId": f"{next(_NUMBERS):08x}-0000-4000-8000-000000000000",
        "PermissionSetArn": where[2],
        "CreatedDate": dt.datetime.now(dt.UTC),
        "asked": 0,
        "policy": _INLINE.get(where, ""),
    }
    return {"PermissionSetProvisioningStatus": _told(_RUNNING[where])}


def list_accounts(call: Call) -> Mapping[str, Any]:
    """Tell the accounts that have the permission set, by whether theirs is the latest."""
    where = _where(call)
    _advance(where)
    latest = _INLINE.get(where, "")
    accounts = dict.fromkeys(_assigned(call), "") | _PROVISIONED.get(where, {})
    wanted = call.params.get("ProvisioningStatus")
    if wanted:
        accounts = {
            name: text for name, text in accounts.items() if (text != latest) == (wanted == NOT_LATEST)
        }
    return {"AccountIds": sorted(accounts)}


def _advance(where: Where) -> None:
    running = _RUNNING.get(where)
    if running is None:
        return
    running["asked"] += 1
    if running["asked"] >= ASKED_BEFORE_DONE:
        del _RUNNING[where]
        _PROVISIONED[where] = dict.fromkeys(_assignments(where), running["policy"])


def _told(running: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in running.items() if key not in {"asked", "policy"}}


def _where(call: Call) -> Where:
    from moto.ssoadmin.models import ssoadmin_backends

    sets = ssoadmin_backends[call.account][call.region].permission_sets
    arn, instance = call.params["PermissionSetArn"], call.params["InstanceArn"]
    if not any(one.permission_set_arn == arn and one.instance_arn == instance for one in sets):
        raise Refusal("ResourceNotFoundException", f"Could not find PermissionSet with id {arn}", 404)
    return call.account, call.region, str(arn)


def _assigned(call: Call) -> set[str]:
    return _assignments((call.account, call.region, str(call.params["PermissionSetArn"])))


def _assignments(where: Where) -> set[str]:
    from moto.ssoadmin.models import ssoadmin_backends

    account, region, arn = where
    listed = ssoadmin_backends[account][region].account_assignments
    return {one.target_id for one in listed if one.permission_set_arn == arn}


def _forget() -> None:
    for store in (_INLINE, _PROVISIONED, _RUNNING):
        store.clear()


def _state() -> Any:  # noqa: ANN401 - JSON
    """Tell each permission set's policy, and each account's that has another than none."""
    wheres = sorted({*_INLINE, *_PROVISIONED})
    told = {
        "/".join(where): {
            "inline": _INLINE.get(where, ""),
            "provisioned": {name: text for name, text in _PROVISIONED.get(where, {}).items() if text},
        }
        for where in wheres
    }
    return {name: one for name, one in told.items() if one["inline"] or one["provisioned"]}


HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("sso-admin", "PutInlinePolicyToPermissionSet"): put_inline_policy,
    ("sso-admin", "GetInlinePolicyForPermissionSet"): get_inline_policy,
    ("sso-admin", "DeleteInlinePolicyFromPermissionSet"): delete_inline_policy,
    ("sso-admin", "ProvisionPermissionSet"): provision,
    ("sso-admin", "ListAccountsForProvisionedPermissionSet"): list_accounts,
}
RESETS: tuple[Callable[[], None], ...] = (_forget,)
STATES: Mapping[str, Callable[[], Any]] = {"permission_sets": _state}
