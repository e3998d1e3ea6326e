"""Reads one file of this machine for another provider: an issuer's, which needs the agent's token."""

from __future__ import annotations

import os
import stat

from breakglass.errors import Denied
from breakglass_host import safepath


def read_file(path: str, *, max_bytes: int) -> bytes:
    """Return the bytes of a regular file; links in its folders are resolved first, it may be none itself.

    Raises:
        Gone: nothing is there.
        Denied: the name, the kernel or the size forbids it, or it is no regular file.
    """
    if why := safepath.complaint(path):
        raise Denied(why, where=safepath.shown(path))
    folder, name = os.path.split(safepath.resolved(path))
    with safepath.refusals(path), safepath.folder(folder) as at:
        if not stat.S_ISREG(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
            raise Denied("not a regular file", where=safepath.shown(path))
        with safepath.readable(name, at) as found, os.fdopen(os.dup(found), "rb") as file:
            data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise Denied(f"larger than {max_bytes} bytes", where=safepath.shown(path))
    return data
