"""Ends an object for good: also one that a finalizer of the agent's holds."""

from __future__ import annotations

from breakglass.canon import Json
from breakglass.errors import Gone
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.objects import Body, items, part, text


def end(cluster: Cluster, kind: Kind, was: Body) -> None:
    """Delete exactly this object, and let go what holds it: a token lives on for as long as that.

    Finalizers run somebody's cleaning up (Kubernetes documentation, "Finalizers"); on an account or a token
    Secret none is known, and whoever may write one could hold the deletion for ever.

    Raises:
        Transient: it is another one by now, or changed meanwhile.
        ProviderError: the server refuses.
    """
    namespace, name, uid = text(was, "namespace"), text(was, "name"), text(was, "uid")
    said = cluster.delete(kind, namespace, name, uid=uid)
    if text(said, "kind") == kind.kind and not items(said, "metadata", "finalizers"):
        return  # as it was when it went; a Status does not tell
    held = cluster.maybe(kind, namespace, name)
    if held is None or text(held, "metadata", "uid") != uid or not items(held, "metadata", "finalizers"):
        return
    version = text(held, "metadata", "resourceVersion")
    guard = {"uid": uid, "resourceVersion": version, "finalizers": None}
    try:
        cluster.patch(kind, namespace, name, {"metadata": guard})
    except Gone:
        return


def kept(body: Body) -> dict[str, Json]:
    """Return what of an object's metadata comes back with it: no uid, no times."""
    about = part(body, "metadata")
    names = ("labels", "annotations", "ownerReferences", "finalizers")
    return {name: about[name] for name in names if about.get(name)}
