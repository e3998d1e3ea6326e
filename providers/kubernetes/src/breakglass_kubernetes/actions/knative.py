"""Takes away what Knative Eventing drives the agent with: its resources have no field that pauses them.

A Knative Service is left alone, and that is said: nothing in it means "none" (``max-scale: "0"`` means
without a limit; Knative documentation, "Configuring scale bounds"), and deleting it loses its revisions.
"""

from __future__ import annotations

from collections.abc import Mapping

from breakglass.model.action import ActionSpec, Authority, Capability, Grade, Reversibility, Source
from breakglass.model.plan import NotTouched
from breakglass.provider import Proposal, Proposed
from breakglass_kubernetes.actions.held_switch import listed
from breakglass_kubernetes.actions.removed_sources import Family, Removed, find
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.custom import custom_kinds
from breakglass_kubernetes.destinations import Destinations
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.objects import Body, namespace_of, part
from breakglass_kubernetes.scope import Scope, target

NAME = "kubernetes.knative.remove_sources"
_SERVING = "services.serving.knative.dev"
_READS = (
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
)
_KINDS = (
    "triggers.eventing.knative.dev",
    "subscriptions.messaging.knative.dev",
    "pingsources.sources.knative.dev",
    "apiserversources.sources.knative.dev",
    "containersources.sources.knative.dev",
    "sinkbindings.sources.knative.dev",
    "kafkasources.sources.knative.dev",
    "rabbitmqsources.sources.knative.dev",
    "redisstreamsources.sources.knative.dev",
    "githubsources.sources.knative.dev",
    "integrationsources.sources.knative.dev",
)

SPEC = ActionSpec(
    name=NAME,
    capability=Capability.DISABLE_EVENT_SOURCES,
    summary="Deletes the Knative Triggers, Subscriptions and sources that send events to the agent",
    permissions=(
        *_READS,
        "list services.serving.knative.dev",
        *(f"{verb} {kind}" for kind in _KINDS for verb in ("list", "delete")),
    ),
    blast_radius="events that come meanwhile are not kept for it; what its own sources feed stops, too",
    reversibility=Reversibility.FULL,
    undo="made again from what was recorded, with a new uid; events are received from then on",
    settle_s=5.0,
    best_grade=Grade.READ_BACK,
    example="deletes triggers.eventing.knative.dev support-bot/orders, whose subscriber is Service worker",
    sources=(
        Source(
            "summary", Authority.VENDOR_TEXT, 'Knative documentation, "Eventing API": no field pauses one'
        ),
        Source("undo", Authority.REAL_SYSTEM, "kube-apiserver 1.36.2; no Knative controller ran"),
        Source("settle", Authority.UNVERIFIED, "Knative's controllers watch; no figure is documented"),
    ),
    undo_permissions=tuple(f"{verb} {kind}" for kind in _KINDS for verb in ("create", "get", "patch")),
)


def _kinds(custom: Mapping[str, Kind]) -> tuple[Kind, ...]:
    return tuple(
        kind
        for name, kind in custom.items()
        if name in _KINDS or (kind.group == "sources.knative.dev" and kind.namespaced)
    )


def drives(scope: Scope, named: Destinations, kind: Kind, body: Body) -> bool:
    """Return whether one sends events to the agent, or is its own (pure): Destination, Eventing API."""
    if scope.owns(kind, body):
        return True
    return any(
        named.destination(part(body, "spec", field), namespace_of(body)) for field in ("subscriber", "sink")
    )


_FAMILY = Family(SPEC, _kinds, drives)


def _action(cluster: Cluster) -> Removed:
    return Removed(_FAMILY, cluster)


ACTION_CLASSES = (_action,)
SPECS = (SPEC,)


def propose(cluster: Cluster, found: Found) -> Proposed:
    """Propose to take them away where there are any; say what a Knative Service of the agent's means."""
    things, failed = find(cluster, _FAMILY, found.scope)
    custom = custom_kinds(cluster, ("serving.knative.dev",))
    serving = (custom[_SERVING],) if _SERVING in custom else ()
    services, missed = listed(cluster, serving, found.scope.look_in)
    said = tuple(
        NotTouched(
            one.key,
            "a Knative Service cannot be switched off: its Deployments are scaled to zero with the "
            "workloads, and only the guard keeps a request from starting a pod again",
        )
        for one in services
        if found.scope.owns(one.kind, one.body)
    )
    label = f"Knative sources of {found.scope.agent}"
    goal = target(found.scope, cluster.settings.cluster_uid, label)
    steps = (Proposal(key="knative_sources", action=NAME, target=goal),) if things else ()
    return Proposed(steps, not_touched=said, incomplete=(*failed, *missed))
