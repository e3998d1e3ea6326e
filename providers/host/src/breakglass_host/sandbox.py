"""Starts a command in a sandbox of its own, for drills and tests: the agent's place, and nobody else's.

As root (`privileged`): a cgroup, a network namespace and an unprivileged user. Otherwise: a user, a pid and
a network namespace. `reach` says how an inventory names what runs in it.
"""

from __future__ import annotations

import array
import json
import os
import pwd
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from breakglass.errors import Unsupported
from breakglass_host import cgroup, membership, procfs
from breakglass_host.cgroup import Hierarchy

_PARENT = "/breakglass-drill"
_FIRST_UID, _LAST_UID = 60100, 64999
_START_S = 20.0


@dataclass(frozen=True, slots=True)
class Started:
    """What runs in the sandbox, and what it was given."""

    pid: int
    """As seen from outside: the agent itself, or the first process of its pid namespace."""
    listeners: tuple[socket.socket, ...]
    """Sockets that listen inside the sandbox, to be served from outside, in the order asked for."""
    netns: int
    """A handle on its network namespace, which lives for as long as this is open."""


def obstacle(*, privileged: bool) -> str:
    """Say why such a sandbox cannot be started here; empty: it can."""
    if sys.platform != "linux":
        return "not Linux"
    if privileged:
        return "" if cgroup.writable() is not None else "needs root and a cgroup v2 that can be written to"
    code = (
        f"import ctypes,sys; sys.exit(ctypes.CDLL(None).unshare({0x10000000 | 0x20000000 | 0x40000000}) != 0)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], check=False, capture_output=True)  # noqa: S603 - our own interpreter and code
    return (
        ""
        if done.returncode == 0
        else "the kernel does not let this user make user, pid and network namespaces"
    )


class HostSandbox:
    """One place to run one agent in."""

    def __init__(self, name: str, folder: Path, *, privileged: bool) -> None:
        """Name it; nothing is started. `folder` gets the pid file.

        Raises:
            Unsupported: such a sandbox cannot be started here.
        """
        if why := obstacle(privileged=privileged):
            raise Unsupported(f"cannot start a sandbox: {why}")
        self.name = name
        self.pid_file = folder / f"{name}.pid"
        self.uid = _free_uid() if os.geteuid() == 0 else os.getuid()
        self._hierarchy = cgroup.writable() if privileged else None
        self.cgroup = f"{_PARENT}/{name}" if privileged else ""
        self._child: subprocess.Popen[bytes] | None = None
        self._started: Started | None = None
        self._init: procfs.Process | None = None

    @property
    def reach(self) -> dict[str, str]:
        """Return how an inventory names what runs in it."""
        named = {"host": "local", "pid_file": str(self.pid_file)}
        return named | ({"cgroup": self.cgroup, "user": str(self.uid)} if self.cgroup else {})

    def start(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        listen: Sequence[tuple[str, int]] = (),
        output: Path | None = None,
    ) -> Started:
        """Start the command; it runs only after the pid file was written. `listen` are addresses inside.

        Raises:
            Unsupported: the kernel refused a part of the sandbox.
        """
        if self._hierarchy is not None:
            self._hierarchy.create(self.cgroup)
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                self._child = self._launch(command, theirs, env=env, cwd=cwd, listen=listen, output=output)
            handles = _receive(ours, 1 + len(listen), self._child)
            pid = int(struct.unpack("=i", ours.recv(4))[0])
            if self._hierarchy is None:
                self._child.wait(_START_S)
            self._init = procfs.process(pid)
            self.pid_file.write_text(f"{pid}\n")
            ours.send(b"go")
        listeners = tuple(socket.socket(fileno=handle) for handle in handles[1:])
        self._started = Started(pid, listeners, handles[0])
        return self._started

    def _launch(
        self,
        command: Sequence[str],
        control: socket.socket,
        *,
        env: Mapping[str, str],
        cwd: Path,
        listen: Sequence[tuple[str, int]],
        output: Path | None,
    ) -> subprocess.Popen[bytes]:
        folder = self._hierarchy.folder(self.cgroup) if self._hierarchy is not None else ""
        request = {
            "cgroup": folder,
            "uid": self.uid,
            "listen": [list(address) for address in listen],
            "command": list(command),
            "control": control.fileno(),
            "visible": [sys.base_prefix, sys.prefix, str(Path(__file__).parents[1]), str(cwd)],
        }
        entry = str(Path(__file__).with_name("sandbox_entry.py"))
        sink = os.open(output or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return subprocess.Popen(  # noqa: S603 - our own interpreter and file, and the command asked for
                [sys.executable, "-I", "-S", entry, json.dumps(request)],
                pass_fds=[control.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        finally:
            os.close(sink)

    def stop(self) -> None:
        """End all that runs in it and remove what it made; safe to repeat."""
        if self._hierarchy is not None:
            names = (f"cgroup:{self.cgroup}", f"user:{self.uid}", f"pid-file:{self.pid_file}")
            _end_cgroups(self._hierarchy, self.cgroup, names)
        elif self._init is not None:
            procfs.send(self._init, signal.SIGKILL)
        if self._child is not None:
            self._child.wait(_START_S)
        if self._started is not None:
            for one in self._started.listeners:
                one.close()
            os.close(self._started.netns)
        self._started = self._child = self._init = None
        self.pid_file.unlink(missing_ok=True)


def _receive(control: socket.socket, count: int, child: subprocess.Popen[bytes]) -> list[int]:
    """Take the namespace and the listeners from the child.

    Raises:
        Unsupported: it ended before it had them.
    """
    control.settimeout(_START_S)
    handles = array.array("i")
    _, parts, *_ = control.recvmsg(16, socket.CMSG_SPACE(count * handles.itemsize))
    for level, kind, data in parts:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            handles.frombytes(data[: len(data) - len(data) % handles.itemsize])
    if len(handles) != count:
        child.wait(_START_S)
        raise Unsupported("the sandbox did not start: the kernel refused a namespace, a cgroup or an address")
    for handle in handles:
        os.set_inheritable(handle, False)  # noqa: FBT003 - the standard library's own signature
    return list(handles)


def _free_uid() -> int:
    """Return a uid that no account has and nothing runs as."""
    used = {uid for pid in procfs.scan() for uid in procfs.uids(pid)}
    used |= {entry.pw_uid for entry in pwd.getpwall()}
    free = [uid for uid in range(_FIRST_UID, _LAST_UID) if uid not in used]
    # Two programs that choose at the same time should not choose the same.
    return free[os.getpid() % len(free)]


def _end_cgroups(hierarchy: Hierarchy, path: str, names: Sequence[str]) -> None:
    """Kill and remove the sandbox's cgroup, those below it, and the holds that stops of it made."""
    holds = [hold for name in names for hold in membership.holds(name)]
    for top in (path, *holds):
        hierarchy.kill(top)
        hierarchy.await_events(top, within_s=5.0, frozen=False)
        for inner in reversed(hierarchy.below(top)):
            _remove(hierarchy, inner)
    hierarchy.remove(_PARENT)


def _remove(hierarchy: Hierarchy, path: str) -> None:
    until = time.monotonic() + 2.0
    while not hierarchy.remove(path) and time.monotonic() < until:
        time.sleep(0.01)
