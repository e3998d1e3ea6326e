"""Finds what the agent's identities made, by the API server's own audit log, where it can be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from breakglass.clock import Instant
from breakglass.errors import MalformedInput, ProviderError
from breakglass.model.plan import DoorKind
from breakglass_kubernetes.audit import Limits, Tally, Wanted, read
from breakglass_kubernetes.discover import friends, marked
from breakglass_kubernetes.discover.claims import Claims
from breakglass_kubernetes.discover.deeds import Deeds, Place
from breakglass_kubernetes.discover.looking import Looking
from breakglass_kubernetes.kinds import (
    ADMISSION_BINDINGS,
    CLUSTER_ROLE_BINDINGS,
    MUTATING_BINDINGS,
    PODS,
    ROLE_BINDINGS,
    SECRETS,
    SERVICE_ACCOUNTS,
    WORKLOADS,
    Kind,
)
from breakglass_kubernetes.objects import Body, controller_of, name_of, namespace_of, text
from breakglass_kubernetes.scope import Scope

WITHIN_S = 8.0
"""A look back after the stop has 25 s for everything."""
MOST_BYTES = 512 * 1024**2
MOST_PASSES = 4
MOST_SINGLE = 20
"""So many objects are read one by one; of more of a kind, all are listed."""
_RUNS = frozenset({kind.name for kind in (*WORKLOADS, PODS)})


@dataclass(slots=True)
class Entered:
    """What runs and was changed or got into by the agent; whether it is its own is told later."""

    bodies: dict[str, str] = field(default_factory=dict)
    """Key -> what it did there."""


def follow(looking: Looking, scope: Scope, claims: Claims, path: str, pods: frozenset[str]) -> Entered:
    """Add what they made; whom they made is followed in turn. `pods` are the agent's, as ``NS/NAME``."""
    clock = looking.cluster.connection.clock
    until_s = clock.monotonic_s() + WITHIN_S
    limits = Limits(bytes=MOST_BYTES, left_s=lambda: until_s - clock.monotonic_s())
    wanted, entered = Wanted.of(scope), Entered()
    for _ in range(MOST_PASSES):
        deeds, tally = Deeds(frozenset(scope.shared), pods), Tally()
        try:
            for event in read(Path(path), wanted, None, limits, tally):
                deeds.take(event)
        except ProviderError as error:
            looking.incomplete.append(f"the audit log could not be read: {error}"[:500])
            return entered
        looking.incomplete += [f"audit log: {left}"[:500] for left in tally.left_out]
        _judge(looking, scope, claims, deeds, entered)
        wider = claims.widen(scope)
        fresh = frozenset(wider.accounts) - frozenset(scope.accounts)
        if not fresh:
            return entered
        wanted, scope = Wanted.of(Scope(scope.agent, accounts=tuple(sorted(fresh)))), wider
    looking.incomplete.append("audit log: the agent's accounts made accounts that made accounts; it goes on")
    return entered


def _judge(looking: Looking, scope: Scope, claims: Claims, deeds: Deeds, entered: Entered) -> None:
    live = _live(looking, (*deeds.made, *(one for one in deeds.changed if one[0].name in _RUNS)))
    # Accounts first: what is bound to one of them is no stranger's.
    for accounts in (True, False):
        wide = claims.widen(scope)
        for place in (one for one in deeds.made if (one[0] == SERVICE_ACCOUNTS) is accounts):
            event = deeds.made[place]
            if (body := live.get(place)) is not None and _born_s(body) <= event.ended.epoch_ms // 1000:
                add(wide, claims, place[0], body, deeds.why(event))
    for (kind, namespace), events in deeds.nameless.items():
        times = {at.epoch_ms // 1000 for event in events for at in (event.at, event.ended)}
        for body in _generated(looking, kind, namespace):
            if _born_s(body) in times:
                why = f"{deeds.why(events[0])}, under a name that the server chose"
                add(wide, claims, kind, body, why)
    _tell(wide, claims, deeds, entered, frozenset(live))


def _tell(scope: Scope, claims: Claims, deeds: Deeds, entered: Entered, there: frozenset[Place]) -> None:
    """Say what stays open of it."""
    for account, event in deeds.tokens.items():
        if not scope.is_account(account):
            friends.minted(claims, account, f"{event.user} minted a token of it at {event.at}")
    for place, event in deeds.changed.items():
        key = place[0].key(place[1], place[2])
        if place[0] in (ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS):
            claims.leave(key, f"{event.user} changed it at {event.at}: look whom it names")
        elif place in there:
            entered.bodies.setdefault(key, f"{deeds.way(event)} at {event.at}")
    for account, keys in deeds.unsure.items():
        claims.door(
            DoorKind.NO_STEP,
            f"what serviceaccounts/{account} made",
            f"others run as it, too; whether the agent made {', '.join(keys[:5])} is not known",
            "look at them by hand; name in workloads what is the agent's",
        )


def add(scope: Scope, claims: Claims, kind: Kind, body: Body, why: str) -> None:
    """Add one thing that the agent made."""
    if kind == SERVICE_ACCOUNTS:
        marked.account(scope, claims, f"{namespace_of(body)}/{name_of(body)}", why)
    elif kind == SECRETS:
        friends.token_secret(scope, claims, body, why)
    elif kind in (ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS):
        friends.binding(scope, claims, kind, body, why)
    elif kind.name in _RUNS:
        marked.workload(scope, claims, kind, body, why)
    elif kind in (ADMISSION_BINDINGS, MUTATING_BINDINGS):
        marked.policy_binding(claims, kind, body, why)
    else:
        marked.configuration(claims, kind, name_of(body), why)


def _live(looking: Looking, places: Iterable[Place]) -> Mapping[Place, Body]:
    """Return those that are there now."""
    by_kind: dict[Kind, set[Place]] = {}
    for place in places:
        by_kind.setdefault(place[0], set()).add(place)
    found: dict[Place, Body] = {}
    for kind, wanted in by_kind.items():
        if len(wanted) > MOST_SINGLE:
            listed = {(kind, namespace_of(body), name_of(body)): body for body in looking.every(kind)}
            found |= {place: listed[place] for place in wanted if place in listed}
            continue
        for place in wanted:
            body = looking.one(kind, place[1], place[2])
            found |= {} if body is None else {place: body}
    return found


def _generated(looking: Looking, kind: Kind, namespace: str) -> list[Body]:
    return [
        thing.body
        for thing in looking.things_in((kind,), (namespace,))
        if text(thing.body, "metadata", "generateName") and not controller_of(thing.body)
    ]


def _born_s(body: Body) -> int:
    try:
        return Instant.parse(text(body, "metadata", "creationTimestamp")).epoch_ms // 1000
    except MalformedInput:
        return 0
