"""Finds what the agent's principals made for themselves, as CloudTrail tells it: one scan for all of them.

CloudTrail delivers within about 5 minutes on average (CloudTrail User Guide, "How CloudTrail works"), so
what was made last may be missing; users and roles are therefore read directly too (`principals`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from breakglass.model.plan import NotTouched
from breakglass.provider import ProposedDoor
from breakglass_aws import trail_scan
from breakglass_aws.account import Account
from breakglass_aws.discover.late_credentials import Late, late_credentials, outlasting
from breakglass_aws.discover.planted import elsewhere, planted
from breakglass_aws.discover.tags import TAG
from breakglass_aws.found import Found
from breakglass_aws.trail_events import Event, Marks, agents, caller, mapping, text_at, texts

SCAN_S, LEAST_SCAN_S = 8.0, 2.0
"""Planning has 30 s in all; what this does not reach is said."""
BEFORE_S = 900
UNKNOWN_START_S = 3600
"""Where nobody said when the harm began, the last hour is read."""
_GLOBAL = frozenset({"users", "roles", "role_sessions"})
_NAMED = {
    "CreateUser": ("users", ("user", "userName")),
    "CreateRole": ("roles", ("role", "roleName")),
    "CreateFunction20150331": ("functions", ("functionName",)),
    "CreateFunction20150331v2": ("functions", ("functionName",)),
    "CreatePipe": ("pipes", ("name",)),
}
"""Event -> the inventory's key, and where the answer names what was made."""


@dataclass(frozen=True, slots=True)
class Made:
    """What CloudTrail says was made since the harm began."""

    resources: tuple[tuple[str, str, str], ...] = ()
    """(key of the inventory, name, origin) of what the agent's principals made."""
    by_others: tuple[tuple[str, str], ...] = ()
    """(ARN of a user or role, by whom) of those that somebody else is known to have made."""
    doors: tuple[ProposedDoor, ...] = ()
    incomplete: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    """A user's old name -> the one that it was given."""
    tagged_by_it: Mapping[str, str] = field(default_factory=dict)
    """What the agent itself tagged as its own (a name, or the end of an ARN) -> when."""
    late_credentials: Late = field(default_factory=dict)
    not_touched: tuple[NotTouched, ...] = ()


def made_by(account: Account, found: Found) -> Made:
    """Return what was made since the harm began.

    Raises:
        CredentialsExpired: new ones let it go on.
    """
    clock = account.connection.clock
    since = (account.connection.since or clock.now().plus(-UNKNOWN_START_S)).plus(-BEFORE_S)
    # Who uses up several quotas at once must not make planning, or the look after the stop, outlast its time.
    end_s = clock.monotonic_s() + max(LEAST_SCAN_S, SCAN_S - account.waited_s)
    places = trail_scan.regions(account)
    events: dict[str, Event] = {}
    incomplete: list[str] = []
    for n, region in enumerate(places):
        until_s = clock.monotonic_s() + (end_s - clock.monotonic_s()) / (len(places) - n)
        scan = trail_scan.scan(account, region, since, lambda until=until_s: until - clock.monotonic_s())  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        events |= {event.id: event for event in scan.events}
        if scan.failed:
            incomplete.append(f"CloudTrail in {region}: {scan.failed}")
        elif not scan.complete:
            incomplete.append(f"CloudTrail in {region} was read back to {scan.back_to or 'nothing'} only")
    renamed = _renamed(list(events.values()), found)
    own = agents(list(events.values()), _marks(account, found, renamed))
    mine = {event.id for event in own}
    others = [event for event in events.values() if event.id not in mine]
    return Made(
        resources=(
            *(("users", new, f"renamed, it was user {old} (CloudTrail)") for old, new in renamed.items()),
            *(
                (key, name, origin)
                for event, key, name, origin in _resources(own)
                if _here(account, event, key)
            ),
        ),
        by_others=tuple(_by_others(others)),
        doors=(*planted(own, found), *_elsewhere(account, own)),
        incomplete=tuple(incomplete),
        renamed=renamed,
        tagged_by_it=dict(_tagged(own)),
        late_credentials=late_credentials(list(events.values()), own, renamed, account.connection.since),
        not_touched=tuple(outlasting(own, found, account.connection.since)),
    )


