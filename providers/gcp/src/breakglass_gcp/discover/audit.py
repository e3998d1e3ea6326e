"""Reads the Admin Activity audit log: what the agent's identities wrote, newest first, within limits.

Who enabled keys and who changed policies is read of everybody: an entry more, and no second listing.

The log is on for every project and cannot be switched off or deleted from (Cloud Audit Logs overview, "Admin
Activity audit logs"); an entry may come a little late, so what was made last may be missing for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from breakglass.canon import Json
from breakglass.clock import Instant
from breakglass.errors import ProviderError
from breakglass_gcp.log_queries import MOST, quoted
from breakglass_gcp.messages import as_json, text
from breakglass_gcp.messages import field as field_of
from breakglass_gcp.policies import Grant
from breakglass_gcp.project import Project

SCAN_S = 8.0
"""Planning has 30 s in all; what this does not reach is said."""
PAGE = 1000
MOST_PAGES = 20
ACTIVITY = "cloudaudit.googleapis.com%2Factivity"
_AUTH = "protoPayload.authenticationInfo"
_DELEGATED = f"{_AUTH}.serviceAccountDelegationInfo"
EVERYBODYS = 'protoPayload.methodName:("ServiceAccountKey" OR "hmacKeys" OR "SetIamPolicy")'
"""What is looked at whoever did it; text is compared without case (Logging query language)."""
WRITES = (
    "create",
    "insert",
    "setiampolicy",
    "setiampermissions",
    "setlabels",
    "upload",
    "enable",
    "undelete",
    "update",
    "patch",
    "replace",
    "modifypushconfig",
    "setlabels",
    "setmetadata",
    "setcommoninstancemetadata",
    "setserviceaccount",
)


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


@dataclass(slots=True)
class Trail:
    """What was read, and what was not."""

    events: list[Event] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)


def read(project: Project, who: Sequence[str], since: Instant, end_s: float) -> Trail:
    """Return the writes of these identities since a moment, until the clock's `end_s`.

    A page that fails takes none away that was read before it: the agent may use up the project's reads.

    Raises:
        ProviderError: the log cannot be read.
    """
    trail, token, back_to = Trail(), "", ""
    clock = project.connection.clock
    asked = {
        "resource_names": [project.name],
        "filter": _filter(project, who, since),
        "order_by": "timestamp desc",
        "page_size": PAGE,
    }
    for _ in range(MOST_PAGES):
        try:
            answer = project.call("logs", "list_log_entries", {**asked, "page_token": token})
        except ProviderError:
            if not trail.events:
                raise
            break
        for entry in answer.entries:
            back_to = str(entry.timestamp.rfc3339()) if entry.timestamp else back_to
            if (event := _event(entry)) is not None:
                trail.events.append(event)
        token = str(answer.next_page_token)
        if not token:
            return trail
        if clock.monotonic_s() > end_s:
            break
    trail.incomplete.append(f"the audit log was read back to {back_to or 'nothing'} only")
    return trail


def own(events: Iterable[Event], who: Iterable[str], pools: Iterable[str]) -> list[Event]:
    """Return the events of these identities, themselves or as somebody whom they impersonated."""
    return list(filter(by_any(who, pools), events))


def by_any(who: Iterable[str], pools: Iterable[str]) -> Callable[[Event], bool]:
    """Return what tells whether one of these did something, itself or as somebody whom it impersonated."""
    known = frozenset(who)
    marks = tuple(f"/workloadIdentityPools/{pool}/" for pool in pools)
    sets = tuple(pool_mark(one) for one in known if one.startswith("principalSet://"))

    def mine(name: str) -> bool:
        plain = name.removeprefix("serviceAccount:")
        return plain in known or any(mark in name for mark in (*marks, *filter(None, sets)))

    return lambda event: any(mine(name) for name in (event.by, *event.via))


def pool_mark(name: str) -> str:
    """Return what all subjects of the pool of a set, or a subject, have in their names; empty: no pool."""
    pool = name.partition("/workloadIdentityPools/")[2].partition("/")[0]
    return f"/workloadIdentityPools/{pool}/" if pool else ""


def _filter(project: Project, who: Sequence[str], since: Instant) -> str:
    head = f"logName={quoted(f'{project.name}/logs/{ACTIVITY}')} AND timestamp>={quoted(str(since))}"
    pools = [f"/workloadIdentityPools/{one}/" for one in project.settings.texts("workload_pools")]
    terms: list[str] = []
    accounts = [one for one in who if "://" not in one]
    subjects = [one for one in who if one.startswith("principal://")]
    parts = [*pools, *filter(None, (pool_mark(one) for one in who if one.startswith("principalSet://")))]
    if accounts:
        terms.append(f"{_AUTH}.principalEmail={_either(accounts)}")
        terms.append(f"{_DELEGATED}.firstPartyPrincipal.principalEmail={_either(accounts)}")
        terms.append(
            f"{_DELEGATED}.principalSubject={_either([f'serviceAccount:{one}' for one in accounts])}"
        )
    if subjects:
        terms.append(f"{_AUTH}.principalSubject={_either(subjects)}")
        terms.append(f"{_DELEGATED}.principalSubject={_either(subjects)}")
    if parts:
        terms.append(f"{_AUTH}.principalSubject:{_either(parts)}")
        terms.append(f"{_DELEGATED}.principalSubject:{_either(parts)}")
    if terms:
        terms.append(EVERYBODYS)
    # Of too many identities for one filter, everybody's writes are read and looked through.
    return (
        f"{head} AND ({' OR '.join(terms)})" if terms and len(terms) + sum(map(len, terms)) < MOST else head
    )


def _either(values: Iterable[str]) -> str:
    return f"({' OR '.join(quoted(one) for one in values)})"


def _event(entry: Any) -> Event | None:  # noqa: ANN401 - Google's messages have no types here
    """Return an entry's event; None: it is none, it changed nothing, or the call was refused."""
    from google.cloud.audit import audit_log_pb2

    log = audit_log_pb2.AuditLog()
    if not type(entry).pb(entry).proto_payload.Unpack(log) or log.status.code:
        return None
    auth = _part(log.authentication_info)
    event = Event(
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
    return event if any(one in event.verb for one in WRITES) else None


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
