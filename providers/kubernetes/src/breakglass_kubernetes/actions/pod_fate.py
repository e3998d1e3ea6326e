"""Says what is known of a pod's processes; pure.

The rule. A pod's processes have ended when its kubelet said so: every container is terminated, in a pod that
is deleted or over, on a node that was ready when that was read. A pod that never had a node had no
processes. A pod that vanished is judged by its last words, which the DELETED event of a watch carries
(API concepts, "Efficient detection of changes"): a kubelet reports the end of the containers before it lets
go of the pod ("Pod Lifecycle", "Termination of Pods"), so one whose last words are "running" was removed by
force, and its processes may run on: nobody ever learns what became of them.

Where it ends: who may write ``pods/status``, or acts as a node, can lie in a kubelet's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from breakglass_kubernetes.objects import Body, bodies, part, text

MIRROR = "kubernetes.io/config.mirror"
"""Carried by what mirrors a static pod; nobody can add it later ("Create static Pods")."""
_STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
_OVER = frozenset({"Succeeded", "Failed"})


class Fate(StrEnum):
    """What is known of a pod's processes."""

    RUNS = "runs"
    ENDING = "ending"
    """It is being deleted, and its kubelet has not confirmed the end yet."""
    ENDED = "ended"
    LOST = "lost"
    """Its end cannot be known."""
    STATIC = "static"
    """A file on its node makes it: deleting its mirror does nothing."""


def fate_of(body: Body, ready: Mapping[str, bool]) -> tuple[Fate, str]:
    """Return the fate of a pod that is there, and why; `ready` says which nodes are."""
    node = text(body, "spec", "nodeName")
    deleted = bool(text(body, "metadata", "deletionTimestamp"))
    over = text(body, "status", "phase") in _OVER
    if MIRROR in part(body, "metadata", "annotations"):
        return Fate.STATIC, f"is a static pod: a file on node {node} makes it"
    if not (deleted or over):
        return Fate.RUNS, "is not being deleted"
    if not node:
        return Fate.ENDED, "never had a node"
    if not ready.get(node, False):
        return Fate.LOST, f"is on node {node}, which is not ready"
    if confirmed(body):
        held = ", ".join(finalizers(body))
        return Fate.ENDED, f"has ended; held by finalizer {held}" if deleted and held else "has ended"
    if over:
        return Fate.LOST, f"is {text(body, 'status', 'phase')}, and node {node} never said that it ended"
    return Fate.ENDING, _ending(body)


def last_words(body: Body, ready: Mapping[str, bool]) -> tuple[Fate, str]:
    """Return the fate of a pod that vanished, by the last that was known of it."""
    node = text(body, "spec", "nodeName")
    if not node:
        return Fate.ENDED, "never had a node"
    if MIRROR in part(body, "metadata", "annotations"):
        return Fate.LOST, f"was a static pod on node {node}; its mirror alone is known to be gone"
    if not confirmed(body):
        return Fate.LOST, f"was removed by force; node {node} never said that it ended"
    if not ready.get(node, False):
        return Fate.LOST, f"vanished, and its node {node} is not ready"
    return Fate.ENDED, "has ended"


def confirmed(body: Body) -> bool:
    """Return whether its kubelet said of every container that it does not run any more."""
    over = text(body, "status", "phase") in _OVER
    told = bodies(body, "status", "containerStatuses")
    if len(told) < len(bodies(body, "spec", "containers")):
        # A pod that its kubelet refused is over without a word on containers ("Pod Lifecycle", Evicted).
        return over and not told and not _collected(body)
    states = [part(one, "state") for name in _STATUSES for one in bodies(body, "status", name)]
    # What waits in a pod that is over was never started.
    return not any("running" in one or not ("terminated" in one or over) for one in states) and not (
        _collected(body) and any("terminated" not in one for one in states)
    )


def _collected(body: Body) -> bool:
    """Return whether the control plane called it over because its node is gone (Disruptions, PodGC)."""
    return any(
        one.get("type") == "DisruptionTarget" and one.get("reason") == "DeletionByPodGC"
        for one in bodies(body, "status", "conditions")
    )


def finalizers(body: Body) -> list[str]:
    """Return what keeps the object after its processes have ended."""
    found = part(body, "metadata").get("finalizers")
    return [str(one) for one in found] if isinstance(found, list) else []


def ready_nodes(nodes: list[Body]) -> dict[str, bool]:
    """Return of each node whether its Ready condition is True ("Nodes", Condition)."""
    return {
        text(node, "metadata", "name"): any(
            one.get("type") == "Ready" and one.get("status") == "True"
            for one in bodies(node, "status", "conditions")
        )
        for node in nodes
    }


def _ending(body: Body) -> str:
    at = text(body, "metadata", "deletionTimestamp")
    held = f"; held by finalizer {', '.join(finalizers(body))}" if finalizers(body) else ""
    return f"ends by {at} at the latest, if its node {text(body, 'spec', 'nodeName')} obeys{held}"
