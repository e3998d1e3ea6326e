"""Gives folders the time back that they had, once they hold the very names that they held then.

A move out of a folder and back into it leaves every file as it was, and only the folder's own time behind.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable

from breakglass.canon import Json
from breakglass.model.resource import State
from breakglass_host import safepath, vault

_KEY = "folder:"


def of(paths: Iterable[str]) -> dict[str, Json]:
    """Return the time of each file's folder, and a digest of the names in it, for a State."""
    found: dict[str, Json] = {}
    folders = {os.path.dirname(path) for path in paths}  # noqa: PTH120 - kept as text, as it is recorded
    for folder in {*folders, *(home for one in folders for home in _vault_home(one))}:
        with contextlib.suppress(OSError), safepath.folder(folder) as at:
            found[_KEY + folder] = {"mtime_ns": str(os.fstat(at).st_mtime_ns), "names": _names(at)}
    return found


def give_back(before: State) -> None:
    """Set the recorded time where the names are the recorded ones; a folder that is another now stays."""
    for key, was in before.objects.items():
        if not key.startswith(_KEY) or not isinstance(was, dict) or "mtime_ns" not in was:
            continue  # other parts of an action keep what they know of folders under such keys too
        with contextlib.suppress(OSError), safepath.folder(key.removeprefix(_KEY)) as at:
            about = os.fstat(at)
            if str(about.st_mtime_ns) != was["mtime_ns"] and _names(at) == was["names"]:
                os.utime(f"/proc/self/fd/{at}", ns=(about.st_atime_ns, int(was["mtime_ns"])))


def _vault_home(folder: str) -> list[str]:
    """Return the folder that the vault is made in, and taken away from when it is empty."""
    try:
        return [vault.home(folder)[0]]
    except OSError:
        return []


def _names(at: int) -> str:
    text = "\0".join(sorted(vault.names(at)))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
