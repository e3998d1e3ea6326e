"""``kubernetes.apps.scale_to_zero``: every workload with replicas, held at zero by our field manager.

Held by server-side apply, not by the scale subresource: writing that drops the ownership of
``spec.replicas``, and a deployer's next apply goes through without a conflict (seen on 1.36.2). So a
deployer that does not force gets 409, and one that does is seen at the next look. Only ReplicaSets that a
Deployment of the agent's really scales are left to it; one that merely claims such an owner is scaled, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass.canon import Json
from breakglass.model.action import ActionSpec, Authority, Capability, Grade, Reversibility, Source
from breakglass.model.resource import Resource
from breakglass.provider import Action, Proposal, Proposed
from breakglass_kubernetes.actions import custom_scale
from breakglass_kubernetes.actions.held_workloads import Cut, Holding, Looked, Mine, listed
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.held_fields import is_held
from breakglass_kubernetes.kinds import DEPLOYMENTS, REPLICA_SETS, REPLICATION_CONTROLLERS, STATEFUL_SETS
from breakglass_kubernetes.objects import Body, controller_of, part, text
from breakglass_kubernetes.owners import Path
from breakglass_kubernetes.ownership import Held, Thing
from breakglass_kubernetes.scope import Scope, target

SCALED = (DEPLOYMENTS, STATEFUL_SETS, REPLICA_SETS, REPLICATION_CONTROLLERS)
REPLICAS: Path = ("spec", "replicas")
PATIENT_LOOKS = 4
"""So many looks (two a round) a ReplicaSet is left to the Deployment that it claims."""
LOGS = "logs and file systems of the pods that end"
SPEC = ActionSpec(
    name="kubernetes.apps.scale_to_zero",
    capability=Capability.STOP_WORKLOADS,
    summary="holds replicas of every Deployment, StatefulSet, ReplicaSet, ReplicationController and custom"
    " resource that can be scaled at zero, as our own field",
    permissions=(
        "list deployments.apps",
        "patch deployments.apps",
        "list statefulsets.apps",
        "patch statefulsets.apps",
        "list replicasets.apps",
        "patch replicasets.apps",
        "list replicationcontrollers",
        "patch replicationcontrollers",
        "get customresourcedefinitions.apiextensions.k8s.io",
        "list rollouts.argoproj.io",
        "patch rollouts.argoproj.io",
    ),
    blast_radius="everything that these workloads do; a deployer that does not force gets 409",
    reversibility=Reversibility.FULL,
    undo="sets replicas as before and gives the field back to its owners; new pods are started",
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="kubernetes.apps.scale_to_zero support-bot",
    sources=(
        Source("effect", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_workloads.py"),
        Source("ownership", Authority.VENDOR_TEXT, "Kubernetes documentation, Server-Side Apply, Conflicts"),
        Source("undo", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_workloads.py"),
        Source("settle", Authority.UNVERIFIED, "controllers act on a watch; no page states a bound"),
        Source("custom", Authority.VENDOR_TEXT, "Kubernetes documentation, CustomResourceDefinitions, Scale"),
    ),
    destroys_evidence=LOGS,
    undo_permissions=(
        "get deployments.apps",
        "get statefulsets.apps",
        "get replicasets.apps",
        "get replicationcontrollers",
        "get rollouts.argoproj.io",
    ),
)


def look(cluster: Cluster, resource: Resource, mine: Mine) -> Looked:
    """Return what is to be held at zero."""
    scope = Scope.of(resource)
    things, failed = listed(cluster, SCALED, scope)
    held = mine.held(resource, scope, things)
    custom = custom_scale.read(cluster, scope.more.get(custom_scale.PARAM, []), scope.look_in)
    paths = {thing.uid: path for thing, path in custom.things}
    owned = mine.held(resource, scope, [thing for thing, _ in custom.things]).things
    cuts = [_built_in(thing, held) for thing in (*held.roots, *_claimed(held, mine))]
    cuts += [_custom(thing, paths[thing.uid]) for thing in owned]
    gone = ", ".join(custom.gone)
    remark = f"no longer served, their objects are gone with them: {gone}" if gone else ""
    return Looked(cuts, remark, (*failed, *custom.failed))


def _claimed(held: Held, mine: Mine) -> list[Thing]:
    """Return ReplicaSets that stay up under a Deployment that is at zero: it does not scale them."""
    above = {thing.uid: thing.body for thing in held.of(DEPLOYMENTS)}
    roots = {thing.uid for thing in held.roots}
    found: list[Thing] = []
    for thing in held.of(REPLICA_SETS):
        owner = above.get(_owner(thing))
        if thing.uid in roots or owner is None:
            continue
        up = value(owner, REPLICAS) == 0 and value(thing.body, REPLICAS) != 0
        looks = mine.count(thing.uid) if up else 0
        # The controller writes the Deployment's status after it scaled (seen on 1.36.2); whoever rewrites
        # the Deployment all the time keeps it from that, but not from scaling.
        if (up and (_acted(owner) or looks > PATIENT_LOOKS)) or is_held(thing.body, {REPLICAS: 0}):
            found.append(thing)
    return found


def _owner(thing: Thing) -> str:
    return text(controller_of(thing.body), "uid")


def _built_in(thing: Thing, held: Held) -> Cut:
    body = thing.body
    below = [one.body for one in held.of(REPLICA_SETS) if _owner(one) == thing.uid]
    if thing.kind is DEPLOYMENTS and below:
        # What its ReplicaSets say is nearer to the pods than its own status.
        count = sum(_count(one) for one in below)
        acted = _acted(body) or all(value(one, REPLICAS) == 0 for one in below)
        return Cut(thing, {REPLICAS: 0}, _words(body, REPLICAS), count, acted)
    return Cut(thing, {REPLICAS: 0}, _words(body, REPLICAS), _count(body), _acted(body))


def _custom(thing: Thing, path: Path) -> Cut:
    """Return what is to be held of an object whose controller may keep no status that we know."""
    return Cut(thing, {path: 0}, _words(thing.body, path), _count(thing.body))


def value(body: Body, path: Path) -> Any:  # noqa: ANN401 - JSON
    """Return the value at a path; None: there is none."""
    return part(body, *path[:-1]).get(path[-1])


def _words(body: Body, path: Path) -> str:
    return f"has {path[-1]} {value(body, path)}"


def _count(body: Body) -> int:
    counted = value(body, ("status", "replicas"))
    return counted if isinstance(counted, int) else 0


def _acted(body: Body) -> bool:
    wanted, done = value(body, ("metadata", "generation")), value(body, ("status", "observedGeneration"))
    return isinstance(wanted, int) and isinstance(done, int) and done >= wanted


def scale_to_zero(cluster: Cluster) -> Action:
    """Return the action."""
    return Holding(cluster, SPEC, look)


def propose(cluster: Cluster, found: Found) -> Proposed:
    """Propose one step over all that has replicas; nothing has: no step."""
    kinds = {kind.name for kind in SCALED}
    if not found.scalable and not any(thing.kind.name in kinds for thing in found.held.things):
        return Proposed()
    more: Mapping[str, Json] = {custom_scale.PARAM: custom_scale.params_of(found.scalable)}
    uid, label = cluster.settings.cluster_uid, f"workloads of {found.scope.agent} with replicas"
    step = Proposal("scale_to_zero", SPEC.name, target(found.knowing(*SCALED), uid, label, **more))
    return Proposed((step,))


ACTION_CLASSES = (scale_to_zero,)
SPECS = (SPEC,)
