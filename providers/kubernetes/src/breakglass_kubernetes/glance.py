"""Reads many objects of one kind by one listing, where they would be asked for one by one."""

from __future__ import annotations

from collections.abc import Callable, Collection

from breakglass.errors import ProviderError
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.objects import Body, name_of, namespace_of

FEW = 20
Place = tuple[str, str]
"""Namespace and name."""
Read = Callable[[str, str], Body | None]


def glance(cluster: Cluster, kind: Kind, places: Collection[Place]) -> Read:
    """Return what reads an object: first as the listing has it, after that anew each time.

    Whoever writes guards that by ``resourceVersion``, so what is a moment old is refused and read again.
    """
    listed: dict[Place, Body | None] = {}
    if len(places) > FEW:
        namespaces = tuple(dict.fromkeys(namespace for namespace, _ in places))
        try:
            found = cluster.list_in(kind, namespaces) if kind.namespaced else cluster.every(kind)
        except ProviderError:
            found = []
        else:
            listed = dict.fromkeys(places)
        listed |= {place: one for one in found if (place := (namespace_of(one), name_of(one))) in listed}

    def read(namespace: str, name: str) -> Body | None:
        try:
            return listed.pop((namespace, name))
        except KeyError:
            return cluster.maybe(kind, namespace, name)

    return read
