"""Describes processes as evidence: one JSON line each, without secrets, until the time is over.

What a process has that others do not see comes first (who it is, what it was started with), what is large
comes last (memory maps). A process that ends while it is read is normal; one that cannot be read is said.
"""

from __future__ import annotations

import errno
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from breakglass_host import procfs
from breakglass_host.patient import HangingRead, PatientReader
from breakglass_host.procfs import Process, Table
from breakglass_host.redact import Redactor

MAX_FILES = 200_000
MAX_MAPS_BYTES = 64 * 1024 * 1024
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
STATUS = (
    "Umask",
    "Uid",
    "Gid",
    "Groups",
    "NSpid",
    "Threads",
    "CapEff",
    "CapBnd",
    "NoNewPrivs",
    "Seccomp",
    "TracerPid",
    "VmRSS",
)
NET_FILES = ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet", "netlink", "unix", "route", "ipv6_route")
PATIENCE_S = 1.5
"""A busy machine may take a second to give a page of a process that is being frozen."""
_GONE = frozenset({errno.ENOENT, errno.ESRCH})


@dataclass(slots=True)
class Reading:
    """One collection under way."""

    redactor: Redactor
    is_late: Callable[[], bool]
    reader: PatientReader = field(default_factory=lambda: PatientReader(PATIENCE_S))
    missed: Counter[str] = field(default_factory=Counter)
    """What could not be collected, by reason."""

    def bytes_of(self, path: str, what: str) -> bytes:
        """Read a file of /proc; an unreadable one is counted, one that is gone is empty."""
        try:
            return self.reader.read(path)
        except HangingRead:
            self.missed[f"{what} of {{}} processes: reading it hangs"] += 1
        except OSError as error:
            self._count(error, what)
        return b""

    def link(self, path: str, what: str) -> str:
        """Read a link of /proc; its text without secrets."""
        try:
            return self.redactor.text(os.fsencode(os.readlink(path)), path=True)  # noqa: PTH115 - text of /proc, no path
        except OSError as error:
            self._count(error, what)
        return ""

    def names(self, path: str, what: str) -> list[str]:
        """List a folder of /proc."""
        try:
            return os.listdir(path)  # noqa: PTH208 - ten thousand names of /proc
        except OSError as error:
            self._count(error, what)
        return []

    def left_out(self) -> list[str]:
        """Say in words what could not be collected."""
        return [words.replace("{}", str(count)) for words, count in sorted(self.missed.items())]

    def _count(self, error: OSError, what: str) -> None:
        if error.errno not in _GONE:
            self.missed[f"{what} of {{}} processes: {error.strerror}"] += 1

    def until_late(self, processes: Sequence[Process], what: str) -> Iterator[Process]:
        """Yield processes until the time is over, and count those that are left."""
        for n, one in enumerate(processes):
            if self.is_late():
                self.missed[f"{what} of {{}} processes: no time left"] += len(processes) - n
                return
            yield one


def learn(reading: Reading, processes: Sequence[Process]) -> dict[int, list[str]]:
    """Read every environment first: what stands under a secret's name is then known everywhere else."""
    found = {}
    for one in reading.until_late(processes, "environment"):
        block = reading.bytes_of(f"/proc/{one.pid}/environ", "environment")
        found[one.pid] = reading.redactor.environment(block)
    return found


def describe(
    reading: Reading, processes: Sequence[Process], environments: dict[int, list[str]]
) -> Iterator[bytes]:
    """Yield a line for each process: who, since when, what it was started with and from where."""
    for one in reading.until_late(processes, "description"):
        folder = f"/proc/{one.pid}"
        arguments = reading.redactor.arguments(reading.bytes_of(f"{folder}/cmdline", "command line"))
        about = procfs.status(one.pid) or {}
        yield _line(
            {
                "pid": one.pid,
                "start_ticks": one.start,
                "ppid": one.ppid,
                "name": reading.redactor.text(one.name.encode()),
                "state": one.state,
                "command_line": arguments,
                "exe": reading.link(f"{folder}/exe", "program"),
                "cwd": reading.link(f"{folder}/cwd", "folder"),
                "root": reading.link(f"{folder}/root", "root"),
                "cgroup": procfs.cgroup(one.pid) or "",
                "namespaces": {kind: procfs.namespace(one.pid, kind) for kind in NAMESPACES},
                "status": {key: about[key] for key in STATUS if key in about},
                "environment": environments.get(one.pid),
            }
        )


