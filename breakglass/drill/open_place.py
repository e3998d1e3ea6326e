"""Keeps a drill's agent where the kernel allows no walls: a plain process of this machine, on a short lead.

No cgroup, no namespace: its double-forked copy has no link to it, so that no stop can prove that nothing of
it is left, and the drill says so. It is bounded all the same: whatever still runs of it ends with the pipe
that it was started with (see `breakglass.drill.rogue`), and is looked for by name when the drill is over.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from breakglass.errors import Unsupported

_FIRST_UID, _UIDS = 60100, 4900
_END_S = 10.0


@dataclass(frozen=True, slots=True)
class StartedInTheOpen:
    """What was started, and the sockets that it talks to."""

    pid: int
    listeners: tuple[socket.socket, ...]


class OpenPlace:
    """No place of its own: the agent runs among everything else, as its own user where root starts it."""

    def __init__(self, name: str, folder: Path, *, sockets: int) -> None:
        """Open the sockets that it will talk to; `folder` gets the pid file.

        Raises:
            Unsupported: its processes could not be found again here.
        """
        if sys.platform != "linux":
            raise Unsupported("the drill's agent can be kept and found again on Linux only")
        self._is_root = os.geteuid() == 0
        self.uid = _FIRST_UID + os.getpid() % _UIDS if self._is_root else os.getuid()
        self.pid_file = folder / f"{name}.pid"
        self._listeners = tuple(socket.create_server(("127.0.0.1", 0)) for _ in range(sockets))
        self.lead, self._hand = os.pipe()
        self._child: subprocess.Popen[bytes] | None = None
        self._marks: tuple[bytes, ...] = ()

    @property
    def reach(self) -> Mapping[str, str]:
        """Return how an inventory names what runs here."""
        named = {"host": "local", "pid_file": str(self.pid_file)}
        return named | ({"user": str(self.uid)} if self._is_root else {})

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Return where the agent finds its downstream system."""
        return tuple(one.getsockname()[:2] for one in self._listeners)

    def start(self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> StartedInTheOpen:
        """Start the agent; it holds the end of the pipe `lead`."""
        as_user = {"user": self.uid, "group": self.uid, "extra_groups": []} if self._is_root else {}
        self._marks = (os.fsencode(command[-1]),)
        self._child = subprocess.Popen(  # type: ignore[call-overload]  # noqa: S603 - our own interpreter and file
            list(command),
            env=dict(env),
            cwd=cwd,
            pass_fds=[self.lead],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **as_user,
        )
        self.pid_file.write_text(f"{self._child.pid}\n")
        return StartedInTheOpen(self._child.pid, self._listeners)

    def stop(self) -> None:
        """Let go of the pipe, end what is left, wait until it is gone; safe to repeat."""
        if self._hand < 0:
            return
        os.close(self._hand)
        os.close(self.lead)
        self._hand = -1
        until = time.monotonic() + _END_S
        while (left := self._left()) and time.monotonic() < until:
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            if self._child is not None:
                self._child.poll()
            time.sleep(0.02)
        if self._child is not None:
            self._child.wait(_END_S)
        for one in self._listeners:
            one.close()
        self.pid_file.unlink(missing_ok=True)

    def _left(self) -> list[int]:
        """Return the processes that were started with the agent's own configuration."""
        found = []
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                pid, words = int(folder.name), (folder / "cmdline").read_bytes().split(b"\0")
                if self._marks and words and pid != os.getpid() and set(self._marks) <= set(words):
                    found.append(pid)
        return found
