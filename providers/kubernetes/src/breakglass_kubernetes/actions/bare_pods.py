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
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.kinds import PODS
from breakglass_kubernetes.objects import Body, name_of, namespace_of, part, uid_of
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
    namespace, name = str(kept["namespace"]), str(kept["name"])
    there = cluster.maybe(PODS, namespace, name)
    if there is None:
        try:
            cluster.create(PODS, namespace, manifest)
        except Transient as error:
            if failure_of(error).reason != "AlreadyExists":
                raise
            there = cluster.maybe(PODS, namespace, name)
        except Denied:
            raise
        except ProviderError:
            # Invalid by now: a class, a priority or a namespace that it names is gone or another.
            return Outcome.CANNOT
        else:
            return Outcome.RESTORED
    if there is None or uid_of(there) == kept["uid"]:
        # The one that the stop deleted still ends; its name is taken until it is gone.
        raise Transient("is still there, ending", where=f"{cluster.where} pods/{namespace}/{name}")
    return Outcome.ALREADY if _same(manifest_of(there), manifest) else Outcome.DRIFTED


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether somebody who was cut off in the middle of a restore made it."""
    return one["spec"] == other["spec"] and part(one, "metadata", "labels") == part(
        other, "metadata", "labels"
    )
