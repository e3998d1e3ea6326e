"""Finds what lets a container out: then it is root on this host, and no step here is proof against it."""

from __future__ import annotations

import os
from typing import Any

from breakglass_host import procfs, safepath
from breakglass_host.containers.facts import Container, table

_CAPABILITIES = (
    "ALL",
    "SYS_ADMIN",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_PTRACE",
    "SYS_BOOT",
    "DAC_READ_SEARCH",
    "NET_ADMIN",
    "BPF",
    "MAC_ADMIN",
)
"""Each of them, held in the first user namespace, changes the host or reads its files (capabilities(7))."""
_BITS = {2: "DAC_READ_SEARCH", 16: "SYS_MODULE", 17: "SYS_RAWIO", 19: "SYS_PTRACE", 21: "SYS_ADMIN"}
_KINDS = {"pid": "process", "mnt": "mount"}
_SYSTEM = (
    "/etc",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/boot",
    "/dev",
    "/proc",
    "/sys",
    "/root",
    "/run",
    "/var/run",
    "/var/lib/docker",
    "/var/lib/containers",
    "/var/lib/containerd",
    "/var/spool/cron",
)
_HARMLESS = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/localtime", "/etc/ssl", "/usr/share")
_CONTROL = (
    "docker.sock",
    "podman.sock",
    "containerd.sock",
    "crio.sock",
    "systemd/private",
    "system_bus_socket",
)


def of(one: Container) -> tuple[str, ...]:
    """Return in words what gives the container the host; empty: nothing that was looked for."""
    host = table(one.raw, "HostConfig")
    found: dict[str, None] = {}
    if host.get("Privileged") is True:
        found["it is privileged"] = None
    if host.get("PidMode") == "host":
        found["it shares the host's process namespace"] = None
    for name in _added(host.get("CapAdd")):
        found[f"it holds CAP_{name}"] = None
    found.update(dict.fromkeys(_mounts(one)))
    found.update(dict.fromkeys(_kernel(one)))
    devices = host.get("Devices")
    if isinstance(devices, list) and devices:
        found[f"it holds {len(devices)} devices of the host"] = None
    return tuple(found)


def shares_network(one: Container) -> bool:
    """Return True where it lives in the host's own network namespace."""
    mode = table(one.raw, "HostConfig").get("NetworkMode")
    is_same = bool(one.pid) and procfs.namespace(one.pid, "net") == procfs.namespace(os.getpid(), "net")
    return mode == "host" or is_same


def _added(value: Any) -> list[str]:  # noqa: ANN401 - the edge: anything may come
    names = [str(name).upper().removeprefix("CAP_") for name in value] if isinstance(value, list) else []
    return [name for name in _CAPABILITIES if name in names]


def _kernel(one: Container) -> list[str]:
    """Ask the kernel too: what an engine forgets to say is seen at the first process."""
    own = os.getpid()
    fields = procfs.status(one.pid) if one.pid else None
    if fields is None:
        return []
    found = [
        f"it shares the host's {what} namespace"
        for kind, what in _KINDS.items()
        if procfs.namespace(one.pid, kind) == procfs.namespace(own, kind)
    ]
    if procfs.namespace(one.pid, "user") == procfs.namespace(own, "user"):
        held = int(fields.get("CapEff", "0"), 16) | int(fields.get("CapPrm", "0"), 16)
        found += [f"it holds CAP_{name}" for bit, name in _BITS.items() if held >> bit & 1]
    return found


def _mounts(one: Container) -> list[str]:
    """Return what of the host is mounted that it can control it by; a socket works read-only too."""
    value = one.raw.get("Mounts")
    found = []
    for mount in value if isinstance(value, list) else []:
        source = mount.get("Source") if isinstance(mount, dict) else None
        if not isinstance(source, str) or mount.get("Type") == "volume":
            continue
        path, shown = os.path.normpath(source), safepath.shown(source)[:200]
        holds_sockets = path in ("/", "/run", "/var", "/var/run") or path.endswith(_CONTROL)
        is_system = path == "/" or _touches_system(path)
        if holds_sockets or (is_system and mount.get("RW") is not False):
            found.append(f"{shown} of the host is mounted in it")
    return found


def _touches_system(path: str) -> bool:
    if any(path == one or path.startswith(one + "/") for one in _HARMLESS):
        return False
    return any(path == one or path.startswith(one + "/") or one.startswith(path + "/") for one in _SYSTEM)
