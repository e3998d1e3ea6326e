"""Makes a deleted object again, equal to what it was but for uid and times, its owners of fields included.

DESIGN 5 lets a stop delete what its journal can recreate so. The manifest lies sealed: fields of custom
resources may hold secrets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from breakglass.canon import Json, canonical
from breakglass.errors import Gone, ProviderError, Transient
from breakglass.provider import Outcome
from breakglass_kubernetes.cluster import JSON_PATCH, MANAGER, Cluster
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.objects import Body, bodies, managers_of, part, uid_of, version_of
from breakglass_kubernetes.ownership import Thing
from breakglass_kubernetes.refusals import failure_of

_OF_THE_SERVER = (
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "selfLink",
)
_TRIES = 5


def manifest(body: Body) -> dict[str, Any]:
    """Return all of an object that somebody wrote: not what the server or a status controller adds."""
    about = {key: value for key, value in part(body, "metadata").items() if key not in _OF_THE_SERVER}
    owners = [one for one in bodies(body, "metadata", "managedFields") if not one.get("subresource")]
    rest = {key: value for key, value in body.items() if key not in {"status", "metadata"}}
    return {**rest, "metadata": {**about, "managedFields": owners}}


def keep(cluster: Cluster, thing: Thing) -> dict[str, Json]:
    """Return all that `recreate` needs, as JSON for a State. Raises ProviderError: it cannot be kept."""
    kind = thing.kind
    try:
        data = canonical(manifest(thing.body))
    except (TypeError, ValueError, RecursionError) as error:
        raise ProviderError(f"{thing.key} cannot be recorded: {error}", where=cluster.where) from error
    return {
        "uid": thing.uid,
        "kind": [kind.group, kind.version, kind.plural, kind.kind, "yes" if kind.namespaced else "no"],
        "namespace": thing.namespace,
        "name": thing.name,
        "deleting": "deletionTimestamp" in part(thing.body, "metadata"),
        "manifest": cluster.connection.sealed.put(f"{thing.key} {thing.uid}", data),
    }


def kind_of(kept: Mapping[str, Any]) -> Kind:
    """Return the kind of a kept object."""
    group, version, plural, kind, namespaced = (str(one) for one in kept["kind"])
    return Kind(group, version, plural, kind, namespaced=namespaced == "yes")


def recreate(cluster: Cluster, kept: Mapping[str, Any]) -> Outcome:
    """Make a kept object again, unless it was never deleted or somebody made another one since.

    Raises:
        ProviderError: the server refuses.
    """
    if kept["deleting"]:  # somebody else was at it before the stop
        return Outcome.ALREADY
    kind, namespace, name = kind_of(kept), str(kept["namespace"]), str(kept["name"])
    data = cluster.connection.sealed.get(kept["manifest"])
    whole: Any = json.loads(data)  # ours, checked by its digest; numbers as the server wrote them
    body = cluster.maybe(kind, namespace, name)
    if body is None:
        try:
            body = cluster.create(kind, namespace, _without_owners(whole))
        except Gone:  # its type, or its namespace, went meanwhile
            return Outcome.DRIFTED
        except Transient as error:
            if failure_of(error).reason == "AlreadyExists":
                return Outcome.DRIFTED
            raise
    elif "deletionTimestamp" in part(body, "metadata"):
        raise Transient(f"{kind.key(namespace, name)} is still being deleted", where=cluster.where)
    elif uid_of(body) == kept["uid"]:
        return Outcome.ALREADY
    elif MANAGER not in managers_of(body) or not _equal(body, whole):
        return Outcome.DRIFTED
    return_owners(cluster, kind, body, whole["metadata"]["managedFields"])
    return Outcome.RESTORED


def _without_owners(whole: Mapping[str, Any]) -> dict[str, Any]:
    about = {key: value for key, value in whole["metadata"].items() if key != "managedFields"}
    return {**whole, "metadata": about}


def _equal(body: Body, whole: Mapping[str, Any]) -> bool:
    """Return whether a living object has what a manifest says."""
    return _without_owners(manifest(body)) == _without_owners(whole)


def return_owners(cluster: Cluster, kind: Kind, body: Body, owners: list[Json]) -> None:
    """Give the fields to who owned them; who creates owns all at first."""
    namespace, name = str(part(body, "metadata").get("namespace", "")), str(body["metadata"]["name"])
    for attempt in range(_TRIES):
        others = [one for one in bodies(body, "metadata", "managedFields") if one.get("manager") != MANAGER]
        change: list[Json] = [
            {"op": "test", "path": "/metadata/uid", "value": uid_of(body)},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version_of(body)},
            {
                "op": "replace",
                "path": "/metadata/managedFields",
                "value": [*owners, *(one for one in others if one.get("subresource"))] or [{}],
            },
        ]
        try:
            cluster.patch(kind, namespace, name, change, content_type=JSON_PATCH)
        except Transient:
            if attempt == _TRIES - 1:
                raise
            body = cluster.get(kind, namespace, name)
        else:
            return
