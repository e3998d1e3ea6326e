"""A program that resists: run as ``rogue_a.py MODE [ARGUMENT]`` in a sandbox. Standard library alone."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path


def _sleep_for_ever() -> None:
    while True:
        time.sleep(3600)


def family(count: int) -> None:
    """Make a tree of `count` processes, each ignoring SIGTERM, half of them below each other."""
    for n in range(count - 1):
        if os.fork() == 0:
            if n % 2:
                _sleep_for_ever()
            continue
        if n % 2 == 0:
            break
    _sleep_for_ever()


def double_fork() -> None:
    """Leave a copy that has no link to its parent, and live on."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        _sleep_for_ever()
    os.wait()
    _sleep_for_ever()


def bomb(limit: int) -> None:
    """Fork as fast as it can: each process makes another and ends, so no pid is ever old."""
    resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    started = time.monotonic()
    while True:
        with contextlib.suppress(OSError):
            if os.fork() == 0 and time.monotonic() - started > 1:
                time.sleep(0.001)


def chain() -> None:
    """Move on by forking: the parent ends at once, so that whoever looks sees a pid that is gone."""
    while True:
        with contextlib.suppress(OSError):
            if os.fork() != 0:
                os._exit(0)


def open_files(count: int) -> None:
    """Hold `count` files open."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, count + 100))
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(count)]
    Path("open").write_text(str(len(held)))
    _sleep_for_ever()


def flood() -> None:
    """Write to standard output as fast as it can."""
    while True:
        os.write(1, b"all is well\n" * 1000)


def _stream(host: str, port: int) -> None:
    """Hold a connection and send through it; when it breaks, open the next."""
    while True:
        try:
            with socket.create_connection((host, port), timeout=2) as one:
                while True:
                    one.sendall(b"tick\n")
                    time.sleep(0.01)
        except OSError:
            time.sleep(0.01)


def stream(addresses: list[str]) -> None:
    """Stream to every address at once, one process for each."""
    for address in addresses[1:]:
        if os.fork() == 0:
            host, _, port = address.rpartition("-")
            _stream(host, int(port))
    host, _, port = addresses[0].rpartition("-")
    _stream(host, int(port))


def thaw(folder: str) -> None:
    """Thaw the cgroup that was delegated to it, again and again, from a cgroup of its own below."""
    Path(folder, "inner").mkdir(exist_ok=True)
    if os.fork() == 0:
        Path(folder, "inner", "cgroup.procs").write_text(str(os.getpid()))
    while True:
        for path in (folder, f"{folder}/inner"):
            with contextlib.suppress(OSError):
                Path(path, "cgroup.freeze").write_text("0")
        Path("alive").write_text(str(time.monotonic_ns()))


def main() -> None:
    """Do what the first argument says."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    mode, *rest = sys.argv[1:]
    if mode in ("family", "bomb", "open_files"):
        {"family": family, "bomb": bomb, "open_files": open_files}[mode](int(rest[0]))
    elif mode == "stream":
        stream(rest)
    elif mode == "thaw":
        thaw(rest[0])
    else:
        {"double_fork": double_fork, "chain": chain, "flood": flood, "sleep": _sleep_for_ever}[mode]()


if __name__ == "__main__":
    main()
