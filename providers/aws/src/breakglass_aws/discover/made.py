"""Finds what the agent's principals made for themselves, as CloudTrail tells it: one scan for all of them.

CloudTrail delivers within about 5 minutes on average (CloudTrail User Guide, "How CloudTrail works"), so
what was made last may be missing; users and roles are therefore read directly too (`principals`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind
from breakglass.provider import ProposedDoor
from breakglass_aws import trail_scan
from breakglass_aws.account import Account
from breakglass_aws.found import Found
from breakglass_aws.trail_events import Event, Marks, agents

SCAN_S = 8.0
"""Planning has 30 s in all; what this does not reach is said."""
BEFORE_S = 900
UNKNOWN_START_S = 3600
"""Where nobody said when the harm began, the last hour is read."""
_NAMED = {
    "CreateUser": ("users", ("user", "userName")),
    "CreateRole": ("roles", ("role", "roleName")),
    "CreateFunction20150331": ("functions", ("functionName",)),
    "CreatePipe": ("pipes", ("name",)),
}
"""Event -> the inventory's key, and where the answer names what was made."""


@dataclass(frozen=True, slots=True)
class Made:
    """What CloudTrail says was made since the harm began."""

    resources: tuple[tuple[str, str, str], ...] = ()
    """(key of the inventory, name, origin) of what the agent's principals made."""
    by_others: tuple[str, ...] = ()
    """ARNs of users and roles that somebody else is known to have made."""
    doors: tuple[ProposedDoor, ...] = ()
    incomplete: tuple[str, ...] = ()


def made_by(account: Account, found: Found) -> Made:
    """Return what was made since the harm began.

    Raises:
        CredentialsExpired: new ones let it go on.
    """
    clock = account.connection.clock
    since = (account.connection.since or clock.now().plus(-UNKNOWN_START_S)).plus(-BEFORE_S)
    end_s = clock.monotonic_s() + SCAN_S
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
    own = agents(list(events.values()), _marks(account, found))
    mine = {event.id for event in own}
    others = [event for event in events.values() if event.id not in mine]
    return Made(
        resources=tuple(_resources(own)),
        by_others=tuple(_arns(others)),
        doors=tuple(_doors(own, set(found.of("users")))),
        incomplete=tuple(incomplete),
    )


def _marks(account: Account, found: Found) -> Marks:
    return Marks(
        account=account.id,
        users=frozenset(name.rpartition("/")[2] for name in found.of("users")),
        roles=frozenset(name.rpartition("/")[2] for name in found.of("roles")),
        sessions=found.of("role_sessions"),
        resources=frozenset(),
    )


def _resources(own: Sequence[Event]) -> Iterator[tuple[str, str, str]]:
    for event in own:
        if event.body.get("errorCode"):
            continue
        name, answer = str(event.body.get("eventName") or ""), _mapping(event.body.get("responseElements"))
        origin = f"made by the agent ({name} at {event.body.get('eventTime')}, CloudTrail)"
        if name in _NAMED:
            key, path = _NAMED[name]
            if made := _at(answer, path):
                yield key, made, origin
        elif name == "RunInstances":
            items = _mapping(answer.get("instancesSet")).get("items")
            for item in items if isinstance(items, list) else ():
                if made := str(_mapping(item).get("instanceId") or ""):
                    yield "instances", made, origin
        elif name == "CreateStateMachine":
            if made := str(answer.get("stateMachineArn") or "").rpartition(":")[2]:
                yield "state_machines", made, origin
        elif name == "AssumeRole":
            arn = _at(answer, ("assumedRoleUser", "arn"))
            if session := arn.partition(":assumed-role/")[2]:
                yield "role_sessions", session, f"assumed by the agent ({event.body.get('eventTime')})"


def _arns(others: Sequence[Event]) -> Iterator[str]:
    for event in others:
        answer = _mapping(event.body.get("responseElements"))
        for part in ("user", "role"):
            if arn := _at(answer, (part, "arn")):
                yield arn


def _doors(own: Sequence[Event], users: set[str]) -> Iterator[ProposedDoor]:
    """Yield what the agent made on somebody else's identity: no step may take that identity away."""
    for event in own:
        name, asked = event.body.get("eventName"), _mapping(event.body.get("requestParameters"))
        user = str(asked.get("userName") or "")
        if event.body.get("errorCode") or name not in {"CreateAccessKey", "CreateLoginProfile"}:
            continue
        if not user or user in users:
            continue
        key = _at(_mapping(event.body.get("responseElements")), ("accessKey", "accessKeyId"))
        what = f"access key {key} of user {user}" if key else f"password of user {user}"
        reason = f"the agent made it at {event.body.get('eventTime')}; {user} is not the agent's"
        remedy = "set it inactive by hand, or name the user in the inventory and stop again"
        yield ProposedDoor(
            Door(DoorKind.CAN_MINT, what[:200], reason[:500], remedy, user[:200], (), Verdict.NOT_CONTAINED)
        )


def _at(value: Mapping[str, object], path: Sequence[str]) -> str:
    """Return the text at a path; empty where there is none."""
    here: object = value
    for part in path:
        here = _mapping(here).get(part)
    return here if isinstance(here, str) else ""


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
