"""``kubernetes.admission.remove_policy_bindings``: the agent's policies refuse nothing more.

A policy does nothing without a binding (Kubernetes documentation, "Validating Admission Policy" and "Mutating
Admission Policy"), and neither kind is itself judged by admission, so none can defend itself. Which ones are
the agent's is known by label, by field manager and from the audit log. The guard of an earlier stop carries
the agent's label, too, and the mark of its incident: it is never taken for the agent's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from breakglass.canon import Json
from breakglass.model.action import ActionSpec, Authority, Capability, Grade, Reversibility, Source
from breakglass.provider import Proposal, Proposed
from breakglass_kubernetes.actions.own_names import INCIDENT_LABEL
from breakglass_kubernetes.actions.removed_sources import SIGNED, Family, Removed, find
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.destinations import Destinations
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import ADMISSION_BINDINGS, MUTATING_BINDINGS, Kind
from breakglass_kubernetes.objects import Body, creators_of, labels_of, name_of
from breakglass_kubernetes.scope import AGENT_LABEL, Scope, target

NAME = "kubernetes.admission.remove_policy_bindings"
KEY = "policy_bindings"
_LISTED = "policy_bindings"
KINDS = (ADMISSION_BINDINGS, MUTATING_BINDINGS)
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
_TEST = "providers/kubernetes/tests/test_k8s_attack_admission.py on 1.36.2"
SPEC = ActionSpec(
    name=NAME,
    capability=Capability.DISABLE_EVENT_SOURCES,
    summary="Deletes the bindings of admission policies that the agent made: they refuse and change no more",
    permissions=(
        *_READS,
        *(f"{verb} {kind.name}" for kind in KINDS for verb in ("list", "get", "delete")),
    ),
    blast_radius="what these policies refused or changed for others passes unchanged",
    reversibility=Reversibility.FULL,
    undo="made again from what was recorded, with a new uid",
    settle_s=2.0,
    best_grade=Grade.READ_BACK,
    example="deletes validatingadmissionpolicybindings.admissionregistration.k8s.io support-bot",
    sources=(
        Source("summary", Authority.REAL_SYSTEM, _TEST),
        Source("settle", Authority.REAL_SYSTEM, f"{_TEST}: each API server reads policies once a second"),
        Source("undo", Authority.REAL_SYSTEM, _TEST),
    ),
    undo_permissions=tuple(f"{verb} {kind.name}" for kind in KINDS for verb in ("create", "get", "patch")),
)


def _kinds(custom: Mapping[str, Kind]) -> tuple[Kind, ...]:
    del custom
    return KINDS


def drives(scope: Scope, named: Destinations, kind: Kind, body: Body) -> bool:
    """Return whether a binding is the agent's (pure)."""
    del named
    listed = scope.more.get(_LISTED)
    if isinstance(listed, list) and kind.key("", name_of(body)) in listed:
        return True
    labels = labels_of(body)
    if INCIDENT_LABEL in labels:
        return False
    return labels.get(AGENT_LABEL) == scope.agent or not creators_of(body).isdisjoint(scope.made_by)


_FAMILY = Family(SPEC, _kinds, drives)


def _action(cluster: Cluster) -> Removed:
    return Removed(_FAMILY, cluster)


ACTION_CLASSES = (_action,)
SPECS = (SPEC,)


def propose(cluster: Cluster, found: Found) -> Proposed:
    """Propose to take them away where there are any."""
    more: dict[str, Json] = {_LISTED: [*found.policy_bindings]}
    label = f"admission policies of {found.scope.agent}"
    goal = target(found.scope, cluster.settings.cluster_uid, label, **more)
    things, failed = find(cluster, _FAMILY, Scope.of(goal))
    there: list[Json] = [thing.uid for thing in things]
    goal = replace(goal, params={**goal.params, SIGNED: there})
    steps: Sequence[Proposal] = (Proposal(key=KEY, action=NAME, target=goal),) if things else ()
    return Proposed(tuple(steps), incomplete=tuple(failed))
