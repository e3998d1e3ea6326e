"""Reads sudoers(5) files as far as needed to say whom their rules name; pure but for reading files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from breakglass_host import procfs

MAIN = "/etc/sudoers"
_MAX_FILES, _MAX_DEPTH = 1000, 128
_INCLUDE = re.compile(r"[@#](includedir|include)\s+(.+)")
_ALIAS = re.compile(r"(User|Runas|Host|Cmnd|Cmd)_Alias\s+(.+)")
_ITEM = re.compile(r'\s*(!*\s*(?:"(?:[^"\\]|\\.)*"|%?:?(?:"(?:[^"\\]|\\.)*"|(?:\\.|[^\s,\\"=])+)))')


@dataclass(frozen=True, slots=True)
class SudoersFile:
    """One file: whom its rules let do something, and what else it holds."""

    path: str
    is_drop_in: bool
    """Found in a folder that sudo includes whole: nothing names the file itself."""
    rules: tuple[tuple[str, ...], ...] = ()
    """The user list of each rule, aliases not resolved."""
    aliases: Mapping[str, tuple[str, ...]] | None = None
    """User_Alias definitions."""
    sets: tuple[str, ...] = ()
    """What in it concerns others too: global Defaults, includes, aliases of other kinds."""
    text: str = ""


def load(extra: Sequence[str] = (), main: str = MAIN) -> tuple[SudoersFile, ...]:
    """Read the main file and all that it includes, and files that the inventory names."""
    found: dict[str, SudoersFile] = {}
    _load(main, found, is_drop_in=False, depth=0)
    for path in extra:
        if path not in found:
            _load(path, found, is_drop_in=True, depth=0)
    return tuple(found.values())


def parse(path: str, text: str, *, is_drop_in: bool) -> SudoersFile:
    """Read one file's text."""
    rules: list[tuple[str, ...]] = []
    aliases: dict[str, tuple[str, ...]] = {}
    sets: list[str] = []
    for line in _lines(text):
        if _INCLUDE.match(line):
            sets.append("an include")
        elif (match := _ALIAS.match(line)) is not None:
            if match[1] == "User":
                aliases |= dict(_definitions(match[2]))
            else:
                sets.append(f"a {match[1]}_Alias")
        elif line.startswith("Defaults"):
            if not line.startswith("Defaults:"):
                sets.append("Defaults for others")
        else:
            rules.append(users(line))
    return SudoersFile(path, is_drop_in, tuple(rules), aliases, tuple(sets), text)


def users(text: str) -> tuple[str, ...]:
    """Return the items of the list that a rule or a User_Alias begins with."""
    found, at = [], 0
    while (match := _ITEM.match(text, at)) is not None:
        found.append(re.sub(r"\\(.)", r"\1", match[1].replace('"', "").replace(" ", "")))
        comma = re.compile(r"\s*,").match(text, match.end())
        if comma is None:
            break
        at = comma.end()
    return tuple(found)


def resolved(items: Sequence[str], aliases: Mapping[str, tuple[str, ...]], depth: int = 0) -> set[str]:
    """Return the items with aliases replaced by what they stand for; a negation stays as it is."""
    found: set[str] = set()
    for item in items:
        inner = aliases.get(item)
        found |= {item} if inner is None or depth > _MAX_DEPTH else resolved(inner, aliases, depth + 1)
    return found


def _load(path: str, found: dict[str, SudoersFile], *, is_drop_in: bool, depth: int) -> None:
    data = procfs.read(path)
    if data is None or path in found or len(found) >= _MAX_FILES or depth > _MAX_DEPTH:
        return
    text = data.decode("utf-8", "surrogateescape")
    found[path] = parse(path, text, is_drop_in=is_drop_in)
    for kind, name in _includes(text):
        target = name if name.startswith("/") else f"{os.path.dirname(path)}/{name}"  # noqa: PTH120 - kept as text
        if kind == "include":
            _load(target, found, is_drop_in=False, depth=depth + 1)
            continue
        for one in _names(target):
            _load(f"{target.rstrip('/')}/{one}", found, is_drop_in=True, depth=depth + 1)


def _names(folder: str) -> list[str]:
    """Return what sudo reads of a folder: no name with a dot in it, none that ends in ``~`` (sudoers(5))."""
    path = Path(folder)
    names = sorted(os.listdir(path)) if path.is_dir() else []  # noqa: PTH208 - names, not paths
    return [name for name in names if "." not in name and not name.endswith("~")]


def _includes(text: str) -> Iterator[tuple[str, str]]:
    host = os.uname().nodename.partition(".")[0]
    for line in _lines(text):
        if (match := _INCLUDE.match(line)) is not None:
            name = re.sub(r"\\(.)", r"\1", match[2].strip().strip('"'))
            yield match[1], name.replace("%h", host)


def _lines(text: str) -> Iterator[str]:
    """Yield logical lines without comments; ``#include`` and ``#1000`` are none (sudoers(5))."""
    for line in re.sub(r"\\\n", " ", text).split("\n"):
        plain = line.strip()
        if plain.startswith("#") and not re.match(r"#(\d|include(dir)?\s)", plain):
            continue
        bare = plain if plain.startswith("#") else re.sub(r"(?<!\\)(?<![%:,\s(])#.*|\s#(?!\d).*", "", plain)
        if bare.strip():
            yield bare.strip()


def _definitions(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for part in re.split(r"\s:\s|:(?=\s*[A-Z][A-Z0-9_]*\s*=)", text):
        name, _, members = part.partition("=")
        yield name.strip(), users(members)
