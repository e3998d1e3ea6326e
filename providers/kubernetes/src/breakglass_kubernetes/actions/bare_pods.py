"""Keeps the manifest of a pod that nobody makes anew, and makes it anew at restore.

The manifest may hold secrets in its environment, so it goes to sealed state, and the journal has a reference.
A pod made from it equals the original in specification, labels and annotations; its uid, its times and the
node that the scheduler finds are its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Denied, ProviderError, Transient
from breakglass.provider import Outcome
from breakglass_kubernetes.cluster import MANAGER, Cluster
from breakglass_kubernetes.kinds import PODS
from breakglass_kubernetes.objects import Body, bodies, managers_of, name_of, namespace_of, part, text, uid_of
from breakglass_kubernetes.recreated import return_owners
from breakglass_kubernetes.refusals import failure_of

_FOUND_LATER = frozenset({"nodeName", "ephemeralContainers"})
"""The scheduler finds the first; the second cannot be given at creation ("Ephemeral Containers")."""


def manifest_of(body: Body) -> dict[str, Any]:
    """Return what a pod is made of."""
    about = part(body, "metadata")
    kept = {
        name: about[name]
        for name in ("name", "namespace", "labels", "annotations", "finalizers")
        if name in about
    }
    kept["managedFields"] = [
        one for one in bodies(body, "metadata", "managedFields") if not one.get("subresource")
    ]
    spec = {name: value for name, value in part(body, "spec").items() if name not in _FOUND_LATER}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": kept, "spec": spec}


def keep(cluster: Cluster, body: Body) -> Json:
    """Keep the manifest; return the reference. Raises ProviderError: the disk refused."""
    data = json.dumps(manifest_of(body), sort_keys=True, separators=(",", ":")).encode()
    return cluster.connection.sealed.put(f"pod {namespace_of(body)}/{name_of(body)} {uid_of(body)}", data)


def bring_back(cluster: Cluster, kept: Mapping[str, Any]) -> Outcome:
    """Make a pod anew from what was kept of it.

    Raises:
        RecordDamaged: what was kept is not what it was.
        ProviderError: the server does not answer.
    """
    manifest = json.loads(cluster.connection.sealed.get(kept["manifest"]))
    owners = manifest["metadata"].pop("managedFields", [])
    namespace, name = str(kept["namespace"]), str(kept["name"])
    there = cluster.maybe(PODS, namespace, name)
    if there is None:
        try:
            there = cluster.create(PODS, namespace, manifest)
        except Transient as error:
            if failure_of(error).reason != "AlreadyExists":
                raise
            there = cluster.get(PODS, namespace, name)
        except Denied:
            raise
        except ProviderError:
            # Invalid by now: a class, a priority or a namespace that it names is gone or another.
            return Outcome.CANNOT
    if uid_of(there) == kept["uid"] and not text(there, "metadata", "deletionTimestamp"):
        # The stop never got to end it.
        return Outcome.ALREADY
    if uid_of(there) == kept["uid"]:
        # The one that the stop deleted still ends; its name is taken until it is gone.
        raise Transient("is still there, ending", where=f"{cluster.where} pods/{namespace}/{name}")
    if not _same(manifest_of(there), manifest):
        return Outcome.DRIFTED
    if MANAGER not in managers_of(there):
        return Outcome.ALREADY
    # Who makes a pod owns all of it at first; also where that was somebody who was cut off in the middle.
    return_owners(cluster, PODS, there, owners)
    return Outcome.RESTORED


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether it is what the stop ended, made anew."""
    return one["spec"] == other["spec"] and part(one, "metadata", "labels") == part(
        other, "metadata", "labels"
    )
