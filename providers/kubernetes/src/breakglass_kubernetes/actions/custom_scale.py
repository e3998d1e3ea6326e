"""Finds where a custom resource keeps how many replicas it wants, as its definition says.

Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions", Scale subresource:
``specReplicasPath`` is a path in dot notation without arrays. Asked anew at each look: a definition may
vanish in the middle, and its objects with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Gone, ProviderError
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.kinds import CUSTOM_RESOURCES, Kind
from breakglass_kubernetes.objects import Body, bodies, part, text
from breakglass_kubernetes.owners import Path
from breakglass_kubernetes.ownership import Thing

PARAM = "scalable"


def params_of(kinds: Iterable[Kind]) -> list[Json]:
    """Return kinds as a parameter of a target: names alone, the version may change."""
    return [{"group": kind.group, "plural": kind.plural} for kind in kinds]


def scaled(definition: Body) -> tuple[Kind, Path] | None:
    """Return the kind, in a version that is served, and the path of its replicas; None: it has none."""
    names, group = part(definition, "spec", "names"), text(definition, "spec", "group")
    for version in bodies(definition, "spec", "versions"):
        where = text(version, "subresources", "scale", "specReplicasPath")
        if version.get("served") is True and where.startswith("."):
            namespaced = text(definition, "spec", "scope") == "Namespaced"
            kind = Kind(group, text(version, "name"), text(names, "plural"), text(names, "kind"), namespaced)
            return kind, tuple(where[1:].split("."))
    return None


def read(
    cluster: Cluster, wanted: Json, namespaces: tuple[str, ...]
) -> tuple[list[tuple[Thing, Path]], list[str]]:
    """Return the objects of these kinds, with the path of their replicas; and the kinds that are gone.

    Raises:
        ProviderError: a listing failed, or a kind is defined and cannot be listed.
    """
    found: list[tuple[Thing, Path]] = []
    gone: list[str] = []
    for one in wanted if isinstance(wanted, list) else []:
        name = f"{part(_body(one)).get('plural')}.{part(_body(one)).get('group')}"
        definition = cluster.maybe(CUSTOM_RESOURCES, "", name)
        made = None if definition is None else scaled(definition)
        if made is None:
            gone.append(name)
            continue
        kind, path = made
        try:
            found += [(Thing(kind, body), path) for body in cluster.list_in(kind, namespaces)]
        except Gone as error:
            if cluster.maybe(CUSTOM_RESOURCES, "", name) is not None:
                raise ProviderError(
                    "is defined and cannot be listed", where=f"{cluster.where} {name}"
                ) from error
            gone.append(name)
    return found, gone


def _body(one: Any) -> Mapping[str, Any]:  # noqa: ANN401 - JSON
    return one if isinstance(one, Mapping) else {}
