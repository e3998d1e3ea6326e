"""Finds what gives an agent our own privilege: then nothing that we do to it on this host is ever proven."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from dataclasses import dataclass

from breakglass_host import procfs
from breakglass_host.patient import HangingRead, PatientReader
from breakglass_host.procfs import Process

_HOST = {16: "CAP_SYS_MODULE", 17: "CAP_SYS_RAWIO", 19: "CAP_SYS_PTRACE", 21: "CAP_SYS_ADMIN"}
_NETWORK = {12: "CAP_NET_ADMIN", 13: "CAP_NET_RAW"}
CONTAINER_SOCKETS = (
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/crio/crio.sock",
    "/var/lib/incus/unix.socket",
    "/var/lib/lxd/unix.socket",
    "/var/snap/lxd/common/lxd/unix.socket",
    "/run/libvirt/libvirt-sock",
)
_ENVIRONMENT, _HANGS = 128 * 1024, 3
"""So much of an environment is read: a process may say that its own is as large as its memory (prctl(2)),
and that memory may never answer."""
_PROXY_SOCKETS = {"dbus": "/run/dbus/system_bus_socket", "the user's dbus": "/run/user/{uid}/bus"}


@dataclass(frozen=True, slots=True)
class Privilege:
    """What the agent can do that a stop on this host does not survive, in words."""

    host: tuple[str, ...]
    """As powerful as the executor: no step on this host is proof."""
    network: tuple[str, ...]
    """Can take the rules away again, or send past them."""
    proxies: tuple[str, ...]
    """Unix sockets that carry requests out, whatever the network rules say."""


def of(members: Collection[Process]) -> Privilege:
    """Look at every member: users, capabilities, and the sockets that it can reach."""
    own_user = procfs.namespace(os.getpid(), "user")
    host: dict[str, None] = {}
    network: dict[str, None] = {}
    proxies: dict[str, None] = {}
    environments = _Environments()
    for one in members:
        fields = procfs.status(one.pid)
        if fields is None:
            continue
        names = f"process {one.pid} ({one.name})"
        is_ours = procfs.namespace(one.pid, "user") == own_user
        # As seen from here, whatever it calls itself: a root of another namespace still owns root's files.
        if "0" in fields.get("Uid", "").split():
            host[f"{names} runs as uid 0"] = None
        held = int(fields.get("CapEff", "0"), 16) | int(fields.get("CapPrm", "0"), 16)
        strong = [name for bit, name in (_HOST | _NETWORK).items() if held >> bit & 1]
        for name in strong if is_ours else []:
            (network if name == "CAP_NET_RAW" else host)[f"{names} holds {name}"] = None
        if not is_ours and (found := [name for bit, name in _NETWORK.items() if held >> bit & 1]):
            network[f"{names} holds {found[0]} in its own user namespace"] = None
        for path in _reachable(one.pid, fields, CONTAINER_SOCKETS):
            host[f"{names} can reach the container socket {path}"] = None
        proxies.update(dict.fromkeys(_proxies(one.pid, fields, environments.of(one.pid))))
    environments.close()
    return Privilege(tuple(host), tuple(network), tuple(proxies))


class _Environments:
    """Reads environments until some of them have not answered."""

    def __init__(self) -> None:
        self._reader = PatientReader(largest=_ENVIRONMENT)
        self._hangs = 0

    def of(self, pid: int) -> bytes:
        """Return the beginning of an environment; empty where it cannot be read."""
        if self._hangs >= _HANGS:
            return b""
        try:
            return self._reader.read(f"/proc/{pid}/environ")
        except HangingRead:
            self._hangs += 1
        except OSError:
            pass
        return b""

    def close(self) -> None:
        """Let the reader end."""
        self._reader.close()


def _ids(fields: dict[str, str]) -> tuple[int, set[int]]:
    uid = int((fields.get("Uid", "65534 65534").split() or ["65534"])[1])
    groups = {int(part) for part in fields.get("Groups", "").split()}
    return uid, groups | {int(part) for part in fields.get("Gid", "").split()}


def _reachable(pid: int, fields: dict[str, str], paths: Collection[str]) -> list[str]:
    """Return the sockets that the process may write to, by owner, group and mode, in its own file system."""
    uid, groups = _ids(fields)
    found = []
    for path in paths:
        try:
            seen = os.stat(f"/proc/{pid}/root{path}")  # noqa: PTH116 - /proc/PID/root is a magic link
        except OSError:
            continue
        allowed = (
            uid == 0
            or (seen.st_uid == uid and seen.st_mode & stat.S_IWUSR)
            or (seen.st_gid in groups and seen.st_mode & stat.S_IWGRP)
            or seen.st_mode & stat.S_IWOTH
        )
        if stat.S_ISSOCK(seen.st_mode) and allowed:
            found.append(path)
    return found


def _proxies(pid: int, fields: dict[str, str], environment: bytes) -> list[str]:
    """Return dbus and ssh-agent sockets that the process can reach or was told of."""
    uid, _ = _ids(fields)
    found = [
        f"{name} {path.format(uid=uid)}"
        for name, path in _PROXY_SOCKETS.items()
        if _reachable(pid, fields, (path.format(uid=uid),))
    ]
    for item in environment.split(b"\0"):
        if item.startswith(b"SSH_AUTH_SOCK="):
            path = item.partition(b"=")[2].decode("utf-8", "replace")
            found.append("ssh-agent " + "".join(c if c.isprintable() else "?" for c in path)[:200])
    return found
