"""Does one thing inside a network namespace, and in the agent's place where a probe asks for it.

Run as a program of its own (``python -I -S -c`` with this text), because entering a user namespace needs a
process with one thread, and there may be no file of ours on this machine. Standard library alone; a JSON
request on stdin, which carries the text of `sockdiag`, and a JSON answer on stdout.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_CAP_AMBIENT, _RAISE = 47, 2
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CAP_NET_ADMIN = 12
_CAPABILITY_VERSION_3 = 0x20080522
_CONNECT_S = 2.0

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _end_with_parent() -> None:
    """Die with the executor: whoever resumes must not take its leftovers for neighbours of the agent.

    A change of user clears it (prctl(2)), so it is asked for again after one.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _enter(user: int, net: int) -> None:
    """Enter the namespaces; keep CAP_NET_ADMIN across exec, which drops it for whoever is not root there."""
    if user >= 0:
        _call("setns", user, _CLONE_NEWUSER)
    if net >= 0:
        _call("setns", net, _CLONE_NEWNET)
    if user >= 0:
        header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
        data = ctypes.create_string_buffer(24)
        _call("capget", header, data)
        words = list(struct.unpack("=6I", data.raw))
        words[2], words[5] = words[1], words[4]
        _call("capset", header, struct.pack("=6I", *words))
        _call("prctl", _PR_CAP_AMBIENT, _RAISE, _CAP_NET_ADMIN, 0, 0)


def _nft(request: dict[str, Any]) -> dict[str, object]:
    """Load a script if there is one, then list the chain."""
    nft, script = request["nft"], request.get("script", "")
    answer: dict[str, object] = {}
    if script:
        loaded = subprocess.run(  # noqa: S603 - the path of nft and a script of ours
            [nft, "-f", "-"], input=script, text=True, capture_output=True, check=False, timeout=20
        )
        answer |= {"loaded": loaded.returncode, "load_error": loaded.stderr[-500:]}
    listed = subprocess.run(  # noqa: S603 - the path of nft and our own table
        [nft, "-n", *request["list"]], text=True, capture_output=True, check=False, timeout=20
    )
    return answer | {"listed": listed.returncode, "chain": listed.stdout, "list_error": listed.stderr[-500:]}


def _sockets(select: dict[str, Any], *, kill: bool) -> dict[str, object]:
    """Destroy the agent's held sockets if asked, and list what is left of them."""
    import sockdiag  # type: ignore[import-not-found]  # made from the request

    def theirs() -> list[Any]:
        return [
            one
            for one in sockdiag.held()
            if select["all"]
            or one.uid == select["uid"]
            or one.cgroup in select["cgroups"]
            or one.inode in select["inodes"]
        ]

    select = select | {"cgroups": set(select["cgroups"]), "inodes": set(select["inodes"]) - {0}}
    errors = (
        sorted({os.strerror(number) for one in theirs() if (number := sockdiag.destroy(one))}) if kill else []
    )
    return {"sockets": [str(one) for one in theirs()], "errors": errors}


def _attempt(family: int, address: tuple[str, int]) -> int:
    with socket.socket(family, socket.SOCK_STREAM) as caller:
        caller.settimeout(_CONNECT_S)
        try:
            return caller.connect_ex(address)
        except TimeoutError:
            return errno.ETIMEDOUT


def _as_agent(place: dict[str, Any], family: int, address: tuple[str, int]) -> int:
    """Connect from the agent's cgroup as its user; return the errno that it got."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        number = errno.EPROTO
        try:
            if place["cgroup"]:
                Path(place["cgroup"], "cgroup.procs").write_text(str(os.getpid()))
            if place["uid"] is not None:
                os.setgroups([])
                os.setresgid(place["uid"], place["uid"], place["uid"])
                os.setresuid(place["uid"], place["uid"], place["uid"])
            _end_with_parent()
            number = _attempt(family, address)
        finally:
            os.write(writer, struct.pack("=i", number))
            os._exit(0)
    os.close(writer)
    data = os.read(reader, 4)
    os.close(reader)
    os.waitpid(child, 0)
    return int(struct.unpack("=i", data)[0]) if data else errno.EPROTO


def _probe(place: dict[str, Any]) -> dict[str, object]:
    """Listen here, connect from here (the control), then connect in the agent's place."""
    found = []
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        name = "IPv4" if family == socket.AF_INET else "IPv6"
        try:
            with socket.socket(family, socket.SOCK_STREAM) as listener:
                listener.bind((host, 0))
                listener.listen(8)
                address = (host, listener.getsockname()[1])
                control = _attempt(family, address) if place["control"] else -1
                found.append(
                    {"family": name, "control": control, "attempt": _as_agent(place, family, address)}
                )
        except OSError as error:
            found.append({"family": name, "absent": str(error)})
    return {"attempts": found}


def main() -> None:
    """Read the request, enter, act, answer."""
    _end_with_parent()
    request = json.loads(sys.stdin.read())
    sockdiag = sys.modules["sockdiag"] = ModuleType("sockdiag")
    exec(request["sockdiag"], sockdiag.__dict__)  # noqa: S102 - our own module, from our own process
    _enter(request["user"], request["net"])
    answer: dict[str, object] = {}
    if "place" in request:
        answer |= _probe(request["place"])
    if "list" in request:
        answer |= _nft(request)
    if "select" in request:
        answer |= _sockets(request["select"], kill=request["kill"])
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
