"""Reads entries of the Admin Activity audit log: who called what, and what a policy gained and lost by it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from breakglass.canon import Json
from breakglass_gcp.messages import as_json, text
from breakglass_gcp.messages import field as field_of
from breakglass_gcp.policies import Grant

ACTIVITY = "cloudaudit.googleapis.com%2Factivity"


@dataclass(frozen=True, slots=True)
class Change:
    """One grant that a policy gained or lost."""

    gained: bool
    grant: Grant


@dataclass(frozen=True, slots=True)
class Event:
    """One write that was carried out."""

    at: str
    by: str
    """Who the service says called: an address, or the whole name of a federated principal."""
    via: tuple[str, ...]
    """Who had that account's token made for itself, where the caller was impersonated."""
    method: str
    resource: str
    request: Mapping[str, Json]
    response: Mapping[str, Json]
    changes: tuple[Change, ...] = ()
    account: str = ""
    """Address of the service account that was changed, where the entry tells it beside the name."""

    @property
    def added(self) -> tuple[tuple[str, str], ...]:
        """Return (role, member) that a policy gained."""
        return tuple((one.grant.role, one.grant.member) for one in self.changes if one.gained)

    @property
    def verb(self) -> str:
        """Return the method's last part in lowercase: ``createserviceaccount``."""
        return self.method.rpartition(".")[2].lower()


def event_of(entry: Any) -> Event | None:  # noqa: ANN401 - Google's messages have no types here
    """Return an entry's event; None: it is none, or the call was refused."""
    from google.cloud.audit import audit_log_pb2

    log = audit_log_pb2.AuditLog()
    if not type(entry).pb(entry).proto_payload.Unpack(log) or log.status.code:
        return None
    auth = _part(log.authentication_info)
    return Event(
        at=str(entry.timestamp.rfc3339()) if entry.timestamp else "",
        by=text(auth, "principal_email") or text(auth, "principal_subject"),
        via=tuple(_delegated(auth)),
        method=str(log.method_name),
        resource=_placed(str(log.resource_name), entry),
        request=_part(log.request),
        response=_part(log.response),
        changes=tuple(_changes(log)),
        account=str(dict(entry.resource.labels).get("email_id") or ""),
    )


def _placed(name: str, entry: Any) -> str:  # noqa: ANN401 - as above
    """Return a resource's name with its place; version 1 of Cloud Run tells that beside the name alone."""
    place = str(dict(entry.resource.labels).get("location") or "")
    pieces = name.split("/")
    if pieces[0] != "namespaces" or len(pieces) < 3 or not place:  # noqa: PLR2004 - namespaces/PROJECT/KIND
        return name
    return "/".join(("projects", pieces[1], "locations", place, *pieces[2:]))


def _part(message: Any) -> Mapping[str, Json]:  # noqa: ANN401 - as above
    """Return a part of an entry as JSON; empty where it holds what JSON cannot."""
    from google.protobuf import json_format

    try:
        return as_json(message)
    except (json_format.Error, TypeError):
        return {}


def _delegated(auth: Json) -> Iterable[str]:
    told = field_of(auth, "service_account_delegation_info")
    for one in told if isinstance(told, list) else ():
        yield from filter(
            None, (text(one, "principal_subject"), text(one, "first_party_principal", "principal_email"))
        )


def _changes(log: Any) -> Iterable[Change]:  # noqa: ANN401 - as above
    """Yield what a policy gained and lost (google/iam/v1/logging/audit_data.proto, PolicyDelta)."""
    from google.iam.v1.logging import audit_data_pb2

    data = audit_data_pb2.AuditData()
    if log.HasField("service_data") and log.service_data.Unpack(data):
        for delta in data.policy_delta.binding_deltas:
            condition = _part(delta.condition) or None
            gained = delta.action == delta.Action.Value("ADD")
            if gained or delta.action == delta.Action.Value("REMOVE"):
                yield Change(gained, Grant(str(delta.role), str(delta.member), condition))
