"""Asks a cluster which custom resources it serves, of the groups that matter here.

Kubernetes documentation, "The Kubernetes API" (discovery): ``/apis`` names the groups with the version that
each prefers, ``/apis/GROUP/VERSION`` their resources.
"""

from __future__ import annotations

from collections.abc import Mapping

from breakglass.errors import Gone
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.objects import Body, bodies, text

GROUPS = (
    "argoproj.io",
    "keda.sh",
    "serving.knative.dev",
    "eventing.knative.dev",
    "sources.knative.dev",
    "messaging.knative.dev",
    "kustomize.toolkit.fluxcd.io",
    "helm.toolkit.fluxcd.io",
    "cilium.io",
    "crd.projectcalico.org",
    "policy.networking.k8s.io",
)
"""Argo, KEDA, Knative, Flux, Cilium, Calico, and the cluster-wide network policies of SIG Network."""


def custom_kinds(cluster: Cluster, groups: tuple[str, ...] = GROUPS) -> Mapping[str, Kind]:
    """Return what is served of these groups, by ``plural.group``, in the version that each group prefers.

    A kind that only another version has is there in that one.

    Raises:
        ProviderError: discovery failed; what a group serves is not known then.
    """
    found: dict[str, Kind] = {}
    for group in bodies(cluster.ask("GET", "/apis"), "groups"):
        name = text(group, "name")
        if name not in groups:
            continue
        served = [text(one, "version") for one in bodies(group, "versions")]
        preferred = text(group, "preferredVersion", "version")
        for version in sorted(served, key=lambda one: one != preferred):
            for kind in _resources(cluster, name, version):
                found.setdefault(kind.name, kind)
    return found


def _resources(cluster: Cluster, group: str, version: str) -> list[Kind]:
    try:
        listed = cluster.ask("GET", Kind(group, version, "", "").path())
    except Gone:  # its last definition vanished since
        return []
    return [_kind(group, version, one) for one in bodies(listed, "resources") if _is_whole(one)]


def _is_whole(resource: Body) -> bool:
    """Return whether it is a resource, no subresource of one."""
    return bool(text(resource, "name")) and "/" not in text(resource, "name")


def _kind(group: str, version: str, resource: Body) -> Kind:
    namespaced = resource.get("namespaced") is not False
    return Kind(group, version, text(resource, "name"), text(resource, "kind"), namespaced=namespaced)
