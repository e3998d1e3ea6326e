"""Which network plug-in a cluster seems to have, from its DaemonSets alone: pure, by known shapes.

The names and images are those of the projects' own manifests; none of these plug-ins runs here.
"""

from __future__ import annotations

from typing import Any

import pytest

from breakglass_kubernetes.cni import Enforces, recognise


def daemon_set(name: str, *images: str, args: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a DaemonSet as a list gives it."""
    containers = [{"name": f"c{n}", "image": image, "args": [*args]} for n, image in enumerate(images)]
    return {
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": "kube-system"},
        "spec": {"template": {"spec": {"containers": containers}}},
    }


@pytest.mark.parametrize(
    ("seen", "name", "enforces"),
    [
        (daemon_set("calico-node", "docker.io/calico/node:v3.30.1"), "calico", Enforces.YES),
        (daemon_set("canal", "calico/node:v3.30.1", "flannel/flannel:v0.26"), "calico", Enforces.YES),
        (daemon_set("cilium", "quay.io/cilium/cilium:v1.18.0"), "cilium", Enforces.YES),
        (daemon_set("anetd", "gke.gcr.io/cilium/cilium:v1.15"), "cilium", Enforces.YES),
        (daemon_set("antrea-agent", "antrea/antrea-agent-ubuntu:v2.3"), "antrea", Enforces.YES),
        (daemon_set("weave-net", "weaveworks/weave-kube:2.8.1", "weave-npc:2.8.1"), "weave", Enforces.YES),
        (daemon_set("kube-router", "cloudnativelabs/kube-router:v2.5"), "kube-router", Enforces.YES),
        (
            daemon_set("kube-router", "cloudnativelabs/kube-router", args=("--run-firewall=false",)),
            "kube-router",
            Enforces.NO,
        ),
        (
            daemon_set("aws-node", "amazon-k8s-cni:v1.20", args=("--enable-network-policy=true",)),
            "aws-node",
            Enforces.YES,
        ),
        (daemon_set("aws-node", "amazon-k8s-cni:v1.20"), "aws-node", Enforces.NO),
        (daemon_set("kindnet", "docker.io/kindest/kindnetd:v20250512-df8de77b"), "kindnet", Enforces.YES),
        (daemon_set("kindnet", "docker.io/kindest/kindnetd:v20230511-dc714da8"), "kindnet", Enforces.NO),
        (daemon_set("kindnet", "example.com/kindnetd:mine"), "kindnet", Enforces.UNKNOWN),
        (daemon_set("kube-flannel-ds", "docker.io/flannel/flannel:v0.26"), "flannel", Enforces.NO),
        (daemon_set("azure-npm", "mcr.microsoft.com/azure-npm:v1.5"), "azure-npm", Enforces.YES),
        (daemon_set("ovnkube-node", "ovn-kubernetes:1"), "ovn-kubernetes", Enforces.YES),
        (daemon_set("netd", "gke.gcr.io/netd:v0.8"), "netd", Enforces.UNKNOWN),
    ],
)
def test_a_plug_in_is_known_by_its_name_and_arguments(
    seen: dict[str, Any], name: str, enforces: Enforces
) -> None:
    """Say which one it is, whether it enforces, and who says so."""
    found = recognise([seen])

    assert [(one.name, one.enforces) for one in found.plugins] == [(name, enforces)]
    assert found.enforces is enforces
    assert found.plugins[0].why in found.words


def test_flannel_beside_a_plug_in_of_unknown_use_is_unknown() -> None:
    """Never turn one no and one unknown into a no, or into a yes."""
    found = recognise([daemon_set("kube-flannel-ds", "flannel"), daemon_set("netd", "netd")])

    assert found.enforces is Enforces.UNKNOWN


def test_what_nobody_knows_is_unknown() -> None:
    """Say so, whatever else runs on every node; also names that only look alike."""
    others = [daemon_set(name, "x") for name in ("kube-proxy", "cilium-envoy-like", "my-calico-node", "")]

    found = recognise([*others, {}, {"metadata": {"name": 7}, "spec": "?"}])

    assert (found.plugins, found.enforces) == ((), Enforces.UNKNOWN)
    assert "is unknown" in found.words
