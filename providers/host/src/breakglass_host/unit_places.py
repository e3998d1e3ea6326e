"""Knows where unit files and the links that enable them lie (systemd.unit(5), UNIT FILE LOAD PATH)."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from breakglass.canon import Json
from breakglass.errors import ProviderError
from breakglass_host import safepath
from breakglass_host.systemd import systemctl, unit_name

_SYSTEM = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/run/systemd/generator.late",
)
_ENABLES = (".wants", ".requires", ".upholds")
_MOST_NAMES = 20_000
_FILES = ("FragmentPath", "SourcePath", "DropInPaths")


def of_system(units: Sequence[str], left_out: list[str]) -> tuple[list[str], list[dict[str, Json]]]:
    """Return the files of the units, and the links that enable them or give them another name."""
    plain = [one for one in units if not unit_name.is_template(one)]
    files: dict[str, None] = {}
    try:
        for one in systemctl.show(plain, ("Id", *_FILES)) if plain else ():
            for key in _FILES:
                files |= dict.fromkeys(path for path in systemctl.words(one.get(key, "")) if path[:1] == "/")
    except ProviderError as error:
        left_out.append(f"the units' files: {error.what}")
    wanted = set(units)
    for folder, name in itertools.product(_SYSTEM, units):
        if os.path.lexists(f"{folder}/{name}"):
            files[f"{folder}/{name}"] = None
    links = [one for folder in _SYSTEM for one in _links(folder, wanted)]
    plain_paths = [_plain(path) for path in files]
    behind = [target for path in plain_paths if (target := _behind(path))]
    return list(dict.fromkeys((*plain_paths, *behind))), links


def exists(unit: str) -> bool:
    """Return True where a file of this name lies in the search path, loaded or not."""
    return any(os.path.lexists(f"{folder}/{unit}") for folder in _SYSTEM)


def of_user(home: str, uid: int) -> tuple[str, ...]:
    """Return the folders that a user's own service manager reads."""
    above, name = os.path.split(home)
    home = f"{os.path.realpath(above)}/{name}" if home.startswith("/") else ""
    own = (".config/systemd", ".local/share/systemd", ".config/environment.d")
    below_home = tuple(f"{home}/{one}" for one in own) if home else ()
    return (*below_home, f"/run/user/{uid}/systemd", "/etc/systemd/user", "/run/systemd/user")


def _links(folder: str, units: set[str]) -> Iterator[dict[str, Json]]:
    for name in _names(folder):
        path = f"{folder}/{name}"
        if name.endswith(_ENABLES):
            for inside in units.intersection(_names(path)):
                yield _link(f"{path}/{inside}", "enables it")
        elif name not in units and _target(path).rsplit("/", 1)[-1] in units:
            yield _link(path, "is another name of it")


def _link(path: str, words: str) -> dict[str, Json]:
    return {
        "path": safepath.shown(path),
        "kind": "link",
        "target": safepath.shown(_target(path)),
        "what": words,
    }


def _target(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 - kept as text
    except OSError:
        return ""


def _behind(path: str) -> str:
    """Return where a link of root's leads to; empty: it is no such link. What stands there may be one too."""
    try:
        is_roots = os.lstat(path).st_uid == 0
    except OSError:
        return ""
    target = _target(path) if is_roots else ""
    folder, _ = os.path.split(path)
    return _plain(os.path.normpath(os.path.join(folder, target))) if target else ""  # noqa: PTH118 - as text


def _names(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as found:
            return [one.name for one in itertools.islice(found, _MOST_NAMES)]
    except OSError:
        return []


def _plain(path: str) -> str:
    """Return the path without the link that stands for /usr/lib on many systems."""
    top = "/" + path.split("/", 2)[1]
    return os.path.realpath(top) + path[len(top) :] if Path(top).is_symlink() else path
