"""Says what a node tells the API server about itself, and tells it."""

from __future__ import annotations

import datetime as dt
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from breakglass_kubernetes.sandbox import pins
from breakglass_kubernetes.sandbox.api import Api, ApiError, path_of

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_ROOM = {"cpu": "1000", "memory": "4000Gi", "pods": "100000", "ephemeral-storage": "1000Gi"}
_LEASE_S = 40
_STRATEGIC = "application/strategic-merge-patch+json"
_CONFLICT = 409


@dataclass(frozen=True, slots=True)
class NodeObject:
    """One node, as the API server shall know it."""

    name: str
    log_port: int
    labels: Mapping[str, str] = field(default_factory=dict)
    renew_s: float = 10.0
    """As a kubelet does (Kubernetes documentation, "Nodes", Heartbeats)."""

    def register(self, api: Api) -> None:
        """Make the node and its lease; one that is there from before is taken up."""
        arch = _ARCHITECTURES.get(platform.machine(), platform.machine())
        labels = {
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": arch,
        }
        info = dict.fromkeys(
            ("machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion"),
            "breakglass-stub",
        )
        info |= {"kubeletVersion": f"v{pins.KUBERNETES}", "kubeProxyVersion": ""}
        info |= {"operatingSystem": "linux", "architecture": arch}
        status = {
            "capacity": _ROOM,
            "allocatable": _ROOM,
            "conditions": _conditions(ready=True),
            "addresses": [
                {"type": "InternalIP", "address": "127.0.0.1"},
                {"type": "Hostname", "address": self.name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.log_port}},
            "nodeInfo": info,
        }
        meta = {"name": self.name, "labels": {**labels, **self.labels}}
        try:
            api.call("POST", "/api/v1/nodes", {"metadata": meta, "status": status})
        except ApiError as error:
            if error.status != _CONFLICT:
                raise
            api.call("PATCH", f"{self._path}/status", {"status": status}, content_type=_STRATEGIC)

    def report(self, api: Api, *, ready: bool) -> None:
        """Say whether it is ready; Unknown is what the controller manager would say of a silent node."""
        body = {"status": {"conditions": _conditions(ready=ready)}}
        api.call("PATCH", f"{self._path}/status", body, content_type=_STRATEGIC)

    def is_ready(self, api: Api) -> bool:
        """Say whether the API server has it as ready."""
        told = api.call("GET", self._path)["status"].get("conditions") or ()
        return any(each["type"] == "Ready" and each["status"] == "True" for each in told)

    def renew(self, api: Api) -> None:
        """Renew its lease, the sign that it lives."""
        path = path_of("apis", "coordination.k8s.io", "v1", "namespaces", "kube-node-lease", "leases")
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": self.name, "leaseDurationSeconds": _LEASE_S, "renewTime": now}
        try:
            api.call(
                "PATCH", f"{path}/{self.name}", {"spec": spec}, content_type="application/merge-patch+json"
            )
        except ApiError as error:
            if error.status != 404:  # noqa: PLR2004 - the first time
                raise
            api.call("POST", path, {"metadata": {"name": self.name}, "spec": spec})

    @property
    def _path(self) -> str:
        return path_of("api", "v1", "nodes", self.name)


def _conditions(*, ready: bool) -> list[dict[str, Any]]:
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    times = {"lastHeartbeatTime": now, "lastTransitionTime": now}
    if ready:
        said = {"status": "True", "reason": "KubeletReady", "message": "the stub kubelet answers"}
        calm = {"status": "False", "reason": "Stub", "message": "a stub has room"}
    else:
        unknown = "Kubelet stopped posting node status."
        said = calm = {"status": "Unknown", "reason": "NodeStatusUnknown", "message": unknown}
    pressures = ("MemoryPressure", "DiskPressure", "PIDPressure")
    return [{"type": "Ready", **said, **times}, *({"type": each, **calm, **times} for each in pressures)]
