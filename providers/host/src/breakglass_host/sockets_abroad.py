"""Finds the sockets that a process holds, and the network namespaces that they were made in.

A socket keeps its namespace for life. Only the socket itself tells which one that is, so a copy of it is
taken from the process (pidfd_getfd(2)) and asked (SIOCGSKNS, linux/sockios.h).
"""

from __future__ import annotations

import ctypes
import fcntl
import os

from breakglass_host import netns

_PIDFD_GETFD = 438
"""The same number on every architecture."""
_SIOCGSKNS = 0x894C


def open_sockets(pid: int) -> list[tuple[int, int]]:
    """Return inode and descriptor of each socket that a process has open."""
    found: list[tuple[int, int]] = []
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a process may hold ten thousand files open
    except OSError:
        return found
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")  # noqa: PTH115 - the same
        except OSError:
            continue
        if target.startswith("socket:["):
            found.append((int(target[8:-1]), int(name)))
    return found


def namespaces(pid: int) -> set[int]:
    """Return the namespaces of its sockets, each reached; empty where the kernel does not let us ask."""
    sockets = open_sockets(pid)
    if not sockets:
        return set()
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return set()
    found: set[int] = set()
    try:
        for _, number in sockets:
            found |= _namespace(process, number)
    finally:
        os.close(process)
    return found


def _namespace(process: int, number: int) -> set[int]:
    libc = ctypes.CDLL(None, use_errno=True)
    copy = int(libc.syscall(_PIDFD_GETFD, process, number, 0))
    if copy < 0:
        return set()
    try:
        return {netns.keep(fcntl.ioctl(copy, _SIOCGSKNS))}
    except OSError:  # no socket any more, or of a namespace that is not ours to enter
        return set()
    finally:
        os.close(copy)
