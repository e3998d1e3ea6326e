"""``kubernetes.autoscaling.hold``: autoscalers of the agent's workloads may not scale up.

An autoscaler whose minimum is 1 or more does nothing while its target is at zero (Kubernetes documentation,
"Horizontal Pod Autoscaling", "Implicit maintenance-mode deactivation"; seen on 1.36.2: ScalingDisabled).
One whose minimum is 0 (gate HPAScaleToZero) scales up from zero, and one that the agent may change can be
pointed at another workload. Both are shut by ``behavior.scaleUp.selectPolicy: Disabled``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from breakglass.canon import Json
from breakglass.model.action import ActionSpec, Authority, Capability, Grade, Reversibility, Source
from breakglass.model.resource import Resource
from breakglass.provider import Action, Proposal, Proposed
from breakglass_kubernetes.actions import custom_scale
from breakglass_kubernetes.actions.held_workloads import Cut, Holding, Looked, Mine, listed
from breakglass_kubernetes.actions.scale_to_zero import SCALED, value
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import AUTOSCALERS
from breakglass_kubernetes.objects import Body, namespace_of, part, text
from breakglass_kubernetes.owners import Path
from breakglass_kubernetes.ownership import Thing
from breakglass_kubernetes.scope import Scope, target

BEHAVIOR: Path = ("spec", "behavior")
POLICY: Path = (*BEHAVIOR, "scaleUp", "selectPolicy")
DISABLED = "Disabled"
SPEC = ActionSpec(
    name="kubernetes.autoscaling.hold",
    capability=Capability.STOP_WORKLOADS,
    summary="forbids every HorizontalPodAutoscaler of the agent's workloads to scale up, as our own field",
    permissions=(
        "list horizontalpodautoscalers.autoscaling",
        "patch horizontalpodautoscalers.autoscaling",
        "list deployments.apps",
        "list statefulsets.apps",
        "list replicasets.apps",
        "list replicationcontrollers",
        "get customresourcedefinitions.apiextensions.k8s.io",
        "list rollouts.argoproj.io",
    ),
    blast_radius="the targets of these autoscalers stay at the replicas that they have",
    reversibility=Reversibility.FULL,
    undo="puts the scaling behavior back with its owners",
    settle_s=15,
    best_grade=Grade.READ_BACK,
    example="kubernetes.autoscaling.hold support-bot",
    sources=(
        Source(
            "settle",
            Authority.VENDOR_TEXT,
            "Kubernetes documentation, Horizontal Pod Autoscaling: the controller looks every 15 s",
        ),
        Source("effect", Authority.VENDOR_TEXT, "Horizontal Pod Autoscaling, Scaling policies: Disabled"),
        Source("undo", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_review_twice.py"),
        Source("zero", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_workloads_hpa.py"),
    ),
    undo_permissions=("get horizontalpodautoscalers.autoscaling",),
)


def look(cluster: Cluster, resource: Resource, mine: Mine) -> Looked:
    """Return every autoscaler that is the agent's, or that scales what is."""
    scope = Scope.of(resource)
    things, failed = listed(cluster, SCALED, scope)
    custom = custom_scale.read(cluster, scope.more.get(custom_scale.PARAM, []), scope.look_in)
    owned = mine.held(resource, scope, [*things, *(thing for thing, _ in custom.things)]).things
    found, unread = listed(cluster, (AUTOSCALERS,), scope)
    cuts = [_cut(one) for one in found if is_of(scope, one, owned)]
    return Looked(cuts, failed=(*failed, *unread, *custom.failed))


def is_of(scope: Scope, one: Thing, workloads: Iterable[Thing]) -> bool:
    """Return whether an autoscaler is the agent's, or scales one of these."""
    if scope.owns(AUTOSCALERS, one.body):
        return True
    scaled = (one.namespace, *_target(one.body))
    return any(scaled == (two.namespace, two.kind.kind, two.name) for two in workloads)


def _target(body: Body) -> tuple[str, str]:
    aim = part(body, "spec", "scaleTargetRef")
    return text(aim, "kind"), text(aim, "name")


def _cut(thing: Thing) -> Cut:
    kind, name = _target(thing.body)
    least, most = value(thing.body, ("spec", "minReplicas")), value(thing.body, ("spec", "maxReplicas"))
    words = f"may scale {kind} {namespace_of(thing.body)}/{name} from {least} to {most}"
    return Cut(thing, {POLICY: DISABLED}, words, kept=(BEHAVIOR,))


def left(before: Mapping[str, Any], body: Mapping[str, Any]) -> Mapping[Path, Json]:
    """Return the behavior as the stop left it: the server fills in defaults beside what we set.

    Empty where anything that was recorded has changed since: then it is somebody else's.
    """
    now = value(body, BEHAVIOR)
    prior = before["prior"]["fields"][0].get("value")
    if not isinstance(now, Mapping) or value(body, POLICY) != DISABLED:
        return {}
    for direction, rules in (prior or {}).items():
        for name, rule in (rules or {}).items():
            ours = (direction, name) == ("scaleUp", "selectPolicy")
            if not ours and part(now, direction).get(name) != rule:
                return {}
    return {BEHAVIOR: dict(now)}


def hold_autoscalers(cluster: Cluster) -> Action:
    """Return the action."""
    return Holding(cluster, SPEC, look, left)


def propose(cluster: Cluster, found: Found) -> Proposed:
    """Propose one step over all autoscalers. Raises ProviderError: they cannot be listed."""
    scope = found.scope
    listed = [Thing(AUTOSCALERS, body) for body in cluster.list_in(AUTOSCALERS, scope.look_in)]
    # A custom workload was not read here: its autoscaler is looked for when the step runs.
    if not (found.scalable and listed) and not any(is_of(scope, one, found.held.things) for one in listed):
        return Proposed()
    label = f"autoscalers of {scope.agent}"
    more: dict[str, Json] = {custom_scale.PARAM: custom_scale.params_of(found.scalable)}
    step = Proposal(
        "hold_autoscalers",
        SPEC.name,
        target(found.knowing(*SCALED), cluster.settings.cluster_uid, label, **more),
    )
    return Proposed((step,))


ACTION_CLASSES = (hold_autoscalers,)
SPECS = (SPEC,)
