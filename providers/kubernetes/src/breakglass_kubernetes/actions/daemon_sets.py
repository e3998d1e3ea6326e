"""``kubernetes.apps.evict_daemons``: DaemonSets whose pods fit no node.

A DaemonSet has no replicas. Its controller ends pods on nodes that its node selector does not fit
(Kubernetes documentation, "DaemonSet", "Updating a DaemonSet"). The selector is one field with one owner
(an atomic map): it is taken whole, and given back whole.
"""

from __future__ import annotations

import re

from breakglass.canon import Json
from breakglass.model.action import ActionSpec, Authority, Capability, Grade, Reversibility, Source
from breakglass.model.resource import Resource
from breakglass.provider import Action, Proposal, Proposed
from breakglass_kubernetes.actions.held_workloads import Cut, Holding, Looked, Mine, listed
from breakglass_kubernetes.actions.scale_to_zero import LOGS, value
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import DAEMON_SETS
from breakglass_kubernetes.objects import Body
from breakglass_kubernetes.owners import Path
from breakglass_kubernetes.ownership import Thing
from breakglass_kubernetes.scope import Scope, target

STOPPED = "breakglass.dev/stopped"
SELECTOR: Path = ("spec", "template", "spec", "nodeSelector")
_NOT_IN_A_LABEL = re.compile(r"[^A-Za-z0-9_.-]", re.ASCII)
LONGEST_VALUE = 63
SPEC = ActionSpec(
    name="kubernetes.apps.evict_daemons",
    capability=Capability.STOP_WORKLOADS,
    summary=f"gives every DaemonSet a node selector that no node fits ({STOPPED}), as our own field",
    permissions=("list daemonsets.apps", "patch daemonsets.apps"),
    blast_radius="everything that these DaemonSets do, on every node",
    reversibility=Reversibility.FULL,
    undo="puts the node selector back with its owner; the server counts"
    " deprecated.daemonset.template.generation on, and the controller keeps one revision more",
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="kubernetes.apps.evict_daemons support-bot",
    sources=(
        Source("effect", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_workloads_kinds.py"),
        Source("undo", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_workloads_kinds.py"),
        Source("settle", Authority.UNVERIFIED, "controllers act on a watch; no page states a bound"),
    ),
    destroys_evidence=LOGS,
    undo_permissions=("get daemonsets.apps",),
)


def look(cluster: Cluster, resource: Resource, mine: Mine) -> Looked:
    """Return every DaemonSet of the agent's."""
    scope = Scope.of(resource)
    things, failed = listed(cluster, (DAEMON_SETS,), scope)
    nowhere: dict[str, Json] = {STOPPED: label_value(cluster.connection.incident)}
    cuts = [_cut(thing, nowhere) for thing in mine.held(resource, scope, things).things]
    return Looked(cuts, failed=failed)


def label_value(text: str) -> str:
    """Return a text as the value of a label ("Labels and Selectors", syntax)."""
    return _NOT_IN_A_LABEL.sub("-", text)[:LONGEST_VALUE].strip("-_.") or "stopped"


def _cut(thing: Thing, nowhere: dict[str, Json]) -> Cut:
    body = thing.body
    acted = _number(body, "observedGeneration") >= int(value(body, ("metadata", "generation")) or 0)
    # One that a node fits all the same (it was given our label) is counted by the first of these.
    running = _number(body, "desiredNumberScheduled") + _number(body, "numberMisscheduled")
    return Cut(thing, {SELECTOR: nowhere}, f"has node selector {value(body, SELECTOR)}", running, acted)


def _number(body: Body, name: str) -> int:
    counted = value(body, ("status", name))
    return counted if isinstance(counted, int) else 0


def evict_daemons(cluster: Cluster) -> Action:
    """Return the action."""
    return Holding(cluster, SPEC, look)


def propose(cluster: Cluster, found: Found) -> Proposed:
    """Propose one step over all DaemonSets; there is none: no step."""
    if not found.held.of(DAEMON_SETS):
        return Proposed()
    label = f"DaemonSets of {found.scope.agent}"
    step = Proposal(
        "evict_daemons", SPEC.name, target(found.knowing(DAEMON_SETS), cluster.settings.cluster_uid, label)
    )
    return Proposed((step,))


ACTION_CLASSES = (evict_daemons,)
SPECS = (SPEC,)
