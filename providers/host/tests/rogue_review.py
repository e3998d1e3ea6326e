"""Programs that hide from a stop; run as ``rogue_review.py MODE [ARGUMENT...]``. Standard library alone."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import signal
import socket
import struct
import sys
import threading
import time
from pathlib import Path

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_EXIT, _PTRACE = {"x86_64": (60, 101), "aarch64": (93, 117)}[os.uname().machine]
_PR_SET_PTRACER = 0x59616D61
_PTRACE_SEIZE, _PTRACE_INTERRUPT = 0x4206, 0x4207
_PR_SET_MM, _PR_SET_MM_MAP = 35, 14

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _beat() -> None:
    """Show that it lives, a hundred times a second."""
    n = 0
    while True:
        n += 1
        Path("alive").write_text(str(n))
        time.sleep(0.01)


def zombie_leader() -> None:
    """Go on in a thread while the first thread has ended: /proc shows the process as a zombie."""
    threading.Thread(target=_beat).start()
    time.sleep(0.05)
    _libc.syscall(_EXIT, 0)


def traced_leader() -> None:
    """Let a child stop the first thread by ptrace while another thread goes on: /proc shows it as stopped."""
    threading.Thread(target=_beat, daemon=True).start()
    parent = os.getpid()
    _libc.prctl(_PR_SET_PTRACER, ctypes.c_ulong((1 << 64) - 1), 0, 0, 0)
    if os.fork() == 0:
        time.sleep(0.1)
        _libc.syscall(_PTRACE, _PTRACE_SEIZE, parent, 0, 0)
        _libc.syscall(_PTRACE, _PTRACE_INTERRUPT, parent, 0, 0)
        while True:
            time.sleep(3600)
    while True:
        time.sleep(3600)


def other_net(host: str, port: int) -> None:
    """Hold a stream in the first network namespace, by a thread, while the first thread is in another one."""
    _libc.unshare(_CLONE_NEWUSER)

    def stream() -> None:
        while True:
            with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=2) as one:
                while True:
                    one.sendall(b"tick\n")
                    time.sleep(0.01)
            time.sleep(0.01)

    threading.Thread(target=stream, daemon=True).start()
    time.sleep(0.2)
    _libc.unshare(_CLONE_NEWNET)
    _sleep()


def full_socket(host: str, port: int, *, hide: bool) -> None:
    """Hold a socket that is full of what its peer does not read, and be in another network namespace."""
    one = socket.create_connection((host, port), timeout=5)
    one.settimeout(0)
    with contextlib.suppress(BlockingIOError):
        while True:
            one.send(b"x" * 65536)
    if hide:
        _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    Path("full").write_text("full")
    _sleep()


def idle_sockets(port: int) -> None:
    """Hold connections that carry nothing, IPv6 and UDP, and leave a closed one that is full."""
    full = socket.create_connection(("127.0.0.1", port), timeout=5)
    full.settimeout(0)
    with contextlib.suppress(BlockingIOError):
        while True:
            full.send(b"x" * 65536)
    full.close()
    six, datagrams = socket.create_connection(("::1", port)), socket.socket(type=socket.SOCK_DGRAM)
    datagrams.connect(("127.0.0.1", port))
    Path("held").write_text(f"{six.fileno()} {datagrams.fileno()}")
    _sleep()


def huge_environment(gigabytes: int) -> None:
    """Say that its environment is as large as an untouched mapping (prctl(2), PR_SET_MM_MAP)."""
    size = gigabytes << 30
    _libc.mmap.restype = ctypes.c_void_p
    _libc.mmap.argtypes = [
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
    ]
    at = _libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, -1, 0)
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    value = {n: int(fields[n - 3]) for n in (26, 27, 28, 45, 46, 47, 48, 49, 50, 51)}
    brk = _libc.sbrk
    brk.restype = ctypes.c_void_p
    words = (
        value[26],
        value[27],
        value[45],
        value[46],
        value[47],
        brk(0),
        value[28],
        value[48],
        value[49],
        at,
        at + size,
    )
    block = ctypes.create_string_buffer(struct.pack("=11QQIi", *words, 0, 0, -1))
    answer = _libc.prctl(_PR_SET_MM, ctypes.c_ulong(_PR_SET_MM_MAP), block, ctypes.c_ulong(104), 0)
    Path("huge").write_text(f"{answer} {ctypes.get_errno()}")
    _sleep()


def _sleep() -> None:
    while True:
        time.sleep(3600)


def main() -> None:
    """Do what the first argument says."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    mode, *rest = sys.argv[1:]
    if mode == "other_net":
        other_net(rest[0], int(rest[1]))
    elif mode in ("held_socket", "full_socket"):
        full_socket(rest[0], int(rest[1]), hide=mode == "held_socket")
    elif mode == "idle_sockets":
        idle_sockets(int(rest[0]))
    elif mode == "huge_environment":
        huge_environment(int(rest[0]))
    else:
        {"zombie_leader": zombie_leader, "traced_leader": traced_leader, "sleep": _sleep}[mode]()


if __name__ == "__main__":
    main()
