"""Says which nodes may be the agent's: its pods had rights there that reach beyond a container."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from breakglass.model.plan import DoorKind
from breakglass_kubernetes.discover.claims import Claims
from breakglass_kubernetes.kinds import PODS
from breakglass_kubernetes.objects import Body, bodies, items, part, pod_spec_of, text
from breakglass_kubernetes.ownership import Held

MOST = 20
_STRONG = frozenset({"ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "SYS_RAWIO", "BPF", "DAC_READ_SEARCH"})
"""Capabilities that lead out of a container (capabilities(7); Pod Security Standards, "Baseline")."""
_HARMLESS = ("/var/log/", "/usr/share/", "/etc/localtime", "/etc/ssl/certs", "/sys/fs/cgroup")
"""Read only, these hold no credential of the node's."""
_REMEDY = "drain it and reinstall it from outside; replace its kubelet's certificate and its cloud identity"


def doors(held: Held, claims: Claims) -> None:
    """Keep open each node where such a pod is, and any node for a workload that has no pod yet."""
    nodes: dict[str, list[str]] = {}
    for thing in held.things:
        rights = tuple(dict.fromkeys(powers(pod_spec_of(thing.body))))
        if not rights:
            continue
        node = text(thing.body, "spec", "nodeName") if thing.kind.name == PODS.name else ""
        if node or thing.kind.name != PODS.name:
            nodes.setdefault(node, []).append(f"{thing.key} ({', '.join(rights)})")
    names = sorted(node for node in nodes if node)
    for node in names[:MOST]:
        reason = f"its pods were privileged: the node itself may be the agent's: {_some(nodes[node])}"
        claims.door(DoorKind.PRIVILEGED, f"node {node}", reason, _REMEDY)
    if len(names) > MOST:
        reason = f"{len(names) - MOST} more nodes had privileged pods of the agent's: {_some(names[MOST:])}"
        claims.door(DoorKind.PRIVILEGED, "more nodes", reason, _REMEDY)
    if nodes.get("") and not names:
        reason = f"pods of these are privileged, and had been on nodes that are not known: {_some(nodes[''])}"
        claims.door(DoorKind.PRIVILEGED, "any node", reason, _REMEDY)


def powers(spec: Body) -> Iterator[str]:
    """Yield what in a pod spec leads to its node."""
    for flag in ("hostPID", "hostNetwork", "hostIPC"):
        if spec.get(flag) is True:
            yield flag
    windows = part(spec, "securityContext", "windowsOptions").get("hostProcess")
    if windows is True:
        yield "hostProcess"
    containers = [
        one
        for group in ("initContainers", "containers", "ephemeralContainers")
        for one in bodies(spec, group)
    ]
    for container in containers:
        yield from _container(part(container, "securityContext"))
    paths = {text(one, "name"): text(one, "hostPath", "path") for one in bodies(spec, "volumes")}
    for container in containers:
        yield from _mounts(container, paths)


def _container(context: Body) -> Iterator[str]:
    if context.get("privileged") is True:
        yield "privileged"
    if part(context, "windowsOptions").get("hostProcess") is True:
        yield "hostProcess"
    for name in items(context, "capabilities", "add"):
        if str(name).upper().removeprefix("CAP_") in _STRONG:
            yield str(name)[:40]


def _mounts(container: Body, paths: Mapping[str, str]) -> Iterator[str]:
    for mount in (*bodies(container, "volumeMounts"), *bodies(container, "volumeDevices")):
        path = paths.get(text(mount, "name"), "")
        harmless = mount.get("readOnly") is True and f"{path}/".startswith(_HARMLESS) and ".." not in path
        if path and not harmless:
            yield f"hostPath {path[:100]}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""  # noqa: PLR2004 - as many as one reads
    return ", ".join(names[:5]) + more