def open_files(reading: Reading, processes: Sequence[Process]) -> Iterator[bytes]:
    """Yield a line for each process with all that it holds open."""
    budget = MAX_FILES
    for one in reading.until_late(processes, "open files"):
        numbers = reading.names(f"/proc/{one.pid}/fd", "open files")
        if len(numbers) > budget:
            reading.missed[f"open files of {{}} processes: more than {MAX_FILES} in all"] += 1
        numbers = sorted(numbers, key=int)[:budget]
        budget -= len(numbers)
        files = {number: reading.link(f"/proc/{one.pid}/fd/{number}", "an open file") for number in numbers}
        yield _line({"pid": one.pid, "start_ticks": one.start, "files": files})


def maps(reading: Reading, processes: Sequence[Process]) -> Iterator[bytes]:
    """Yield the memory maps of each process."""
    budget = MAX_MAPS_BYTES
    for one in reading.until_late(processes, "memory maps"):
        if budget <= 0:
            reading.missed[f"memory maps of {{}} processes: more than {MAX_MAPS_BYTES} bytes in all"] += 1
            continue
        text = reading.bytes_of(f"/proc/{one.pid}/maps", "memory maps")
        budget -= len(text)
        lines = b"".join(_map_line(line, reading.redactor) for line in text.splitlines())
        yield b"# %d@%d\n" % (one.pid, one.start) + lines


def sockets(reading: Reading, processes: Sequence[Process]) -> Iterator[bytes]:
    """Yield the socket tables and routes of each network namespace, as /proc shows them."""
    seen: set[int] = set()
    for one in reading.until_late(processes, "sockets"):
        inode = procfs.namespace(one.pid, "net")
        if inode in seen:
            continue
        seen.add(inode)
        for name in NET_FILES:
            text = reading.bytes_of(f"/proc/{one.pid}/net/{name}", f"net/{name}")
            if name == "unix":
                text = b"\n".join(_unix_line(line, reading.redactor) for line in text.splitlines()) + b"\n"
            yield b"# net:%d %s, read through process %d\n" % (inode, name.encode(), one.pid) + text


def tree(processes: Sequence[Process], table: Table, redactor: Redactor) -> Iterator[bytes]:
    """Yield the processes as an indented tree, with those parents that are not the agent's in brackets."""
    own = {one.pid: one for one in processes}
    children: dict[int, list[Process]] = {}
    for one in processes:
        children.setdefault(one.ppid if one.ppid in own else 0, []).append(one)
    waiting = [(one, 0) for one in reversed(children.get(0, []))]
    while waiting:
        one, depth = waiting.pop()
        outside = ""
        if one.ppid not in own and (parent := table.get(one.ppid)) is not None:
            outside = f"  [started by {parent.id} {redactor.text(parent.name.encode())}]"
        name = redactor.text(one.name.encode())
        yield f"{'  ' * min(depth, 200)}{one.id} {one.state} {name}{outside}\n".encode()
        waiting += [(child, depth + 1) for child in reversed(children.get(one.pid, []))]


def _map_line(line: bytes, redactor: Redactor) -> bytes:
    fields = line.split(None, 5)
    if len(fields) == 6:  # noqa: PLR2004 - five fields and a name
        fields[5] = redactor.text(fields[5], path=True).encode()
    return b" ".join(fields) + b"\n"


def _unix_line(line: bytes, redactor: Redactor) -> bytes:
    fields = line.split(None, 7)
    if len(fields) == 8:  # noqa: PLR2004 - seven fields and a name
        fields[7] = redactor.text(fields[7], path=True).encode()
    return b" ".join(fields)


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
