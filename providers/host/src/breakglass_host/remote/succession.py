"""Makes sure that of the runners of one reach, in whatever incident, only the youngest changes anything.

A connection that was cut may leave a runner behind for some seconds, and it may be in the middle of a call.
So before its first change a runner takes a name, ends every older one of that name, and ends itself where
there is a younger one. The name is /proc/PID/comm of a process of the same effective user: an agent cannot
have that user (privilege.py keeps such an agent's stop open), so it can neither fake nor hide one.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from breakglass.canon import sha256
from breakglass.errors import ProviderError
from breakglass_host import procfs
from breakglass_host.procfs import Process

_PREFIX = "bg-act-"
_PATIENCE_S = 5.0


def name_of(identity: bytes) -> str:
    """Return the name of all runners of one identity: 15 characters, as many as the kernel keeps."""
    return _PREFIX + sha256(identity)[:8]


class Succession:
    """The right of this process to change something, taken once."""

    def __init__(self, name: str, end: Callable[[], None]) -> None:
        """Take nothing yet; `end` ends this process."""
        self._name = name
        self._end = end
        self._lock = threading.Lock()
        self._taken = False

    def take(self) -> None:
        """Take the name and wait until every older runner of it is gone.

        Raises:
            ProviderError: one of them does not end; nothing may be changed beside it.
        """
        with self._lock:
            if self._taken:
                return
            Path("/proc/self/comm").write_text(self._name)
            own = procfs.process(os.getpid())
            if own is None:
                raise ProviderError(
                    "this process does not see itself in /proc, so older ones cannot be ended"
                )
            for other in self._others():
                if (other.start, other.pid) > (own.start, own.pid):
                    self._end()
                _finish(other)
            self._taken = True

    def _others(self) -> list[Process]:
        return [
            one
            for one in procfs.scan().values()
            if one.name == self._name
            and one.pid != os.getpid()
            and one.alive
            and procfs.uids(one.pid) == {os.geteuid()}
        ]


def _finish(other: Process) -> None:
    """Kill a runner and what it started, and wait until it is gone."""
    try:
        handle = os.pidfd_open(other.pid)
    except OSError:
        return  # it ended meanwhile
    try:
        if not procfs.is_same(other):
            return
        with contextlib.suppress(OSError):
            if os.getpgid(other.pid) == other.pid:
                os.killpg(other.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        waiting = select.poll()
        waiting.register(handle, select.POLLIN)
        if not waiting.poll(_PATIENCE_S * 1000):
            raise ProviderError(f"an older runner of this agent (process {other.pid}) does not end")
    finally:
        os.close(handle)
