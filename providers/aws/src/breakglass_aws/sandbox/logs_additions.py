"""Deletion protection of log groups, which moto lacks.

Source: CloudWatch Logs API reference, PutLogGroupDeletionProtection: "deletion protection blocks all
deletion operations until it is explicitly disabled".
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from breakglass_aws.sandbox.call import Call, Guard, Handler, Refusal

PAGE = 50
_Group = tuple[str, str, str]
_PROTECTED: set[_Group] = set()
_GATE = threading.Lock()


def put_protection(call: Call) -> Mapping[str, Any]:
    """Protect a group, or lift it. Raises Refusal: there is no such group."""
    name = _name(str(call.params["logGroupIdentifier"]))
    key = (call.account, call.region, name)
    if name not in _groups(call):
        raise Refusal("ResourceNotFoundException", "The specified log group does not exist.")
    with _GATE:
        (_PROTECTED.add if call.params["deletionProtectionEnabled"] else _PROTECTED.discard)(key)
    return {}


def describe_groups(call: Call) -> Mapping[str, Any]:
    """List groups in the order of their names, with their protection."""
    prefix = str(call.params.get("logGroupNamePrefix") or "")
    pattern = str(call.params.get("logGroupNamePattern") or "")
    most = int(call.params.get("limit") or PAGE)
    if most > PAGE:
        raise Refusal("InvalidParameterException", "limit: Member must have value less than or equal to 50")
    after = str(call.params.get("nextToken") or "")
    names = [
        name
        for name in sorted(_groups(call))
        if name.startswith(prefix) and pattern.lower() in name.lower() and name > after
    ]
    shown = [
        {
            "logGroupClass": "STANDARD",
            **_groups(call)[name].to_describe_dict(),
            "deletionProtectionEnabled": (call.account, call.region, name) in _PROTECTED,
        }
        for name in names[:most]
    ]
    more = {"nextToken": names[most - 1]} if len(names) > most else {}
    return {"logGroups": shown, **more}


def refuse_deletion(call: Call) -> None:
    """Refuse to delete a group that is protected, or a stream of it."""
    if (call.account, call.region, str(call.params.get("logGroupName"))) in _PROTECTED:
        raise Refusal("InvalidOperationException", "The log group has deletion protection enabled.")


def state() -> list[list[str]]:
    """Return the protected groups."""
    with _GATE:
        return [list(one) for one in sorted(_PROTECTED)]


def _groups(call: Call) -> Mapping[str, Any]:
    from moto.logs.models import logs_backends

    found: Mapping[str, Any] = logs_backends[call.account][call.region].groups
    return found


def _name(identifier: str) -> str:
    return identifier.partition(":log-group:")[2].removesuffix(":*") or identifier


def _forget() -> None:
    with _GATE:
        _PROTECTED.clear()


HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("logs", "PutLogGroupDeletionProtection"): put_protection,
    ("logs", "DescribeLogGroups"): describe_groups,
}
GUARDS: Mapping[tuple[str, str], tuple[Guard, ...]] = {
    ("logs", "DeleteLogGroup"): (refuse_deletion,),
    ("logs", "DeleteLogStream"): (refuse_deletion,),
}
RESETS: tuple[Callable[[], None], ...] = (_forget,)
STATES: Mapping[str, Callable[[], Any]] = {"log_group_protection": state}
