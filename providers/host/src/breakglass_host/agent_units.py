"""Finds the units whose evidence is collected: the agent's own, what starts them, and what pulls them in."""

from __future__ import annotations

from breakglass.canon import JsonObject
from breakglass.errors import BreakglassError
from breakglass_host import unit_places
from breakglass_host.systemd import relations, systemctl, unit_name

MOST = 200


def find(settings: JsonObject, cgroup: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the units, and in words what could not be listed.

    A unit that must not be stopped, since the machine depends on it, is no reason to collect less of it.
    """
    own = cgroup.rsplit("/", 1)[-1]
    named = [name for name in (*relations.named(settings), own) if not unit_name.complaint(name)]
    found, incomplete = dict.fromkeys(named), []
    if named and not systemctl.absent():
        try:
            units = relations.find(settings)
            found |= dict.fromkeys((*units.named, *units.own, *units.triggers))
        except BreakglassError as error:
            incomplete.append(f"units whose evidence is collected: {error}")
    found |= dict.fromkeys(
        name for unit in tuple(found) for name in _same_name(unit) if unit_places.exists(name)
    )
    if len(found) > MOST:
        incomplete.append(f"units whose evidence is collected: the first {MOST} of {len(found)}")
    return tuple(found)[:MOST], tuple(incomplete)


def _same_name(unit: str) -> tuple[str, ...]:
    """Return what starts a service of this name unless its file says otherwise (systemd.timer(5), Unit=)."""
    stem, dot, kind = unit.rpartition(".")
    return tuple(f"{stem}.{one}" for one in sorted(unit_name.TRIGGERS)) if dot and kind == "service" else ()
