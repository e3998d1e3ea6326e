"""Finds cgroup v2, hybrid or unified, and freezes, lists, moves and kills with it (kernel: cgroup-v2.rst).

Paths are those of ``0::`` in /proc/PID/cgroup: below the v2 root, with a leading slash. No controller is
needed: freeze, kill and events are core files.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from breakglass_host import procfs

_FILE_SYSTEM = "/sys/fs/cgroup"
_GONE = frozenset({errno.ENOENT, errno.ENODEV})
_MANY = 300
"""Whoever a cgroup was delegated to can make as many below it as it likes, and listing each takes 0.03 ms."""


@dataclass(frozen=True, slots=True)
class Events:
    """What ``cgroup.events`` says."""

    populated: bool
    frozen: bool


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A mounted cgroup v2 tree."""

    mount: str

    def folder(self, path: str) -> str:
        """Return where a cgroup lies in the file system."""
        return self.mount + path.rstrip("/")

    def inode(self, path: str) -> int:
        """Return the inode that rules and sockets are bound to; 0 when the cgroup is not there."""
        try:
            return Path(self.folder(path)).stat().st_ino
        except OSError:
            return 0

    def create(self, path: str) -> None:
        """Make a cgroup that only root can write to; idempotent."""
        Path(self.folder(path)).mkdir(mode=0o755, parents=True, exist_ok=True)

    def remove(self, path: str) -> bool:
        """Remove an empty cgroup; False when something lives in it."""
        try:
            Path(self.folder(path)).rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def freeze(self, path: str, *, on: bool) -> bool:
        """Freeze or thaw; False when the cgroup is not there."""
        return _write(f"{self.folder(path)}/cgroup.freeze", b"1" if on else b"0")

    def is_set_to_freeze(self, path: str) -> bool:
        """Return what was written to ``cgroup.freeze`` of this very cgroup."""
        return (procfs.read(f"{self.folder(path)}/cgroup.freeze") or b"").strip() == b"1"

    def kill(self, path: str) -> bool:
        """Kill everything in it and below it, without a race with forks; False when it is not there.

        The kernel signals the first thread of each process, so one whose first thread has ended lives on
        (tried on 6.18): a signal to the whole process follows.
        """
        found = _write(f"{self.folder(path)}/cgroup.kill", b"1")
        for tid in self._ids(path, "cgroup.threads"):
            own = procfs.cgroup(tid)
            if own is not None and is_at_or_below(own, path):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(tid, signal.SIGKILL)  # the id of any thread stands for its process (kill(2))
        return found

    def events(self, path: str) -> Events | None:
        """Return whether anything lives in it and whether all of it is frozen; None: no such cgroup."""
        data = procfs.read(f"{self.folder(path)}/cgroup.events")
        if data is None:
            return None
        lines = data.splitlines()
        return Events(populated=b"populated 1" in lines, frozen=b"frozen 1" in lines)

    def await_events(self, path: str, *, within_s: float, frozen: bool) -> None:
        """Wait until it is frozen (or, with `frozen` False, empty), or until the time is over."""
        until = time.monotonic() + within_s
        while (now := self.events(path)) is not None and time.monotonic() < until:
            if (now.frozen or not now.populated) if frozen else not now.populated:
                return
            time.sleep(0.001)

    def pids(self, path: str) -> set[int]:
        """Return every process in it and below it; of a threaded one its domain tells (EOPNOTSUPP)."""
        return set(self.places(path))

    def places(self, path: str) -> dict[int, str]:
        """Return the cgroup of every process in it and below it."""
        return self._ids(path, "cgroup.procs")

    def _ids(self, path: str, name: str) -> dict[int, str]:
        """List the tree of cgroups; where somebody made it too wide or too deep, ask each process."""
        found: dict[int, str] = {}
        failed: list[OSError] = []
        if self._descendants(path) <= _MANY:
            for folder, _, _ in os.walk(self.folder(path), onerror=failed.append):
                data = procfs.read(f"{folder}/{name}") or b""
                found.update(dict.fromkeys(map(int, data.split()), folder[len(self.mount) :]))
            found.pop(0, None)
            if all(error.errno in _GONE for error in failed):
                return found
        places = ((pid, procfs.cgroup(pid)) for pid in procfs.pids())
        return found | {pid: own for pid, own in places if own is not None and is_at_or_below(own, path)}

    def _descendants(self, path: str) -> int:
        words = (procfs.read(f"{self.folder(path)}/cgroup.stat") or b"").split()
        return int(words[1]) if words[:1] == [b"nr_descendants"] else 0

    def below(self, path: str) -> tuple[str, ...]:
        """Return the cgroup and those below it, by path."""
        start = self.folder(path)
        return tuple(sorted(folder[len(self.mount) :] for folder, _, _ in os.walk(start)))

    def move(self, pid: int, path: str) -> bool:
        """Move a process with all of its threads; False when it, or the cgroup, is gone.

        Raises:
            PermissionError: the kernel does not let us move it.
        """
        try:
            return _write(f"{self.folder(path)}/cgroup.procs", b"%d" % pid)
        except ProcessLookupError:
            return False

    def rule_path(self, path: str) -> str:
        """Return what nft resolves under /sys/fs/cgroup: on a hybrid machine it begins with the mount."""
        return os.path.relpath(self.folder(path), _FILE_SYSTEM)


def _write(path: str, data: bytes) -> bool:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(handle, data)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno in _GONE:
            return False
        raise
    return True


def find() -> Hierarchy | None:
    """Return the mounted v2 hierarchy, the unified one before any other; None when there is none."""
    found = []
    for line in Path("/proc/self/mounts").read_text(errors="replace").splitlines():
        _, mount, kind = line.split(" ")[:3]
        if kind == "cgroup2":
            found.append(mount.replace("\\040", " "))
    inside = [mount for mount in found if mount.startswith(_FILE_SYSTEM)]
    usable = inside or found
    return Hierarchy(usable[0]) if usable else None


def writable() -> Hierarchy | None:
    """Return the hierarchy if we may make a cgroup at its root, as root in the first user namespace may."""
    hierarchy = find()
    if hierarchy is None or os.geteuid() != 0 or not os.access(hierarchy.mount, os.W_OK):
        return None
    return hierarchy if _is_writable_mount(hierarchy.mount) else None


def _is_writable_mount(mount: str) -> bool:
    return not os.statvfs(mount).f_flag & os.ST_RDONLY


def is_at_or_below(path: str, top: str) -> bool:
    """Return True when `path` is the cgroup `top` or lies in it."""
    return path == top or path.startswith(top.rstrip("/") + "/")
