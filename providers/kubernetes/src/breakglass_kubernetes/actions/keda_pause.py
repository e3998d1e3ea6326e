"""Pauses KEDA where it takes work off queues for the agent; the queues themselves lie elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

from breakglass.canon import Json
from breakglass.model.action import ActionSpec, Authority, Capability, Grade, Reversibility, Source
from breakglass.model.plan import NotTouched
from breakglass.provider import Proposal, Proposed
from breakglass_kubernetes.actions.held_switch import Switch, SwitchedOff, listed
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.custom import custom_kinds
from breakglass_kubernetes.destinations import Destinations, read_destinations
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.objects import Body, part, text
from breakglass_kubernetes.owners import Path
from breakglass_kubernetes.ownership import Thing
from breakglass_kubernetes.scope import Scope, target

NAME = "kubernetes.keda.pause"
_OBJECTS, _JOBS = "scaledobjects.keda.sh", "scaledjobs.keda.sh"
_OFF: Mapping[str, Mapping[Path, Json]] = {
    _OBJECTS: {("metadata", "annotations", "autoscaling.keda.sh/paused-replicas"): "0"},
    _JOBS: {("metadata", "annotations", "autoscaling.keda.sh/paused"): "true"},
}

SPEC = ActionSpec(
    name=NAME,
    capability=Capability.PAUSE_QUEUES,
    summary="Pauses the KEDA ScaledObjects (at no replicas) and ScaledJobs that start work of the agent's",
    permissions=(
        "get /apis",
        "list scaledobjects.keda.sh",
        "get scaledobjects.keda.sh",
        "patch scaledobjects.keda.sh",
        "list scaledjobs.keda.sh",
        "get scaledjobs.keda.sh",
        "patch scaledjobs.keda.sh",
        "list services",
        "list pods",
        "list deployments.apps",
        "list statefulsets.apps",
        "list daemonsets.apps",
        "list replicasets.apps",
        "list replicationcontrollers",
        "list jobs.batch",
        "list cronjobs.batch",
    ),
    blast_radius="messages wait in their queue; Jobs that a ScaledJob started already go on",
    reversibility=Reversibility.FULL,
    undo="the annotation as it was, or none",
    settle_s=5.0,
    best_grade=Grade.READ_BACK,
    example='autoscaling.keda.sh/paused-replicas: "0" on scaledobjects.keda.sh support-bot/worker',
    sources=(
        Source(
            "summary", Authority.VENDOR_TEXT, 'KEDA documentation, "Scaling Deployments": Pausing autoscaling'
        ),
        Source("summary", Authority.VENDOR_TEXT, 'KEDA documentation, "Scaling Jobs": Pausing autoscaling'),
        Source("undo", Authority.REAL_SYSTEM, "kube-apiserver 1.36.2; no KEDA controller ran"),
        Source("settle", Authority.UNVERIFIED, "KEDA watches its objects; no figure is documented"),
    ),
)


def scales(scope: Scope, named: Destinations, thing: Thing) -> bool:
    """Return whether a ScaledObject or ScaledJob starts work of the agent's, or is its own (pure).

    A reference without a kind means a Deployment (KEDA documentation, "ScaledObject specification").
    """
    if scope.owns(thing.kind, thing.body):
        return True
    if thing.kind.name == _JOBS:
        return scope.owns(thing.kind, _as_workload(thing.body))
    ref = part(thing.body, "spec", "scaleTargetRef")
    return named.ref({"kind": text(ref, "kind") or "Deployment", "name": text(ref, "name")}, thing.namespace)


def _as_workload(body: Body) -> Body:
    """Return a ScaledJob with its pod template where a workload has it."""
    return {**body, "spec": {"template": part(body, "spec", "jobTargetRef", "template")}}


def _find(cluster: Cluster, scope: Scope) -> tuple[list[Thing], list[str]]:
    custom = custom_kinds(cluster, ("keda.sh",))
    kinds = tuple(custom[name] for name in _OFF if name in custom)
    things, failed = listed(cluster, kinds, scope.look_in)
    named = read_destinations(cluster, scope, {})
    return [one for one in things if scales(scope, named, one)], failed


_SWITCH = Switch(SPEC, _find, lambda name: _OFF[name], "paused")


def _action(cluster: Cluster) -> SwitchedOff:
    return SwitchedOff(_SWITCH, cluster)


ACTION_CLASSES = (_action,)
SPECS = (SPEC,)


def propose(cluster: Cluster, found: Found) -> Proposed:
    """Propose to pause them; else say that queues are paused where they live."""
    things, failed = _find(cluster, found.scope)
    incomplete = tuple(failed)
    if things:
        label = f"KEDA scalers of {found.scope.agent}"
        goal = target(found.scope, cluster.settings.cluster_uid, label)
        return Proposed((Proposal(key="keda_pause", action=NAME, target=goal),), incomplete=incomplete)
    said = NotTouched(
        f"queues of {found.scope.agent}",
        "no KEDA scaler takes work off a queue for it in this cluster: a queue is paused where it lives",
    )
    return Proposed(not_touched=(said,), incomplete=incomplete)
