"""Reads units into a state that can be recorded, and judges what systemd says of them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence

from breakglass.canon import Json, JsonObject
from breakglass.errors import ProviderError, Transient
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass.model.resource import Resource, State
from breakglass.provider import SealedStore
from breakglass_host import safepath
from breakglass_host.systemd import mask, relations, systemctl, unit_name

ENDED = frozenset({"inactive", "failed"})
LOST = frozenset({"not-found", "error"})
"""What systemd says of a unit whose link went while, or since, it read the folders (tried on 252)."""
_MAX_FILE = 1024 * 1024
_MAX_LINKS = 200
_LEADS_AWAY = (
    "a link leads to a file that not everybody may read: the agent may have laid it, so it is not copied"
)
_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator",
    "/run/systemd/generator.late",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)


def signed(resource: Resource, key: str = "units") -> tuple[str, ...]:
    """Return unit names of a signed target.

    Raises:
        ProviderError: one is no unit name, or is one that nobody may stop.
    """
    found = resource.params.get(key)
    names = tuple(str(one) for one in found) if isinstance(found, list) else ()
    for name in names:
        if why := unit_name.complaint(name) or relations.refusal(name):
            raise ProviderError(f"unit {safepath.shown(name)[:300]}: {why}", where=resource.id)
    return names


def read(names: Iterable[str], sealed: SealedStore | None) -> dict[str, Json]:
    """Read each unit; with a store also its files, of one that is not masked yet: they may hold secrets."""
    asked = tuple(dict.fromkeys(names))
    shown = systemctl.show([_loadable(name) for name in asked]) if asked else ()
    found: dict[str, Json] = {}
    for name, one in zip(asked, shown, strict=True):
        if why := relations.refusal(one["Id"]):
            raise ProviderError(f"refused: {one['Id']} would be masked too: {why}", where=name)
        found[f"unit:{name}"] = {**_described(one), **mask.links(name)}
    fresh = {name for name, one in zip(asked, shown, strict=True) if one["LoadState"] != "masked"}
    if sealed is not None and fresh:
        enabled = _enablement(fresh)
        for name, one in zip(asked, shown, strict=True):
            entry = found.get(f"unit:{name}")
            if name in fresh and isinstance(entry, dict):
                entry["files"] = [_file(path, sealed) for path in _paths(one)]
                entry["enabled_by"] = list(enabled.get(name, ()))
    return found


def entries(state: State) -> dict[str, JsonObject]:
    """Return the units of a state by name."""
    return {
        key.removeprefix("unit:"): value
        for key, value in state.objects.items()
        if key.startswith("unit:") and isinstance(value, Mapping)
    }


def judge_masked(state: State) -> Judgement:
    """Contained: systemd itself says of every unit that it is masked, and has read what is on the disk."""
    found = entries(state)
    if not found:
        return Judgement(Verdict.UNKNOWN, state.note or "no unit could be read", Grade.NONE)
    for name, unit in found.items():
        if _is_over(name, str(unit.get("load")), str(unit.get("active"))) and unit.get("can_start") is False:
            continue
        has_link = "mask" in (unit.get(mask.LASTING), unit.get(mask.UNTIL_BOOT))
        if unit.get("load") != "masked" or unit.get("can_start") is not False:
            words = "is masked on the disk, and systemd has not read it" if has_link else "is not masked"
            return Judgement(Verdict.NOT_CONTAINED, f"{name} {words}")
        if not has_link:
            words = "has lost its link, or is masked by others alone: it can start after the next reload"
            return Judgement(Verdict.NOT_CONTAINED, f"{name} {words}")
    brief = [
        name
        for name, unit in found.items()
        if unit.get(mask.LASTING) != "mask" and unit_name.suffix(name) != "scope"
    ]
    words = f"systemd says masked of {_count(found)}"
    if brief:
        why = state.objects.get("place")
        words += f"; only until the next boot of {brief[0]}: {why or f'{mask.LASTING} could not be written'}"
    return Judgement(Verdict.CONTAINED, words)


def judge_ended(state: State) -> Judgement:
    """Contained: every unit is inactive or failed, with no job queued and nothing in its cgroup."""
    for name, unit in entries(state).items():
        if unit.get("active") not in ENDED:
            return Judgement(Verdict.NOT_CONTAINED, f"{name} is {unit.get('active')} ({unit.get('sub')})")
        if unit.get("job"):
            return Judgement(Verdict.NOT_CONTAINED, f"{name} has a job queued")
        if unit.get("populated") is True:
            return Judgement(Verdict.NOT_CONTAINED, f"processes are left in the cgroup of {name}")
    return Judgement(Verdict.CONTAINED, f"{_count(entries(state))} ended, with no job queued")


def ask(names: Sequence[str]) -> Judgement:
    """Ask systemd whether it would start the units: the refusal that a start would get, without the start.

    Source: org.freedesktop.systemd1(5), LoadError and CanStart of a unit.
    """
    for name, one in zip(names, systemctl.show([_loadable(name) for name in names]), strict=True):
        if _is_over(name, one["LoadState"], one["ActiveState"]) and one["CanStart"] == "no":
            continue
        refused = one.get("LoadError", "").startswith("org.freedesktop.systemd1.UnitMasked")
        is_lasting = "mask" in mask.links(name).values()
        if one["CanStart"] != "no" or not refused or not is_lasting:
            reason = f"{name}: systemd would start it ({one['LoadState']}, CanStart={one['CanStart']})"
            return Judgement(Verdict.NOT_CONTAINED, reason, Grade.PLATFORM_EVALUATOR)
    reason = f"systemd refuses to start {_count(names)}: UnitMasked"
    return Judgement(Verdict.CONTAINED, reason, Grade.PLATFORM_EVALUATOR)


def unmasked(names: Sequence[str], where: str) -> tuple[systemctl.Shown, ...]:
    """Show units that another step unmasks; has systemd read the folders again where it lost one on the way.

    Raises:
        Transient: one is still masked by this stop.
    """
    shown = systemctl.show(names) if names else ()
    if any(one["LoadState"] in LOST for one in shown):
        systemctl.reload()
        shown = systemctl.show(names)
    for one in shown:
        place = os.path.dirname(one.get("FragmentPath", ""))  # noqa: PTH120 - as text
        if one["LoadState"] == "masked" and place in mask.PLACES:
            raise Transient(f"{one['Id']} is still masked by the stop", where=where)
    return shown


def disabled_since(unit: Mapping[str, Json], now: systemctl.Shown) -> bool:
    """Return whether somebody turned off since what was enabled: an undo must not turn it on again."""
    return unit.get("file_state") in ("enabled", "enabled-runtime") and now.get("UnitFileState") == "disabled"


def _is_over(name: str, load: str, active: str) -> bool:
    """Return whether it is a scope that ended: systemd starts none, and has no mask for one that is gone.

    Source: systemd.scope(5): scopes are made by programs alone; tried on 252.
    """
    return unit_name.suffix(name) == "scope" and load == "not-found" and active in ENDED


def _count(names: Iterable[str]) -> str:
    found = list(names)
    return found[0] if len(found) == 1 else f"{len(found)} units"


def _loadable(name: str) -> str:
    """Return what can be asked about: of a template an instance that nobody has."""
    return name.replace("@.", f"@{relations.MADE_UP}.") if unit_name.is_template(name) else name


def _described(one: systemctl.Shown) -> dict[str, Json]:
    return {
        "id": one["Id"],
        "load": one["LoadState"],
        "can_start": one["CanStart"] == "yes",
        "active": one["ActiveState"],
        "sub": one["SubState"],
        "type": one.get("Type", ""),
        "file_state": one.get("UnitFileState", ""),
        "fragment": safepath.shown(one.get("FragmentPath", "")),
        "transient": one.get("Transient") == "yes",
        "result": one.get("Result", ""),
        "job": one.get("Job", "") not in ("", "0"),
    }


def _paths(one: systemctl.Shown) -> list[str]:
    return [
        path for path in (one.get("FragmentPath", ""), *systemctl.words(one.get("DropInPaths", ""))) if path
    ]


def _file(path: str, sealed: SealedStore) -> Json:
    """Describe a unit file; its bytes are sealed, since Environment= may hold a secret."""
    about: dict[str, Json] = {"path": safepath.shown(path)}
    try:
        real = os.path.realpath(path)
        folder, name = os.path.split(real)
        with safepath.folder(folder) as at, safepath.readable(name, at) as file:
            found = os.fstat(file)
            if real != path and not found.st_mode & stat.S_IROTH:
                return {**about, "why": _LEADS_AWAY}
            data = os.read(file, _MAX_FILE + 1)
    except (OSError, ProviderError) as error:
        return {**about, "why": safepath.shown(str(error))[:200]}
    about |= {"mode": f"{stat.S_IMODE(found.st_mode):04o}", "mtime_ns": str(found.st_mtime_ns)}
    return {**about, "content": None if len(data) > _MAX_FILE else sealed.put(path, data)}


def _enablement(names: set[str]) -> dict[str, list[Json]]:
    """Return the links that enable the units or are other names of them; recorded, and never changed."""
    found: dict[str, list[Json]] = {}
    for top in _FOLDERS:
        for folder in (top, *_pulling(top)):
            for path, name in _links(folder):
                target = os.readlink(path)  # noqa: PTH115 - as text
                for unit in {name, os.path.basename(target)} & names:  # noqa: PTH119 - as text
                    if len(known := found.setdefault(unit, [])) < _MAX_LINKS:
                        known.append({"path": safepath.shown(path), "target": safepath.shown(target)})
    return found


def _pulling(top: str) -> list[str]:
    try:
        with os.scandir(top) as inside:
            return [one.path for one in inside if one.name.endswith((".wants", ".requires", ".upholds"))]
    except OSError:
        return []


def _links(folder: str) -> list[tuple[str, str]]:
    try:
        with os.scandir(folder) as inside:
            return [(one.path, one.name) for one in inside if one.is_symlink()]
    except OSError:
        return []
