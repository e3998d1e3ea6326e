"""Finds which units are the agent's, what starts them, and who else would, from the inventory's names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from breakglass.canon import Json
from breakglass.errors import BreakglassError, ProviderError
from breakglass_host import procfs, tree
from breakglass_host.cgroup import is_at_or_below
from breakglass_host.systemd import systemctl, unit_name

_PULLS = {
    "WantedBy": "wants it",
    "RequiredBy": "requires it",
    "RequisiteOf": "needs it to run",
    "BoundBy": "is bound to it",
    "UpheldBy": "upholds it, and so keeps starting it",
    "ConsistsOf": "stops and restarts with it",
    "OnFailureOf": "starts it when it fails",
    "OnSuccessOf": "starts it when it succeeds",
    "ReloadPropagatedFrom": "reloads it",
}
MADE_UP = "breakglass"
"""An instance that nobody has: asking about it loads a template, and starts nothing."""


@dataclass(frozen=True, slots=True)
class Units:
    """The agent's units on this machine."""

    named: tuple[str, ...]
    """As the inventory names them, by the name that systemd knows them by; templates among them."""
    own: tuple[str, ...]
    """Services, scopes and slices to be masked and stopped."""
    triggers: tuple[str, ...]
    """Timers, sockets and paths that start one of them."""
    pulled_by: Mapping[str, str]
    """Other units that would start one of them, and how."""
    refused: tuple[str, ...]
    """Why something that the inventory names was left out, in words."""
    on: tuple[str, ...] = ()
    """The triggers that are on when planning."""


def named(settings: Mapping[str, Json]) -> tuple[str, ...]:
    """Return the unit names of a reach, in its own words."""
    more = settings.get("units")
    found = [tree.setting(settings, "unit"), *(more if isinstance(more, list | tuple) else ())]
    return tuple(dict.fromkeys(str(one) for one in found if one))


def find(settings: Mapping[str, Json]) -> Units:
    """Ask systemd about every unit that the inventory names.

    Raises:
        ProviderError: an answer cannot be read.
    """
    reasons = {name: _why_not(name) for name in named(settings)}
    good = [name for name, why in reasons.items() if not why]
    refused = [f"unit {name}: {why}" for name, why in reasons.items() if why]
    started, foreign = _started_by(good)
    good += started
    refused += foreign
    own = closed_over(good)
    work = [name for name in own if unit_name.suffix(name) in unit_name.WORKLOADS]
    triggers: set[str] = {name for name in own if unit_name.suffix(name) in unit_name.TRIGGERS} | set(
        triggers_of(work)
    )
    triggers = {name for name in triggers if not unit_name.vital(name)}
    shown = _loadable(work)
    on = [one["Id"] for one in _loadable(triggers) if one["ActiveState"] == "active"]
    return Units(
        canonical(good),
        tuple(work),
        tuple(sorted(triggers)),
        _pulled_by(shown, {*work, *triggers}),
        tuple(refused),
        tuple(on),
    )


def kept_by(settings: Mapping[str, Json]) -> tuple[str, ...]:
    """Return every unit whose processes are the agent's and no neighbour's; empty: systemd does not say."""
    if systemctl.absent():
        return ()
    try:
        good = [name for name in named(settings) if not unit_name.complaint(name)]
        return tuple(dict.fromkeys((*good, *closed_over((*good, *_started_by(good)[0])))))
    except BreakglassError:
        return ()