def _renamed(events: Sequence[Event], found: Found) -> Mapping[str, str]:
    """Return the agent's users that anybody renamed; a user keeps its keys and sessions under a new name."""
    own = {name.rpartition("/")[2] for name in found.of("users")}
    renamed: dict[str, str] = {}
    for event in sorted(events, key=lambda one: str(one.body.get("eventTime"))):
        asked = mapping(event.body.get("requestParameters"))
        old, new = text_at(asked, ("userName",)), text_at(asked, ("newUserName",))
        done = event.body.get("eventName") == "UpdateUser" and not event.body.get("errorCode")
        if done and new and old in own:
            own.add(new)
            renamed[old] = new
    return renamed


def _marks(account: Account, found: Found, renamed: Mapping[str, str]) -> Marks:
    return Marks(
        account=account.id,
        users=frozenset((*renamed.values(), *(name.rpartition("/")[2] for name in found.of("users")))),
        roles=frozenset(name.rpartition("/")[2] for name in found.of("roles")),
        sessions=found.of("role_sessions"),
        resources=frozenset(),
    )


def _here(account: Account, event: Event, key: str) -> bool:
    """Return whether what an event made is this account's and region's; users and roles have no region."""
    if key in _GLOBAL:
        return True
    return str(event.body.get("awsRegion") or account.region) == account.region


def _elsewhere(account: Account, own: Sequence[Event]) -> Iterator[ProposedDoor]:
    """Yield what the agent made in another region, and whom it became in another account."""
    for event, key, name, _ in _resources(own):
        if not _here(account, event, key):
            yield elsewhere(event, f"{key} {name}", f"region {event.body.get('awsRegion')}")
    for event in own:
        arn = text_at(mapping(event.body.get("responseElements")), ("assumedRoleUser", "arn"))
        if arn and arn.split(":")[4] != account.id:
            yield elsewhere(event, arn.rpartition(":")[2], f"account {arn.split(':')[4]}")


def _resources(own: Sequence[Event]) -> Iterator[tuple[Event, str, str, str]]:
    for event in own:
        if event.body.get("errorCode"):
            continue
        name, answer = str(event.body.get("eventName") or ""), mapping(event.body.get("responseElements"))
        origin = f"made by the agent ({name} at {event.body.get('eventTime')}, CloudTrail)"
        if name in _NAMED:
            key, path = _NAMED[name]
            if made := text_at(answer, path):
                yield event, key, made, origin
        elif name == "RunInstances":
            items = mapping(answer.get("instancesSet")).get("items")
            for item in items if isinstance(items, list) else ():
                if made := str(mapping(item).get("instanceId") or ""):
                    yield event, "instances", made, origin
        elif name == "CreateStateMachine":
            if made := str(answer.get("stateMachineArn") or "").rpartition(":")[2]:
                yield event, "state_machines", made, origin
        elif name == "AssumeRole":
            arn = text_at(answer, ("assumedRoleUser", "arn"))
            session = arn.partition(":assumed-role/")[2]
            if session and arn.split(":")[4] == event.body.get("recipientAccountId", arn.split(":")[4]):
                yield event, "role_sessions", session, f"assumed by the agent ({event.body.get('eventTime')})"


def _tagged(own: Sequence[Event]) -> Iterator[tuple[str, str]]:
    for event in own:
        named = list(texts(event.body.get("requestParameters"), 0))
        if str(event.body.get("eventName")).startswith("Tag") and not event.body.get("errorCode"):
            keys = {*named, *mapping(mapping(event.body.get("requestParameters")).get("tags"))}
            if TAG in keys:
                for one in named:
                    yield re.split("[:/]", one)[-1], str(event.body.get("eventTime"))


def _by_others(others: Sequence[Event]) -> Iterator[tuple[str, str]]:
    """Yield whom somebody else made; what a service made may be by order of anybody, the agent too."""
    for event in others:
        ordered = mapping(event.body.get("userIdentity")).get("invokedBy")
        if ordered or str(event.body.get("sourceIPAddress") or "").endswith(".amazonaws.com"):
            continue
        answer = mapping(event.body.get("responseElements"))
        for part in ("user", "role"):
            if arn := text_at(answer, (part, "arn")):
                yield arn, caller(mapping(event.body.get("userIdentity")))
