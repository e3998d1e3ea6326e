"""Reads /proc: who runs, since when, under whom. Every read may find the process gone; none of them waits.

A process is named by pid *and* start time (field 22 of proc(5) stat): a pid alone may be somebody else by
the time that it is acted on.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_PF_KTHREAD = 0x00200000
_DEAD = frozenset("ZXx")
_HALTED = _DEAD | frozenset("Tt")
_THREADS, _START_TIME = 17, 19
"""Fields 20 and 22 of proc(5) stat, counted from the state."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process as /proc showed it."""

    pid: int
    start: int
    """Clock ticks after boot; with the pid it names one process until the next boot."""
    ppid: int
    name: str
    state: str
    """Of the thread that is most alive: the first one may have ended, or be held by a tracer, alone."""
    threads: int = 1
    headless: bool = False
    """The first thread has ended and others live: it stays in its last cgroup while they can be moved."""

    @property
    def id(self) -> str:
        """Return ``PID@START``, the name that journal and evidence use."""
        return f"{self.pid}@{self.start}"

    @property
    def alive(self) -> bool:
        """Return False for a zombie without threads: it runs nothing and holds nothing."""
        return self.state not in _DEAD


Table = Mapping[int, Process]


def read(path: str) -> bytes | None:
    """Return a file of the kernel's own whole; None when the process is gone or may not be read.

    Not for what lies in a process's own memory (environ, cmdline): that may be endless, or never answer.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = os.read(handle, 65536)
        while len(data) % 65536 == 0 and data and (more := os.read(handle, 65536)):
            data += more
    except OSError:
        return None
    finally:
        os.close(handle)
    return data


def process(pid: int) -> Process | None:
    """Return one process; None when it is gone or a thread of the kernel."""
    data = read(f"/proc/{pid}/stat")
    if data is None:
        return None
    opening, closing = data.find(b"("), data.rfind(b")")
    fields = data[closing + 2 :].split()
    if opening < 0 or len(fields) <= _START_TIME or int(fields[6]) & _PF_KTHREAD:
        return None
    name = data[opening + 1 : closing].decode("utf-8", "backslashreplace")
    printable = name if name.isprintable() else "".join(c if c.isprintable() else "?" for c in name)
    state, threads = fields[0].decode(), int(fields[_THREADS])
    first = state
    if threads > 1 and state in _HALTED:
        state = _liveliest(pid, state)
    headless = first in _DEAD and state not in _DEAD
    return Process(pid, int(fields[_START_TIME]), int(fields[1]), printable, state, threads, headless)


def thread_ids(pid: int) -> tuple[int, ...]:
    """Return the ids of a process's threads; each answers under /proc like a process."""
    try:
        return tuple(int(name) for name in os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208 - read before a freeze
    except OSError:
        return ()


def _liveliest(pid: int, state: str) -> str:
    """Return the state of a thread that runs, else of one that is stopped, else of the first one."""
    for tid in thread_ids(pid):
        data = read(f"/proc/{pid}/task/{tid}/stat") or b""
        now = data[data.rfind(b")") + 2 :][:1].decode("ascii", "replace")
        if now and now not in _HALTED:
            return now
        if now and now not in _DEAD:
            state = now
    return state


@dataclass(frozen=True, slots=True)
class Scan:
    """One reading of all of /proc."""

    table: Table
    torn: bool
    """Processes came and went faster than they could be read, so one may have been missed."""


def scan() -> dict[int, Process]:
    """Return every process that is not a thread of the kernel, zombies among them."""
    return dict(scan_whole().table)


def scan_whole() -> Scan:
    """Read every process, and look again until nothing new was gone before it could be read.

    A program that forks and ends at once is never there when its pid is looked up, but its next pid is
    always in a new listing (the kernel lists by rising pid). So a listing without an unreadable new pid
    proves that there is no such program.
    """
    found: dict[int, Process] = {}
    done: set[int] = set()
    for _ in range(_LISTINGS):
        new = pids() - done
        gone = _read_into(found, new)
        if done and not gone:
            return Scan(found, torn=False)
        done |= new
    return Scan(found, torn=True)


_LISTINGS = 30
"""A listing takes about 0.3 ms: on a busy machine one of these finds a moment without a fork."""


def pids() -> set[int]:
    """Return the id of every process, threads of the kernel among them."""
    return {int(name) for name in os.listdir("/proc") if name.isdecimal()}  # noqa: PTH208 - a Path for each process is too slow before a freeze


def _read_into(found: dict[int, Process], pids: Iterable[int]) -> bool:
    """Read these processes; return True when one was gone before it could be read."""
    gone = False
    for pid in pids:
        one = process(pid)
        if one is not None:
            found[pid] = one
        elif read(f"/proc/{pid}/stat") is None:
            gone = True
    return gone


def status(pid: int) -> dict[str, str] | None:
    """Return the fields of /proc/PID/status; None when the process is gone."""
    data = read(f"/proc/{pid}/status")
    if data is None:
        return None
    pairs = (line.partition(":") for line in data.decode("utf-8", "backslashreplace").splitlines())
    return {key: value.strip() for key, _, value in pairs}


def uids(pid: int) -> frozenset[int]:
    """Return the real, effective, saved and filesystem uid; empty when the process is gone."""
    data = read(f"/proc/{pid}/status") or b""
    at = data.find(b"\nUid:")
    return (
        frozenset(int(part) for part in data[at + 5 :].split(b"\n", 1)[0].split()) if at >= 0 else frozenset()
    )


def namespace(pid: int, kind: str) -> int:
    """Return the inode of a namespace (``net``, ``pid``, ``user``); 0 when it cannot be read."""
    try:
        return os.stat(f"/proc/{pid}/ns/{kind}").st_ino  # noqa: PTH116 - read for every process
    except OSError:
        return 0


def cgroup(pid: int) -> str | None:
    """Return the v2 path of a process; None when it is gone."""
    for line in (read(f"/proc/{pid}/cgroup") or b"").splitlines():
        if line.startswith(b"0::"):
            return line[3:].decode("utf-8", "surrogateescape").removesuffix(" (deleted)")
    return None


def cgroup_of(one: Process) -> str | None:
    """Return the v2 path that the threads of a process live in; None when it is gone."""
    found = None
    for tid in thread_ids(one.pid) if one.headless else ():
        now = process(tid)
        if tid != one.pid and now is not None and (found := cgroup(tid)) is not None and now.alive:
            return found
    return found or cgroup(one.pid)


def ancestors(table: Table, pid: int) -> tuple[int, ...]:
    """Return the chain of parents, nearest first, up to process 1."""
    chain: list[int] = []
    while (one := table.get(pid)) is not None and one.ppid > 0 and one.ppid not in chain:
        pid = one.ppid
        chain.append(pid)
    return tuple(chain)


def descendants(table: Table, roots: Iterable[int]) -> set[int]:
    """Return the roots that exist and everything below them."""
    children: dict[int, list[int]] = {}
    for one in table.values():
        children.setdefault(one.ppid, []).append(one.pid)
    found: set[int] = set()
    waiting = [pid for pid in roots if pid in table]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting.extend(children.get(pid, ()))
    return found


def is_same(target: Process) -> bool:
    """Return True while this very process, and not a later one with its pid, is alive."""
    now = process(target.pid)
    return now is not None and now.start == target.start and now.alive


def send(target: Process, number: signal.Signals) -> bool:
    """Signal exactly this process through a pidfd; False when it is gone.

    The pidfd is opened first and the start time read after it: when both match, the pidfd can only mean
    the process that was meant, whatever happens to the pid afterwards (pidfd_open(2)).

    Raises:
        PermissionError: the kernel does not let us signal it.
    """
    try:
        handle = os.pidfd_open(target.pid)
    except ProcessLookupError:
        return False
    try:
        if not is_same(target):
            return False
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def boot_id() -> str:
    """Return the id of this boot: start times mean nothing across boots."""
    return (read("/proc/sys/kernel/random/boot_id") or b"").decode().strip()
