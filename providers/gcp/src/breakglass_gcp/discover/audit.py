"""Reads the Admin Activity audit log: what the agent's identities wrote, newest first, within limits.

Who enabled keys and who changed policies is read of everybody: an entry more, and no second listing.

The log is on for every project and cannot be switched off or deleted from (Cloud Audit Logs overview, "Admin
Activity audit logs"); an entry may come a little late, so what was made last may be missing for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from breakglass.clock import Instant
from breakglass.errors import ProviderError
from breakglass_gcp.audit_events import ACTIVITY, Event, event_of
from breakglass_gcp.log_queries import MOST, quoted
from breakglass_gcp.project import Project

SCAN_S = 8.0
"""Planning has 30 s in all; what this does not reach is said."""
PAGE = 1000
MOST_PAGES = 20
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
            if (event := event_of(entry)) is not None and _writes(event):
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


def _writes(event: Event) -> bool:
    return any(one in event.verb for one in WRITES)


def _either(values: Iterable[str]) -> str:
    return f"({' OR '.join(quoted(one) for one in values)})"
