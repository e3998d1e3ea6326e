"""Proposes the steps about the agent's units: mask them, stop what triggers them, stop them."""

from __future__ import annotations

from breakglass.canon import Json
from breakglass.errors import BreakglassError
from breakglass.model.action import Grade, Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.model.resource import Resource
from breakglass.provider import Connection, Proposal, Proposed, ProposedDoor, WaitFor
from breakglass_host import tree
from breakglass_host.actions import triggers, units_mask, units_stop
from breakglass_host.systemd import mask, relations, systemctl, unit_name
from breakglass_host.systemd.relations import Units

MASK_KEY = "mask:units"
MASK_WAIT_S = 5.0
"""A reload took 0.1 s on an idle machine; the kill comes after it, so that nothing restarts what it ends."""
_KILL_WAIT_S = 20.0
_MASK_DEADLINE_S = 60.0
_STOP_DEADLINE_S = 60.0
_SAID = 40


def propose(connection: Connection, freeze_key: str | None, kill_key: str) -> Proposed:
    """Propose for the units that the inventory names; without such names there is nothing to say."""
    settings = connection.reach.settings
    if not (named := relations.named(settings)):
        return Proposed()
    if why := systemctl.absent():
        return Proposed((), tuple(_door(f"unit {one}", why) for one in named), ())
    try:
        found = relations.find(settings)
        cgroups = units_stop.places(found.own)
    except BreakglassError as error:
        return Proposed(incomplete=(f"units of {tree.setting(settings, 'unit') or named[0]}: {error.what}",))
    doors = tuple(_door(why.partition(": ")[0], why.partition(": ")[2]) for why in found.refused)
    own, _ = relations.tree_cgroup(settings)
    steps = (*_mask(found, own), *_triggers(found), *_stop(found, cgroups, freeze_key, kill_key))
    return Proposed(steps, doors, _not_touched(found))


def _mask(found: Units, cgroup: str) -> tuple[Proposal, ...]:
    if not found.own:
        return ()
    sockets: list[Json] = [name for name in found.on if unit_name.suffix(name) == "socket"]
    target = _target("units", found, {"units": [*found.own], "cgroup": cgroup, "sockets": sockets})
    return (
        Proposal(
            MASK_KEY,
            units_mask.SPEC.name,
            target,
            deadline_s=_MASK_DEADLINE_S,
            affects=tuple(sorted(found.pulled_by))[:_SAID],
        ),
    )


def _triggers(found: Units) -> tuple[Proposal, ...]:
    if not found.triggers:
        return ()
    target = _target("triggers", found, {"units": [*found.triggers], "of": [*found.own], "on": [*found.on]})
    return (Proposal("triggers:units", triggers.SPEC.name, target, deadline_s=_MASK_DEADLINE_S),)


def _stop(found: Units, cgroups: list[Json], freeze_key: str | None, kill_key: str) -> tuple[Proposal, ...]:
    if not found.own:
        return ()
    waits = (WaitFor(MASK_KEY, MASK_WAIT_S), *((WaitFor(kill_key, _KILL_WAIT_S),) if freeze_key else ()))
    target = _target("stop", found, {"units": [*found.own], "cgroups": cgroups})
    return (
        Proposal(
            "stop:units",
            units_stop.SPEC.name,
            target,
            after=waits,
            best_grade=Grade.READ_BACK,
            deadline_s=_STOP_DEADLINE_S,
        ),
    )


def _target(what: str, found: Units, params: dict[str, Json]) -> Resource:
    first = found.named[0]
    more = f" and {len(found.named) - 1} more" if len(found.named) > 1 else ""
    words = {"units": "units of", "triggers": "triggers of", "stop": "what runs in"}[what]
    return Resource("systemd-units", f"{what}:{first}{more}", f"{words} {first}{more}", params)


def _door(name: str, why: str) -> ProposedDoor:
    remedy = "correct the inventory: name a unit that is the agent's alone"
    return ProposedDoor(Door(DoorKind.NO_STEP, name[:300], why[:500], remedy, "", (), Verdict.NOT_CONTAINED))


def _not_touched(found: Units) -> tuple[NotTouched, ...]:
    """Say who would start the agent and is left alone: the mask is what refuses them."""
    said = sorted(found.pulled_by.items())
    lines = [NotTouched(f"unit {name}", f"{how}; the mask refuses it") for name, how in said[:_SAID]]
    if len(said) > _SAID:
        lines.append(NotTouched(f"{len(said) - _SAID} more units", "would start it; the mask refuses them"))
    lines += [
        NotTouched(f"who makes {name}", "a scope is made by a program, and systemd refuses nobody a new one")
        for name in found.own
        if unit_name.suffix(name) == "scope"
    ][:_SAID]
    if why := mask.cannot_last():
        lines.append(NotTouched("masks that last", f"{why}: they end with the next boot"))
    return tuple(lines)
