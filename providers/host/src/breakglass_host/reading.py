"""Reads one file of this machine for another provider: an issuer's, which needs the agent's token."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

from breakglass.errors import Denied
from breakglass_host import safepath

_MOST_LINKS = 40


def read_file(path: str, *, max_bytes: int) -> bytes:
    """Return the bytes of a regular file; links of root in its folders are followed, it may be none itself.

    What is read is sent to an issuer: a link of the agent's own could lead to anybody's secret.

    Raises:
        Gone: nothing is there.
        Denied: the name, the kernel or the size forbids it, a link is not root's, or it is no regular file.
    """
    if why := safepath.complaint(path):
        raise Denied(why, where=safepath.shown(path))
    folder, name = os.path.split(path)
    folder = _resolved(folder, path)
    with safepath.refusals(path), safepath.folder(folder) as at:
        if not stat.S_ISREG(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
            raise Denied("not a regular file", where=safepath.shown(path))
        with safepath.readable(name, at) as found, os.fdopen(os.dup(found), "rb") as file:
            data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise Denied(f"larger than {max_bytes} bytes", where=safepath.shown(path))
    return data


def _resolved(folder: str, path: str) -> str:
    """Return the folder with root's links resolved; the walk that follows takes no other."""
    done, left, links = PurePosixPath("/"), list(PurePosixPath(folder).parts[1:]), 0
    while left:
        part = left.pop(0)
        if part == "..":
            done = done.parent
            continue
        with safepath.refusals(path):
            found = os.lstat(done / part)
            if not stat.S_ISLNK(found.st_mode):
                done /= part
                continue
            target = PurePosixPath(Path(done / part).readlink())
        links += 1
        if found.st_uid not in (0, os.geteuid()) or links > _MOST_LINKS:
            raise Denied(f"{safepath.shown(str(done / part))} is a link that is not root's", where=path)
        if target.is_absolute():
            done, target = PurePosixPath("/"), target.relative_to("/")
        left = [*target.parts, *left]
    return str(done)
