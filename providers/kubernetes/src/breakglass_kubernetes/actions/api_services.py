"""Takes away the aggregated APIs that the agent serves: every caller of such an API speaks to it.

Deleted, and made again at restore. An APIService that led elsewhere would stay registered and fail, and one
group that cannot be discovered holds up the deletion of every namespace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from breakglass.canon import Json
from breakglass.model.action import ActionSpec, Authority, Capability, Grade, Reversibility, Source
from breakglass.provider import Proposal, Proposed
from breakglass_kubernetes.actions.removed_sources import SIGNED, Family, Removed, find
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.destinations import Destinations, is_named
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import API_SERVICES, Kind
from breakglass_kubernetes.objects import Body, labels_of, part
from breakglass_kubernetes.scope import AGENT_LABEL, Scope, target

NAME = "kubernetes.apiregistration.remove_api_services"
_LISTED = "api_services"

SPEC = ActionSpec(
    name=NAME,
    capability=Capability.DISABLE_EVENT_SOURCES,
    summary="Deletes the APIServices whose requests the API server passes on to the agent",
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
        "list apiservices.apiregistration.k8s.io",
        "delete apiservices.apiregistration.k8s.io",
    ),
    blast_radius="everybody who uses an API that the agent serves gets 404",
    reversibility=Reversibility.FULL,
    undo="made again from what was recorded, with a new uid",
    settle_s=2.0,
    best_grade=Grade.READ_BACK,
    example="deletes apiservices.apiregistration.k8s.io v1.tickets.example.com",
    sources=(
        Source("summary", Authority.VENDOR_TEXT, 'Kubernetes documentation, "API Aggregation Layer"'),
        Source("undo", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_triggers_sources.py"),
        Source("settle", Authority.REAL_SYSTEM, "kube-apiserver 1.36.2 stops passing on within a second"),
    ),
    undo_permissions=tuple(
        f"{verb} apiservices.apiregistration.k8s.io" for verb in ("create", "get", "patch")
    ),
)


def _kinds(custom: Mapping[str, Kind]) -> tuple[Kind, ...]:
    del custom
    return (API_SERVICES,)


def drives(scope: Scope, named: Destinations, kind: Kind, body: Body) -> bool:
    """Return whether the agent serves it (pure); one without a service is the API server's own."""
    del kind
    service = part(body, "spec", "service")
    listed = scope.more.get(_LISTED)
    return bool(service) and (
        named.service(service)
        or labels_of(body).get(AGENT_LABEL) == scope.agent
        or is_named(body, map(str, listed if isinstance(listed, list) else ()))
    )


_FAMILY = Family(SPEC, _kinds, drives)


def _action(cluster: Cluster) -> Removed:
    return Removed(_FAMILY, cluster)


ACTION_CLASSES = (_action,)
SPECS = (SPEC,)


def propose(cluster: Cluster, found: Found) -> Proposed:
    """Propose to take them away where there are any."""
    more: dict[str, Json] = {_LISTED: [*cluster.settings.texts(_LISTED), *found.api_services]}
    label = f"APIs that {found.scope.agent} serves"
    goal = target(found.scope, cluster.settings.cluster_uid, label, **more)
    things, failed = find(cluster, _FAMILY, Scope.of(goal))
    there: list[Json] = [thing.uid for thing in things]
    goal = replace(goal, params={**goal.params, SIGNED: there})
    steps = (Proposal(key="api_services", action=NAME, target=goal),) if things else ()
    return Proposed(steps, incomplete=tuple(failed))
