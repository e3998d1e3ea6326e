"""Says before anyone signs who else is where the agent is, and what of the inventory is not there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from breakglass.model.plan import DoorKind
from breakglass_kubernetes.discover.claims import Claims
from breakglass_kubernetes.discover.identities import Identities
from breakglass_kubernetes.discover.looking import Looking
from breakglass_kubernetes.kinds import NAMESPACES
from breakglass_kubernetes.objects import name_of, text
from breakglass_kubernetes.ownership import Held, Thing, tops
from breakglass_kubernetes.scope import Scope
from breakglass_kubernetes.settings import NOBODYS

MOST_SINGLE = 20
_SHOWN = 5


def say(
    looking: Looking, inventory: Scope, things: Sequence[Thing], mine: Held, who: Identities, claims: Claims
) -> None:
    """Add notes and doors."""
    _missing(looking, inventory, things, claims)
    _shared_namespaces(inventory, things, mine, claims)
    _sharers(looking, who, claims)
    for name, count in Counter(thing.namespace for thing in mine.roots).items():
        if name in NOBODYS:
            reason = f"{count} of the agent's workloads run in it; nothing else in it is touched"
            claims.leave(f"namespace {name}", reason)


def _missing(looking: Looking, inventory: Scope, things: Sequence[Thing], claims: Claims) -> None:
    """Say what of the inventory is not there: a slip would look like an agent that has nothing."""
    wanted = dict.fromkeys((*inventory.namespaces, *inventory.own))
    if len(wanted) > MOST_SINGLE:
        live = {name_of(body): body for body in looking.every(NAMESPACES)}
    else:
        found = {name: looking.one(NAMESPACES, "", name) for name in wanted}
        live = {name: body for name, body in found.items() if body is not None}
    seen = bool(live) or not any(NAMESPACES.name in one for one in looking.incomplete)
    for name in wanted:
        if name not in live and seen:
            looking.incomplete.append(f"namespace {name} of the inventory is not there: is it a slip?")
        elif text(live.get(name, {}), "status", "phase") == "Terminating":
            claims.leave(
                f"namespace {name}", "it is being deleted: what is in it ends, and nothing new can be made"
            )
    there = {thing.key for thing in things}
    for key in inventory.workloads:
        kind = key.partition("/")[0]
        if key not in there and kind in {thing.kind.name for thing in things}:
            claims.leave(key, "the inventory names it, and it is not there")


def _shared_namespaces(inventory: Scope, things: Sequence[Thing], mine: Held, claims: Claims) -> None:
    own = {thing.uid for thing in mine.things}
    top = tops(things)
    others: dict[str, list[str]] = {}
    for thing in things:
        if thing.uid not in own and top[thing.uid] == thing.uid:
            others.setdefault(thing.namespace, []).append(thing.key)
    for name in inventory.namespaces:
        if keys := others.get(name):
            claims.leave(
                f"namespace {name}",
                f"{len(keys)} others in it are neither selected nor labelled: {_some(keys)}",
            )


def _sharers(looking: Looking, who: Identities, claims: Claims) -> None:
    """Say who runs as an account of the agent's; not knowing since when there is harm, one may be a copy."""
    since = looking.cluster.connection.since
    for account, keys in who.sharers.items():
        if account in who.accounts:
            continue  # accepted by the inventory: it is stopped with the agent
        if since is None and not account.endswith("/default"):
            claims.door(
                DoorKind.NO_STEP,
                f"who else runs as serviceaccounts/{account}",
                f"{_some(list(keys))}: nobody named or labelled them; whether one is a copy is not known",
                "say since when there was harm (--started-at), or name in workloads what is the agent's",
            )
        else:
            claims.leave(
                _some(list(keys)),
                f"older than the harm, and run as serviceaccounts/{account}, which is shared",
            )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
