"""Says which network plug-in a cluster seems to have, and whether it enforces NetworkPolicies.

By the names and images of DaemonSets: whoever may create one can forge it, so this is said and never proof.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from breakglass.errors import ProviderError
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.kinds import DAEMON_SETS
from breakglass_kubernetes.objects import Body, bodies, items, name_of, namespace_of, pod_spec_of, text

SYSTEM = frozenset(
    {
        "kube-system",
        "antrea-system",
        "calico-system",
        "cilium",
        "cilium-system",
        "kube-flannel",
        "kube-router",
        "openshift-multus",
        "openshift-ovn-kubernetes",
        "ovn-kubernetes",
        "tigera-operator",
        "weave",
    }
)
_FIRST_KINDNET = 20240813
"""The image of kind 0.24.0, whose release notes say that kindnetd enforces network policies now."""


class Enforces(StrEnum):
    """Whether policies are enforced."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Plugin:
    """One network plug-in as it seems to be installed."""

    name: str
    enforces: Enforces
    why: str


@dataclass(frozen=True, slots=True)
class Network:
    """All that was seen of a cluster's network."""

    plugins: tuple[Plugin, ...]
    note: str = ""

    @property
    def enforces(self) -> Enforces:
        """Return yes where any enforces, no where one is known and none does; else unknown."""
        seen = {one.enforces for one in self.plugins}
        if Enforces.YES in seen:
            return Enforces.YES
        return Enforces.NO if seen == {Enforces.NO} else Enforces.UNKNOWN

    def has(self, name: str) -> bool:
        """Return whether a plug-in of this name seems to enforce here."""
        return any(one.name == name and one.enforces is Enforces.YES for one in self.plugins)

    @property
    def words(self) -> str:
        """Return it as a sentence for whoever signs."""
        if not self.plugins:
            return self.note or "no known network plug-in is seen: whether policies are enforced is unknown"
        said = "; ".join(f"{one.name}: {one.why}" for one in self.plugins)
        verdict = {
            Enforces.YES: "policies seem to be enforced",
            Enforces.NO: "policies are stored and NOT enforced",
            Enforces.UNKNOWN: "whether policies are enforced is unknown",
        }[self.enforces]
        return f"{verdict} ({said})"


def look(cluster: Cluster, untrusted: Iterable[str] = ()) -> Network:
    """Read the DaemonSets of the system's namespaces, but for those where the agent has anything."""
    trusted = SYSTEM - frozenset(untrusted)
    try:
        found = cluster.every(DAEMON_SETS)
    except ProviderError as error:
        return Network((), f"the network plug-in cannot be read ({error.what})"[:300])
    return recognise(body for body in found if namespace_of(body) in trusted)


def recognise(daemon_sets: Iterable[Body]) -> Network:
    """Return the plug-ins among DaemonSets, each once: pure."""
    found = {
        plugin.name: plugin
        for body in daemon_sets
        for pattern, judge in _KNOWN
        if pattern.search(_signature(body)) and (plugin := judge(body))
    }
    return Network(tuple(found[name] for name in sorted(found)))


def _signature(body: Body) -> str:
    """Return its name and the last parts of its images, without registry and tag."""
    images = [text(one, "image").rpartition("/")[2].partition(":")[0] for one in _containers(body)]
    return " ".join([name_of(body), *images])


def _containers(body: Body) -> list[Body]:
    return list(bodies(pod_spec_of(body), "containers"))


def _always(name: str, enforces: Enforces, why: str) -> Callable[[Body], Plugin]:
    plugin = Plugin(name, enforces, why)
    return lambda body: plugin  # noqa: ARG005 - its presence says it all


def _aws(body: Body) -> Plugin:
    arguments = [str(one) for two in _containers(body) for one in items(two, "args")]
    if "--enable-network-policy=true" in arguments:
        return Plugin(
            "aws-node", Enforces.YES, 'its agent is told to (Amazon EKS User Guide, "Network policies")'
        )
    why = 'its agent is not told to (Amazon EKS User Guide, "Network policies")'
    return Plugin("aws-node", Enforces.NO, why)


def _kindnet(body: Body) -> Plugin:
    for one in _containers(body):
        dated = re.search(r"kindnetd:v(\d{8})", text(one, "image"))
        if dated is not None and int(dated[1]) >= _FIRST_KINDNET:
            return Plugin("kindnet", Enforces.YES, "since kind 0.24.0 (its release notes)")
        if dated is not None:
            return Plugin("kindnet", Enforces.NO, "older than kind 0.24.0 (its release notes)")
    return Plugin("kindnet", Enforces.UNKNOWN, "its image does not say how old it is")


def _router(body: Body) -> Plugin:
    arguments = [str(one) for two in _containers(body) for one in items(two, "args")]
    if "--run-firewall=false" in arguments:
        return Plugin("kube-router", Enforces.NO, "--run-firewall=false (kube-router User Guide)")
    return Plugin("kube-router", Enforces.YES, "its firewall runs (kube-router User Guide)")


def _known(pattern: str, judge: Callable[[Body], Plugin]) -> tuple[re.Pattern[str], Callable[[Body], Plugin]]:
    return re.compile(pattern), judge


_YES, _NO, _UNKNOWN = Enforces.YES, Enforces.NO, Enforces.UNKNOWN
_KNOWN = (
    _known(r"^(calico-node|canal)\b", _always("calico", _YES, 'Calico documentation, "Kubernetes policy"')),
    _known(
        r"^cilium( |$)",
        _always("cilium", _YES, 'Cilium documentation, "Network Policy", unless it is set to never'),
    ),
    _known(r"^anetd\b", _always("cilium", _YES, 'GKE documentation, "GKE Dataplane V2"')),
    _known(r"^antrea-agent\b", _always("antrea", _YES, 'Antrea documentation, "Antrea Network Policy"')),
    _known(
        r"^weave-net\b", _always("weave", _YES, "weave-npc (Weave Net documentation); no longer maintained")
    ),
    _known(r"^kube-router\b", _router),
    _known(r"^azure-npm\b", _always("azure-npm", _YES, 'AKS documentation, "Azure Network Policy Manager"')),
    _known(r"^ovnkube-node\b", _always("ovn-kubernetes", _YES, "OVN-Kubernetes documentation")),
    _known(r"^kube-network-policies\b", _always("kube-network-policies", _YES, "its own documentation")),
    _known(r"^aws-node\b", _aws),
    _known(r"^kindnet\b", _kindnet),
    _known(r"^(kube-)?flannel(-ds)?\b", _always("flannel", _NO, "Flannel documentation: it has no policies")),
    _known(
        r"^netd\b",
        _always(
            "netd",
            _UNKNOWN,
            'GKE enforces only where it is switched on (GKE documentation, "Network policy")',
        ),
    ),
)
