"""Takes the lock that passwd(1), usermod(8), vipw(8) and systemd-sysusers(8) take before they write.

lckpwdf(3): a write lock on /etc/.pwd.lock. The agent may make a set-id program such as passwd(1) take it
and then stop that program: whoever waits for the lock waits for the agent. So a holder that the agent
started does not count: it is about to be ended, and what it might still write is seen and undone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import time
from collections.abc import Iterator

from breakglass.errors import Transient
from breakglass_host import procfs, safepath

LOCK = "/etc/.pwd.lock"
_WITHIN_S = 3.0
_FLOCK = "hhqqi"
"""struct flock of fcntl(2) on 64 bits: type, whence, start, length, pid."""


@contextlib.contextmanager
def held(agent_uid: int) -> Iterator[None]:
    """Hold the lock; an open file description lock, so that threads of ours exclude each other too.

    Raises:
        Transient: somebody else than the agent holds it.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    handle = os.open(LOCK, flags, 0o600)
    try:
        until = time.monotonic() + _WITHIN_S
        while not _taken(handle):
            holder = _holder(handle)
            if holder is not None and _is_agents(holder, agent_uid):
                break
            if time.monotonic() > until:
                one = procfs.process(holder) if holder else None
                who = f"process {one.pid} ({safepath.shown(one.name)})" if one else "somebody"
                raise Transient(f"{who} holds the lock of the account files", where=LOCK)
            time.sleep(0.02)
        yield
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    try:
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except (BlockingIOError, PermissionError):
        return False
    return True


def _holder(handle: int) -> int | None:
    """Return the process that holds the lock; None: nobody any more, or none that can be named."""
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    answer = fcntl.fcntl(handle, fcntl.F_OFD_GETLK, asked)
    kind, _, _, _, pid = struct.unpack(_FLOCK, answer)
    return int(pid) if kind != fcntl.F_UNLCK and pid > 0 else None


def _is_agents(pid: int, uid: int) -> bool:
    """Return whether the agent runs it, or started it: a set-id program keeps its caller as an ancestor."""
    table = procfs.scan()
    if f"/user-{uid}.slice/" in f"{procfs.cgroup(pid) or ''}/":  # it gave up its parents and its user
        return True
    return any(uid in procfs.uids(one) for one in (pid, *procfs.ancestors(table, pid)))
