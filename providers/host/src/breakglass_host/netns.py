"""Finds and enters the network namespaces that an agent's processes are in.

A namespace ends with its last process, and the probe is made after that. So once it was reached, this
process keeps a handle on it (`release` lets go), as ``ip netns`` does with a bind mount.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable
from importlib.abc import InspectLoader
from pathlib import Path

from breakglass.canon import Json
from breakglass.errors import ProviderError
from breakglass_host import procfs

_NS_GET_USERNS = 0xB701
"""ioctl_ns(2): the user namespace that owns this one."""
_NAMED = Path("/run/netns")
_held: dict[int, int] = {}
_lock = threading.Lock()


def own() -> int:
    """Return the inode of the network namespace that we are in."""
    return procfs.namespace(os.getpid(), "net")


def reach(inode: int, pids: Iterable[int]) -> bool:
    """Get a handle on a network namespace through one of these processes; False: it cannot be reached."""
    with _lock:
        if inode in _held or inode == own():
            return True
        paths = [f"/proc/{pid}/ns/net" for pid in pids]
        with contextlib.suppress(OSError):
            paths += [str(path) for path in _NAMED.iterdir()]
        for path in paths:
            try:
                handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            if os.fstat(handle).st_ino == inode:
                _held[inode] = handle
                return True
            os.close(handle)
        return False


def keep(handle: int) -> int:
    """Take over a handle on a network namespace; return the namespace's inode."""
    inode = os.fstat(handle).st_ino
    with _lock:
        if inode in _held or inode == own():
            os.close(handle)
        else:
            _held[inode] = handle
    return inode


def release() -> None:
    """Let go of every namespace."""
    with _lock:
        while _held:
            os.close(_held.popitem()[1])


def run(inode: int, request: dict[str, Json]) -> dict[str, Json]:
    """Do one request of `inside` in a namespace that was reached.

    Raises:
        ProviderError: the kernel does not let us in, or the helper failed.
    """
    with _lock:
        net = _held.get(inode, -1)
        if net < 0 and inode != own():
            raise ProviderError(f"network namespace {inode} cannot be reached any more")
        handles = [os.dup(net)] if net >= 0 else []
    try:
        user = _owner(handles[0]) if handles and os.geteuid() != 0 else -1
        handles += [user] if user >= 0 else []
        asked = {**request, "net": handles[0] if handles else -1, "user": user}
        return _ask(asked, handles)
    finally:
        for handle in handles:
            os.close(handle)


def _owner(net: int) -> int:
    import fcntl

    try:
        return fcntl.ioctl(net, _NS_GET_USERNS)
    except OSError as error:
        raise ProviderError(f"not allowed into the agent's network namespace: {error}") from error


def _ask(request: dict[str, Json], handles: list[int]) -> dict[str, Json]:
    command = [sys.executable, "-I", "-S", "-B", "-c", _source("inside")]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and our own program
            command,
            input=json.dumps({**request, "sockdiag": _source("sockdiag")}).encode(),
            capture_output=True,
            check=False,
            pass_fds=handles,
            timeout=30,
        )
    except subprocess.TimeoutExpired as error:
        raise ProviderError("the helper in the network namespace did not answer within 30 s") from error
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise ProviderError(f"the helper in network namespace failed: {''.join(last)[:300]}")
    answer = json.loads(done.stdout)
    return answer if isinstance(answer, dict) else {}


def _source(name: str) -> str:
    """Return the text of one of our modules: elsewhere there is no file that the helper could run."""
    found = importlib.util.find_spec(f"breakglass_host.{name}")
    if found is None or not isinstance(found.loader, InspectLoader):
        raise ProviderError(f"the source of {name} is not at hand")
    return found.loader.get_source(found.name) or ""