def _started_by(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return what named triggers start by their own name, and in words what else, which nobody named.

    A trigger of the agent's may name any unit: one that bears another name may be a neighbour's.
    """
    given = list(names)
    triggers = [name for name in given if unit_name.suffix(name) in unit_name.TRIGGERS]
    own, foreign = [], []
    for one in systemctl.show(triggers, ("Id", "Triggers")) if triggers else ():
        stem = one["Id"].rpartition(".")[0]
        for name in systemctl.names(one.get("Triggers", "")):
            is_named = name in given or any(unit_name.instance_of(name, other) for other in given)
            if is_named or name in canonical(other for other in given if not unit_name.is_template(other)):
                continue
            if name.rpartition(".")[0] == stem and not _why_not(name):
                own.append(name)
            else:
                foreign.append(f"unit {name}: {one['Id']} starts it, and the inventory does not name it")
    return own, foreign


def refusal(name: str) -> str:
    """Say why a unit must not be stopped, whoever calls it the agent's; empty: it may be.

    What the executor runs in is told by its cgroup: no mask may keep that from coming back.
    """
    if why := unit_name.vital(name):
        return why
    return "the executor, or a parent of it, runs in it" if unit_name.escaped(name) in _own_parts() else ""


def _why_not(name: str) -> str:
    """Say why a named unit is left out, or something that it would take along; empty: it is the agent's."""
    if why := unit_name.complaint(name) or refusal(name):
        return why
    if unit_name.suffix(name) not in unit_name.WORKLOADS | unit_name.TRIGGERS:
        return "is no service, scope, slice, timer, socket or path"
    return next((f"{one} belongs to it: {why}" for one in closed_over((name,)) if (why := refusal(one))), "")


def canonical(units: Iterable[str]) -> tuple[str, ...]:
    """Return the names that systemd itself uses: of an alias, what it stands for."""
    asked = list(units)
    plain = [name for name in asked if not unit_name.is_template(name)]
    ids = dict(zip(plain, (one["Id"] for one in systemctl.show(plain)), strict=True)) if plain else {}
    return tuple(dict.fromkeys(ids.get(name, name) for name in asked))


def closed_over(units: Iterable[str]) -> tuple[str, ...]:
    """Return the units with all their names, instances of templates, and what lies in slices, as of now."""
    asked = list(dict.fromkeys(units))
    templates = [name for name in asked if unit_name.is_template(name)]
    slices = [name for name in asked if unit_name.suffix(name) == "slice"]
    found = dict.fromkeys(asked)
    if templates or slices:
        there = systemctl.loaded(("service", "scope", "slice", "socket", "timer", "path"))
        found |= dict.fromkeys(
            name for name in there if any(unit_name.instance_of(name, one) for one in templates)
        )
        found |= dict.fromkeys(_inside(there, slices) if slices else ())
    plain = [name for name in found if not unit_name.is_template(name)]
    for one in systemctl.show(plain) if plain else ():
        found |= dict.fromkeys((one["Id"], *systemctl.names(one.get("Names", ""))))
    return tuple(found)


def triggers_of(units: Iterable[str]) -> tuple[str, ...]:
    """Return every timer, socket and path that starts one of the units, or an instance of one."""
    wanted = set(units)
    templates = [name for name in wanted if unit_name.is_template(name)]
    there = systemctl.loaded(sorted(unit_name.TRIGGERS))
    found = []
    for one in systemctl.show(there, ("Id", "Triggers")) if there else ():
        started = systemctl.names(one.get("Triggers", ""))
        # A socket with Accept=yes starts a new instance of the template of its own name each time.
        started += (f"{one['Id'].rpartition('.')[0]}@.service",) if one["Id"].endswith(".socket") else ()
        if wanted.intersection(started) or any(
            unit_name.instance_of(name, template) for name in started for template in templates
        ):
            found.append(one["Id"])
    return tuple(found)


def cgroup_of(name: str) -> str:
    """Return the cgroup of a unit, or the one that it would get; empty: it has none of its own.

    Raises:
        ProviderError: systemd did not say.
    """
    asked = name.replace("@.", f"@{MADE_UP}.") if unit_name.is_template(name) else name
    shown, root = systemctl.show((asked, "-.slice"))
    top = root.get("ControlGroup", "").rstrip("/")
    if unit_name.is_template(name):
        # Instances share a slice that bears the template's name, unless their file says another.
        found = shown.get("Slice", "")
        return top + unit_name.slice_path(found) if _is_of_template(found, name) else ""
    if own := shown.get("ControlGroup", ""):
        return "" if own.strip("/") == "" else own
    unit = shown["Id"]
    if unit_name.suffix(unit) == "slice":
        return top + unit_name.slice_path(unit)
    above = shown.get("Slice", "") or "system.slice"
    if unit_name.complaint(above):
        raise ProviderError(f"unit {unit}: its slice is no unit name")
    return f"{top}{unit_name.slice_path(above)}/{unit_name.escaped(unit)}"


def tree_cgroup(settings: Mapping[str, Json]) -> tuple[str, str]:
    """Return the cgroup of the reach's `unit`, or in words why it has none."""
    name = tree.setting(settings, "unit")
    if not name:
        return "", ""
    if why := unit_name.complaint(name) or refusal(name):
        return "", f"unit {name}: {why}"
    if why := systemctl.absent():
        return "", f"unit {name}: {why}"
    if unit_name.suffix(name) not in unit_name.WORKLOADS:
        return "", f"unit {name}: is no service, scope or slice, so it holds no processes"
    try:
        canonical_name = canonical((name,))[0]
        if why := refusal(canonical_name):
            return "", f"unit {name}: it is {canonical_name}, and {why}"
        found = cgroup_of(canonical_name)
    except BreakglassError as error:
        return "", f"unit {name}: {error.what}"
    if not found:
        return "", f"unit {name}: has no cgroup of its own; what runs in it is ended by systemd"
    return found, tree.complaint(found) and f"unit {name}: its cgroup {tree.complaint(found)}"


def _own_parts() -> set[str]:
    """Return every folder of the cgroups that this process and its parents below process 1 are in."""
    found: set[str] = set()
    pid = os.getpid()
    while pid > 1:
        found.update((procfs.cgroup(pid) or "").split("/"))
        one = procfs.process(pid)
        pid = one.ppid if one is not None else 0
    return found


def _inside(there: Iterable[str], slices: list[str]) -> list[str]:
    """Return the units whose slice is, or lies in, one of these."""
    tops = [unit_name.slice_path(name) for name in slices]
    found = []
    for one in systemctl.show(list(there), ("Id", "Slice")):
        above = one.get("Slice", "")
        own = unit_name.slice_path(one["Id"]) if one["Id"].endswith(".slice") else ""
        path = own or (unit_name.slice_path(above) if above else "")
        if path and any(is_at_or_below(path, top) for top in tops):
            found.append(one["Id"])
    return found


def _is_of_template(slice_: str, template: str) -> bool:
    prefix = template.partition("@")[0].replace("\\", "\\x5c").replace("-", "\\x2d")
    return slice_ == f"system-{prefix}.slice"


def _loadable(units: Iterable[str]) -> tuple[systemctl.Shown, ...]:
    plain = [name for name in units if not unit_name.is_template(name)]
    return systemctl.show(plain, (*systemctl.PROPERTIES, *_PULLS)) if plain else ()


def _pulled_by(shown: Iterable[systemctl.Shown], ours: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in shown:
        for key, words in _PULLS.items():
            for name in systemctl.names(one.get(key, "")):
                if name not in ours:
                    found.setdefault(name, f"{words} ({one['Id']})")
    return found
