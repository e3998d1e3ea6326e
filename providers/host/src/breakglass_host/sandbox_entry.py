"""Enters a fresh sandbox and becomes the agent; run as a program of its own (``python -I -S``), stdlib alone.

As root: a new network namespace, a cgroup, an unprivileged user. As an ordinary user: new user, pid and
network namespaces, whose first process reaps and whose second is the agent. Either way without any
capability and with no_new_privs, and with loopback up. Listening sockets made in the new network namespace
go out over the control socket, so that a process outside can serve the agent.
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Any, NoReturn

_CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE = 24, 38, 4
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))


def _listeners(addresses: list[tuple[str, int]]) -> list[socket.socket]:
    made = []
    for host, port in addresses:
        one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((host, port))
        one.listen(512)
        made.append(one)
    return made


def _hand_over(control: socket.socket, listeners: list[socket.socket]) -> None:
    """Send the network namespace and the listeners to the process that started us."""
    handle = os.open("/proc/self/ns/net", os.O_RDONLY)
    handles = array.array("i", [handle, *(one.fileno() for one in listeners)])
    control.sendmsg([b"ready"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handles.tobytes())])
    os.close(handle)
    for one in listeners:
        one.close()


def _drop_bounding() -> None:
    for number in range(_LAST_CAPABILITY + 1):
        _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)


def _drop_all() -> None:
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _call("capset", struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), bytes(24))


def _become(command: list[str]) -> NoReturn:
    for number in (signal.SIGPIPE, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.execvp(command[0], command)  # noqa: S606 - no shell: the command is a list


def _as_root(request: dict[str, Any], control: socket.socket) -> NoReturn:
    from visible import make_visible  # type: ignore[import-not-found]

    _call("unshare", _CLONE_NEWNET)
    _raise_loopback()
    _hand_over(control, _listeners(request["listen"]))
    make_visible(request["visible"], request["uid"])
    Path(request["cgroup"], "cgroup.procs").write_text(str(os.getpid()))
    _drop_bounding()
    os.setgroups([])
    os.setresgid(request["uid"], request["uid"], request["uid"])
    os.setresuid(request["uid"], request["uid"], request["uid"])
    _drop_all()
    control.send(struct.pack("=i", os.getpid()))
    _wait_for_go(control)
    _become(request["command"])


def _as_user(request: dict[str, Any], control: socket.socket) -> None:
    if request["uid"] != os.getuid():
        _become_nobody_else(request)
    uid, gid = os.getuid(), os.getgid()
    _call("unshare", _CLONE_NEWUSER | _CLONE_NEWPID | _CLONE_NEWNET)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    _raise_loopback()
    _hand_over(control, _listeners(request["listen"]))
    first = os.fork()
    if first == 0:
        _drop_bounding()
        _drop_all()
        _wait_for_go(control)
        _reap(request["command"])
    control.send(struct.pack("=i", first))


def _become_nobody_else(request: dict[str, Any]) -> None:
    """Give up root before anything is shared: a root of another namespace would still own root's files."""
    from visible import make_visible

    make_visible(request["visible"], request["uid"])
    os.setgroups([])
    os.setresgid(request["uid"], request["uid"], request["uid"])
    os.setresuid(request["uid"], request["uid"], request["uid"])
    # Changing the user makes /proc/self root's own; the maps of the new namespace are written there.
    _call("prctl", _PR_SET_DUMPABLE, 1, 0, 0, 0)


def _wait_for_go(control: socket.socket) -> None:
    """Wait until the pid file is written: the agent must not run before anybody can name it."""
    control.recv(2)
    control.close()


def _reap(command: list[str]) -> NoReturn:
    """Be the first process of the pid namespace: start the agent, reap orphans, end when all have ended."""
    if os.fork() == 0:
        _become(command)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            os._exit(0)


def main() -> None:
    """Read the request and do it."""
    request = json.loads(sys.argv[1])
    sys.path.insert(0, str(Path(__file__).parent))
    control = socket.socket(fileno=request["control"])
    control.set_inheritable(False)
    if request["cgroup"]:
        _as_root(request, control)
    _as_user(request, control)


if __name__ == "__main__":
    main()
