"""Says whether the kernel has room for one more machine, and lets machines boot one after another.

A systemd needs inotify instances, and those of all machines are counted together, as root's
(inotify(7), fs.inotify.max_user_instances: 128 by default, a good dozen of machines). One that boots
without them dies, or hangs half-way.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from breakglass.errors import ProviderError

_LIMIT = "fs.inotify.max_user_instances"
_EACH = 8
"""What a machine holds that runs (Debian 12): systemd 5, dbus-daemon 1, logind 1, and 1 while it boots."""
_SPARE = 12
"""For a few managers of users in machines that run already: 3 each."""
_CLOSE_ON_EXEC = os.O_CLOEXEC


def room(most: int) -> int:
    """Return for how many more machines there is room, up to `most`; it is measured, by trying."""
    libc = ctypes.CDLL(None, use_errno=True)
    handles: list[int] = []
    try:
        while len(handles) < most * _EACH + _SPARE:
            handle = libc.inotify_init1(_CLOSE_ON_EXEC)
            if handle < 0:
                break
            handles.append(handle)
    finally:
        for handle in handles:
            os.close(handle)
    return max(0, len(handles) - _SPARE) // _EACH


@contextmanager
def turn(*, within_s: float) -> Iterator[None]:
    """Wait for our turn to boot a machine, over all processes here, and for room.

    Raises:
        ProviderError: others took too long, or there is no room.
    """
    until = time.monotonic() + within_s
    # A folder can be locked as a file can (flock(2)), and nothing is left behind.
    handle = os.open("/run", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while not _locked(handle):
            _pause(until, "others are starting machines")
        while not room(1):
            _pause(until, f"the kernel has no room for one more (sysctl {_LIMIT})")
        yield
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno != errno.EWOULDBLOCK:
            raise
        return False
    return True


def _pause(until: float, why: str) -> None:
    if time.monotonic() > until:
        raise ProviderError(f"cannot start a machine: {why}")
    time.sleep(0.02)
