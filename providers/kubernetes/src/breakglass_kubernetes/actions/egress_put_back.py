"""Puts a policy or a pod's label back as it was, with the fields owned by whom they were owned before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Gone, Transient
from breakglass.provider import Outcome
from breakglass_kubernetes import owners
from breakglass_kubernetes.cluster import MANAGER, Cluster
from breakglass_kubernetes.kinds import PODS, Kind
from breakglass_kubernetes.objects import (
    Body,
    bodies,
    labels_of,
    managers_of,
    name_of,
    namespace_of,
    part,
    text,
    uid_of,
)
from breakglass_kubernetes.ownership import Thing
from breakglass_kubernetes.peers import MARK

_TRIES = 5
_KEPT = ("labels", "annotations", "finalizers", "ownerReferences")


def prior(body: Body) -> dict[str, Json]:
    """Return all that is needed to put an object back."""
    about = part(body, "metadata")
    kept: dict[str, Any] = {name: about[name] for name in _KEPT if name in about}
    owned: Any = list(bodies(body, "metadata", "managedFields"))
    return {"uid": uid_of(body), "metadata": kept, "spec": dict(part(body, "spec")), "managed": owned}


def whole(kind: Kind, now: Body, about: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a PUT over `now`, guarded by its uid and version."""
    seen = part(now, "metadata")
    guard = {name: seen[name] for name in ("name", "namespace", "uid", "resourceVersion") if name in seen}
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {**about, **guard},
        "spec": dict(spec),
    }


def put_back(cluster: Cluster, kind: Kind, now: Body, was: Mapping[str, Json], *, spec_only: bool) -> Outcome:
    """Write the recorded spec over `now`, and give the fields back to whoever owned them.

    `spec_only`: labels and the like are not ours and stay as they are now.

    Raises:
        Transient: somebody changed it meanwhile.
        Gone: it is not there any more.
    """
    recorded, seen = part(was, "metadata"), part(now, "metadata")
    about = {name: seen[name] for name in _KEPT if name in seen} if spec_only else dict(recorded)
    made = cluster.replace(kind, whole(kind, now, about, part(was, "spec")))
    _give_back(cluster, kind, made, was)
    return Outcome.RESTORED


def finish(cluster: Cluster, kind: Kind, now: Body, was: Mapping[str, Json]) -> Outcome:
    """Give fields back that are as they were and still ours: a restore was cut off, or overtaken.

    Raises:
        Transient: somebody changed it meanwhile.
        Gone: it is not there any more.
    """
    if MANAGER not in managers_of(now) or any(
        text(one, "manager") == MANAGER for one in bodies(was, "managed")
    ):
        return Outcome.ALREADY
    _give_back(cluster, kind, now, was)
    return Outcome.RESTORED


def _give_back(cluster: Cluster, kind: Kind, now: Body, was: Mapping[str, Json]) -> None:
    seen = part(now, "metadata")
    theirs = [one for one in bodies(now, "metadata", "managedFields") if text(one, "manager") != MANAGER]
    owned = owners.restore(theirs, bodies(was, "managed"))
    about = {name: seen[name] for name in _KEPT if name in seen} | {"managedFields": owned}
    cluster.replace(kind, whole(kind, now, about, part(now, "spec")))


def retry(attempt: Callable[[], Outcome]) -> Outcome:
    """Make a compare-and-set again while others write; DRIFTED once it is gone or never still."""
    for _ in range(_TRIES):
        try:
            return attempt()
        except Transient:
            continue
        except Gone:
            return Outcome.DRIFTED
    return Outcome.DRIFTED


# -- our own label on pods --------------------------------------------------------------------------------


def mark_states(pods: Iterable[Thing]) -> dict[str, Json]:
    """Return the pods that still need our label, as objects of a state."""
    return {
        pod.key: {"uid": pod.uid, "namespace": pod.namespace, "name": pod.name, "unmarked": True}
        for pod in pods
    }


def mark_pods(cluster: Cluster, objects: Mapping[str, Json], mark: str) -> None:
    """Give our label to the pods of a state that need it. Raises ProviderError: some failed."""
    unmarked = [one for one in objects.values() if isinstance(one, Mapping) and one.get("unmarked") is True]

    def attempt(one: Mapping[str, Json]) -> None:
        # A patch that names another uid than the object's is refused: the field cannot change.
        change = {"metadata": {"uid": one["uid"], "labels": {MARK: mark}}}
        cluster.patch(PODS, str(one["namespace"]), str(one["name"]), change)

    cluster.each(unmarked, attempt)


def unmark(cluster: Cluster, was: Mapping[str, Json], mark: str) -> Outcome:
    """Take our label off a pod that still runs. Raises ProviderError."""
    now = cluster.maybe(PODS, str(was["namespace"]), str(was["name"]))
    if now is None or uid_of(now) != was["uid"]:
        return Outcome.ENDED
    if labels_of(now).get(MARK) != mark:
        return Outcome.ALREADY
    change = {"metadata": {"uid": uid_of(now), "labels": {MARK: None}}}
    cluster.patch(PODS, namespace_of(now), name_of(now), change)
    return Outcome.RESTORED
