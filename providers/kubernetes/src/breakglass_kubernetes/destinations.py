"""Says what of the agent's an event can be sent to: its Services and workloads, by reference or address.

References: Knative Eventing API, "Destination" (``ref``, ``uri``). Addresses: Kubernetes documentation,
"DNS for Services and Pods" (``SERVICE.NAMESPACE.svc...``; a bare name means the same namespace).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.objects import Body, labels_of, name_of, namespace_of, part, text
from breakglass_kubernetes.ownership import Held, Thing, read
from breakglass_kubernetes.scope import Scope, template_labels

SERVICES = Kind("", "v1", "services", "Service")
_Name = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Destinations:
    """What of the agent's can be named."""

    own: frozenset[str]
    """Namespaces in which everything is the agent's."""
    homes: frozenset[str]
    """Namespaces in which anything of the agent's can be; what lies elsewhere needs no look."""
    names: Callable[[], frozenset[_Name]]
    """Returns (kind, namespace, name) of each; raises ProviderError: they could not be read."""

    def has(self, kind: str, namespace: str, name: str) -> bool:
        """Return whether something is the agent's, by its name."""
        if not name or namespace not in self.homes:
            return False
        return namespace in self.own or (kind, namespace, name) in self.names()

    def ref(self, ref: Body, namespace: str) -> bool:
        """Return whether a reference in an object of `namespace` names something of the agent's."""
        where = text(ref, "namespace") or namespace
        return self.has(text(ref, "kind"), where, text(ref, "name"))

    def address(self, url: str, namespace: str) -> bool:
        """Return whether a URL in an object of `namespace` leads to a Service of the agent's."""
        try:
            host = urlsplit(url if "://" in url else f"//{url}").hostname or ""
        except ValueError:
            return False
        name, _, rest = host.partition(".")
        return self.has("Service", rest.partition(".")[0] or namespace, name)

    def destination(self, body: Body, namespace: str) -> bool:
        """Return whether a Knative Destination is the agent's: by ``ref``, or by ``uri`` without one."""
        ref = part(body, "ref")
        return self.ref(ref, namespace) if ref else self.address(text(body, "uri"), namespace)

    def service(self, ref: Body) -> bool:
        """Return whether a webhook's or an APIService's ``service`` is the agent's."""
        return self.has("Service", text(ref, "namespace"), text(ref, "name"))


def names(scope: Scope, held: Held, services: Iterable[Thing]) -> frozenset[_Name]:
    """Join what the agent holds: workloads, and Services that are its own or lead to its pods."""
    named = {(thing.body.get("kind", thing.kind.kind), thing.namespace, thing.name) for thing in held.things}
    behind = [(thing.namespace, labels) for thing in held.things for labels in _labels(thing.body)]
    named |= {
        ("Service", one.namespace, one.name)
        for one in services
        if scope.owns(one.kind, one.body) or _leads_to(one.body, behind)
    }
    return frozenset(named)


def read_destinations(cluster: Cluster, scope: Scope, custom: Mapping[str, Kind]) -> Destinations:
    """Return them; they are read once, when something in one of the agent's namespaces is asked for."""

    @cache
    def load() -> frozenset[_Name]:
        kinds = [SERVICES, *([custom[_SERVING]] if _SERVING in custom else [])]
        services = [Thing(kind, body) for kind in kinds for body in cluster.list_in(kind, scope.look_in)]
        return names(scope, read(cluster, scope), services)

    return Destinations(frozenset(scope.own), frozenset(scope.look_in), load)


_SERVING = "services.serving.knative.dev"


def _labels(body: Body) -> list[Mapping[str, str]]:
    """Return the labels of the pods that a thing is, or makes."""
    return [labels_of(body)] if text(body, "kind") == "Pod" else [template_labels(body)]


def _leads_to(service: Body, pods: Iterable[tuple[str, Mapping[str, str]]]) -> bool:
    """Return whether a Service selects pods of the agent's; one without a selector selects none."""
    wanted = part(service, "spec", "selector")
    return (
        bool(wanted)
        and text(service, "apiVersion") == "v1"
        and any(
            where == namespace_of(service) and all(labels.get(key) == value for key, value in wanted.items())
            for where, labels in pods
        )
    )


def is_named(body: Body, names: Iterable[str]) -> bool:
    """Return whether a cluster's own object is one of those that the inventory names."""
    return name_of(body) in set(names)
