"""What an audit entry tells of a write beside its method: request, response, what a policy gained and lost.

google/cloud/audit/audit_log.proto: `request` and `response`, never with secrets or too large parts of them;
google/iam/v1/logging/audit_data.proto: `policy_delta` of a SetIamPolicy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call

_SECRET = frozenset(
    {"privateKeyData", "keyString", "accessToken", "secret", "env", "body", "payload", "data"}
)
_TOKENS = ("/token", "oauth2.", "sts.", "iamcredentials", "iam.credentials")


def told(call: Call, answer: object) -> dict[str, Any]:
    """Return request, response and changes of a policy as JSON; of token endpoints nothing."""
    if any(one in call.method for one in _TOKENS):
        return {}
    return {"request": _json(call.request), "response": _json(answer), "deltas": list(call.deltas)}


def deltas(before: Any, after: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - Policy
    """Return which members a policy gained and lost, by role and condition."""
    had, has = _members(before), _members(after)
    changes = [("REMOVE", one) for one in sorted(had - has)] + [("ADD", one) for one in sorted(has - had)]
    return [
        {"action": action, "role": role, "member": member}
        | ({"condition": dict(condition)} if condition else {})
        for action, (role, member, condition) in changes
    ]


def pack(log: Any, one: Mapping[str, Any]) -> None:  # noqa: ANN401 - AuditLog
    """Put what was told into an audit entry."""
    from google.iam.v1.logging import audit_data_pb2

    for part in ("request", "response"):
        if one.get(part):
            getattr(log, part).update(one[part])
    if one.get("deltas"):
        data = audit_data_pb2.AuditData()
        for change in one["deltas"]:
            data.policy_delta.binding_deltas.add(**change)
        log.service_data.Pack(data)


def _members(policy: Any) -> set[tuple[str, str, tuple[tuple[str, str], ...]]]:  # noqa: ANN401 - Policy
    return {
        (binding.role, member, tuple((field.name, value) for field, value in binding.condition.ListFields()))
        for binding in policy.bindings
        for member in binding.members
    }


def _json(value: object) -> Any:  # noqa: ANN401 - JSON
    from google.protobuf import json_format

    kind: Any = type(value)
    if hasattr(kind, "pb"):
        value = kind.pb(value)
    if hasattr(value, "DESCRIPTOR"):
        try:
            return _plain(json_format.MessageToDict(value))
        except (json_format.Error, TypeError):
            return {}
    body = getattr(value, "body", None)
    if isinstance(body, Mapping):
        return _plain({**getattr(value, "params", {}), **body})
    return _plain(value) if isinstance(value, Mapping) else {}


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items() if key not in _SECRET}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
