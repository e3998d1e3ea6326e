"""Takes away the Argo Events Sensors and EventSources that drive the agent.

``spec.replicas: 0`` stops none of them: the controller reads everything below one as one (argo-events,
``SensorSpec.GetReplicas`` and ``EventSourceSpec.GetReplicas``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass.model.action import ActionSpec, Authority, Capability, Grade, Reversibility, Source
from breakglass.provider import Proposal, Proposed
from breakglass_kubernetes.actions.removed_sources import Family, Removed, find
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.destinations import Destinations
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.objects import Body, bodies, namespace_of, part, text
from breakglass_kubernetes.scope import Scope, target

NAME = "kubernetes.argo_events.remove_sensors"
_KINDS = ("sensors.argoproj.io", "eventsources.argoproj.io")

SPEC = ActionSpec(
    name=NAME,
    capability=Capability.DISABLE_EVENT_SOURCES,
    summary="Deletes the Argo Events Sensors and EventSources that drive the agent",
    permissions=(
        "get /apis",
        "list services",
        "list pods",
        "list deployments.apps",
        "list statefulsets.apps",
        "list daemonsets.apps",
        "list replicasets.apps",
        "list replicationcontrollers",
        "list jobs.batch",
        "list cronjobs.batch",
        "list services.serving.knative.dev",
        *(f"{verb} {kind}" for kind in _KINDS for verb in ("list", "delete")),
    ),
    blast_radius="events that come meanwhile are lost to it; every trigger of a deleted Sensor stops",
    reversibility=Reversibility.FULL,
    undo="made again from what was recorded, with a new uid",
    settle_s=5.0,
    best_grade=Grade.READ_BACK,
    example="deletes sensors.argoproj.io support-bot/on-ticket",
    sources=(
        Source("summary", Authority.VENDOR_TEXT, "argo-events, SensorSpec.GetReplicas: below one is one"),
        Source("summary", Authority.VENDOR_TEXT, 'Argo Events documentation, "Sensor High Availability"'),
        Source("undo", Authority.REAL_SYSTEM, "kube-apiserver 1.36.2; no Argo Events controller ran"),
        Source("settle", Authority.UNVERIFIED, "its pods have a grace period; no figure is documented"),
    ),
    undo_permissions=tuple(f"{verb} {kind}" for kind in _KINDS for verb in ("create", "get", "patch")),
)


def _kinds(custom: Mapping[str, Kind]) -> tuple[Kind, ...]:
    return tuple(custom[name] for name in _KINDS if name in custom)


def drives(scope: Scope, named: Destinations, kind: Kind, body: Body) -> bool:
    """Return whether one is the agent's, runs as an account of it, or reaches it (pure)."""
    namespace = namespace_of(body)
    account = text(body, "spec", "template", "serviceAccountName")
    if scope.owns(kind, body) or (account and f"{namespace}/{account}" in scope.accounts):
        return True
    templates = [part(one, "template") for one in bodies(body, "spec", "triggers")]
    return any(
        named.address(text(one, "http", "url"), namespace)
        or _starts_in(one, scope)
        or named.ref(_object(one), namespace)
        for one in templates
    )


def _object(template: Body) -> Body:
    """Return what a trigger creates or changes, as a reference (Argo Events, "Kubernetes Object Trigger")."""
    made: Any = part(template, "k8s", "source", "resource")
    about = part(made, "metadata")
    return {"kind": text(made, "kind"), "namespace": text(about, "namespace"), "name": text(about, "name")}


def _starts_in(template: Body, scope: Scope) -> bool:
    """Return whether a trigger makes something in a namespace that is the agent's alone."""
    made = [part(template, kind, "source", "resource", "metadata") for kind in ("k8s", "argoWorkflow")]
    return any(text(about, "namespace") in scope.own for about in made)


_FAMILY = Family(SPEC, _kinds, drives)


def _action(cluster: Cluster) -> Removed:
    return Removed(_FAMILY, cluster)


ACTION_CLASSES = (_action,)
SPECS = (SPEC,)


def propose(cluster: Cluster, found: Found) -> Proposed:
    """Propose to take them away where there are any."""
    things, failed = find(cluster, _FAMILY, found.scope)
    label = f"Argo Events of {found.scope.agent}"
    goal = target(found.scope, cluster.settings.cluster_uid, label)
    steps = (Proposal(key="argo_events", action=NAME, target=goal),) if things else ()
    return Proposed(steps, incomplete=tuple(failed))
