"""Finds where a custom resource keeps how many replicas it wants, as its definition says.

Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions", Scale subresource:
``specReplicasPath`` is a path in dot notation without arrays. Asked anew at each look: a definition may
vanish in the middle, and its objects with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Scalable:
    """What there is of custom resources that can be scaled."""

    things: tuple[tuple[Thing, Path], ...]
    """With the path of their replicas."""
    gone: tuple[str, ...]
    """Kinds that are defined no more."""
    failed: tuple[str, ...]
    """Kinds that could not be read, and why."""


def read(cluster: Cluster, wanted: Json, namespaces: tuple[str, ...]) -> Scalable:
    """Return the objects of these kinds; one that cannot be read hides no other."""
    found: list[tuple[Thing, Path]] = []
    gone: list[str] = []
    failed: list[str] = []
    for one in wanted if isinstance(wanted, list) else []:
        name = f"{_body(one).get('plural')}.{_body(one).get('group')}"
        try:
            made = _read(cluster, name, namespaces)
        except ProviderError as error:
            failed.append(f"{name}: {error.what}"[:300])
            continue
        found += made or []
        gone += [name] if made is None else []
    return Scalable(tuple(found), tuple(gone), tuple(failed))


def _read(cluster: Cluster, name: str, namespaces: tuple[str, ...]) -> list[tuple[Thing, Path]] | None:
    """Return the objects of one kind; None: it is gone. Raises ProviderError: it cannot be listed."""
    definition = cluster.maybe(CUSTOM_RESOURCES, "", name)
    if definition is None:
        return None
    made = scaled(definition)
    if made is None:
        raise ProviderError("is defined, and can be scaled no more", where=f"{cluster.where} {name}")
    kind, path = made
    try:
        return [(Thing(kind, body), path) for body in cluster.list_in(kind, namespaces)]
    except Gone as error:
        if cluster.maybe(CUSTOM_RESOURCES, "", name) is None:
            return None
        raise ProviderError("is defined, and cannot be listed", where=f"{cluster.where} {name}") from error


def _body(one: Any) -> Mapping[str, Any]:  # noqa: ANN401 - JSON
    return one if isinstance(one, Mapping) else {}
