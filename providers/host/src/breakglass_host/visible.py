"""Lets an unprivileged user reach files that lie below a folder that is closed to it, in a mount namespace.

An interpreter below /root cannot be executed by the user that a sandboxed agent runs as. In a mount
namespace of the agent's own, each closed folder is covered by an empty, open one in which only what is
needed stands, at the same path. Nothing changes for anybody else. Standard library alone.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable
from pathlib import Path

_CLONE_NEWNS = 0x00020000
_BIND, _RECURSIVE, _PRIVATE = 4096, 16384, 1 << 18


def make_visible(paths: Iterable[str], uid: int) -> None:
    """Enter a new mount namespace in which this user can reach these paths; needs root.

    Raises:
        OSError: the kernel refused a namespace or a mount, or a path itself is closed to the user.
    """
    wanted = sorted({str(Path(path).resolve()) for path in paths})
    needed = [path for path in wanted if _closed(path, uid) is not None]
    if not needed:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    _call(libc.unshare, _CLONE_NEWNS)
    _call(libc.mount, b"none", b"/", None, _RECURSIVE | _PRIVATE, None)
    # Opened in the new namespace: a mount of another one cannot be bound.
    handles = {path: os.open(path, os.O_PATH) for path in needed if Path(path).is_dir()}
    # Not recursive: that would take along what covers the folder by then.
    for path, handle in handles.items():
        if (closed := _closed(path, uid)) is None and Path(path).is_dir():
            continue  # stands in a folder that was bound already
        if closed is not None:
            _call(libc.mount, b"none", closed.encode(), b"tmpfs", 0, b"mode=0755,size=1m")
        Path(path).mkdir(parents=True, exist_ok=True)
        _call(libc.mount, f"/proc/self/fd/{handle}".encode(), path.encode(), None, _BIND, None)
    for path, handle in handles.items():
        os.close(handle)
        if (still := _closed(path, uid)) is not None:
            raise PermissionError(f"{still} itself is closed to user {uid}")


def _call(function: ctypes._NamedFuncPointer, *arguments: object) -> None:
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function.__name__}: {os.strerror(number)}")


def _closed(path: str, uid: int) -> str | None:
    """Return the first folder on the way that the user may not enter; None: the way is open."""
    for folder in [*reversed(Path(path).parents), Path(path)]:
        seen = folder.stat()
        may_enter = seen.st_mode & (stat.S_IXUSR if seen.st_uid == uid else stat.S_IXOTH)
        if stat.S_ISDIR(seen.st_mode) and not may_enter:
            return str(folder)
    return None
