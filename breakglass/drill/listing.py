"""Lists the agent's files byte for byte, so that a restore can be compared with the time before the stop."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

WRITTEN_BY_THE_AGENT = frozenset({"agent.log", "held", "prompt.sock"})
"""Files that the running agent itself changes; everything else must be as it was."""

_WRITTEN_ANEW = re.compile(r"(?:^|/)\.breakglass-aside(?:/[0-9a-f]+\.\d+)?$")
UNREADABLE = "not readable"
"""Stands for the content of a file that its own user may not read: one that is still withheld."""

Listing = Mapping[str, tuple[int, int, int, str]]
"""Path to (mode, uid, gid, and the sha256, the link's target or that it cannot be read)."""


def listing(folder: Path) -> Listing:
    """Return every file and folder below `folder` with mode, owner and content."""
    found: dict[str, tuple[int, int, int, str]] = {}
    for path in sorted(folder.rglob("*")):
        if path.name in WRITTEN_BY_THE_AGENT:
            continue
        about = path.lstat()
        found[str(path.relative_to(folder))] = (
            about.st_mode,
            about.st_uid,
            about.st_gid,
            _content(path, about),
        )
    return found


def _content(path: Path, about: os.stat_result) -> str:
    if stat.S_ISLNK(about.st_mode):
        return str(path.readlink())
    if not stat.S_ISREG(about.st_mode):
        return ""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except PermissionError:
        return UNREADABLE


def differences(before: Listing, after: Listing) -> tuple[str, ...]:
    """Name what is missing, new or different.

    What the agent wrote anew in the place of a file that was set aside lies aside too, under a number: that
    was never there before the stop, and nobody puts it back.
    """
    names = sorted(name for name in {*before, *after} if name in before or not _WRITTEN_ANEW.search(name))
    return tuple(
        f"{name}: {_difference(before, after, name)}" for name in names if before.get(name) != after.get(name)
    )


def _difference(before: Listing, after: Listing, name: str) -> str:
    if name not in after:
        return "missing"
    return "new" if name not in before else "changed"
