"""``kubernetes.network.deny_egress``: a NetworkPolicy without rules for all pods of the agent's.

A policy of both types: an agent that serves a tunnel, or takes its orders through a port, is reached by
ingress. The sandbox stores and validates policies and filters no packet: that the policy is there is shown
on a real control plane, what it does is the documentation's word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass.model.action import ActionSpec, Authority, Capability, Grade, Reversibility, Source
from breakglass_kubernetes.actions.egress_denial import Denial, Language
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.kinds import NETWORK_POLICIES

READS = (
    "list namespaces",
    "list cronjobs.batch",
    "list daemonsets.apps",
    "list deployments.apps",
    "list jobs.batch",
    "list pods",
    "list replicasets.apps",
    "list replicationcontrollers",
    "list statefulsets.apps",
)
BLAST = (
    "the agent's pods answer nobody and reach nobody, in their own namespace, too; connections that are open"
    " already are up to the network plug-in, and pods on their node's network are not cut"
)
SPEC = ActionSpec(
    name="kubernetes.network.deny_egress",
    capability=Capability.CUT_EGRESS,
    summary=(
        "denies the agent's pods all egress and ingress by a NetworkPolicy in each of its namespaces, and"
        " labels the pods that nothing else tells from their neighbours"
    ),
    permissions=tuple(
        sorted(
            (
                *READS,
                "create networkpolicies.networking.k8s.io",
                "list adminnetworkpolicies.policy.networking.k8s.io",
                "list clusternetworkpolicies.policy.networking.k8s.io",
                "list networkpolicies.networking.k8s.io",
                "patch pods",
                "update networkpolicies.networking.k8s.io",
            )
        )
    ),
    blast_radius=BLAST,
    reversibility=Reversibility.FULL,
    undo="deletes the policies, puts back what stood under their names, takes its label off pods that run",
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="kubernetes.network.deny_egress network of support-bot",
    sources=(
        Source(
            "settle",
            Authority.UNVERIFIED,
            'Kubernetes documentation, "Network Policies": it "will be handled eventually", without a time',
        ),
        Source(
            "effect",
            Authority.VENDOR_TEXT,
            'Kubernetes documentation, "Network Policies": default deny; what it means for connections that'
            " are open already is not defined; no sandbox of ours filters a packet",
        ),
        Source("undo", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_egress_deny.py"),
        Source("blast_radius", Authority.VENDOR_TEXT, 'Kubernetes documentation, "Network Policies"'),
    ),
    undo_permissions=(
        "delete networkpolicies.networking.k8s.io",
        "get networkpolicies.networking.k8s.io",
        "get pods",
        "patch pods",
        "update networkpolicies.networking.k8s.io",
    ),
)


def spec_of(selector: Mapping[str, object]) -> Mapping[str, Any]:
    """Return a policy that isolates what is selected, and allows nothing."""
    return {"podSelector": dict(selector), "policyTypes": ["Ingress", "Egress"]}


def deny_egress(cluster: Cluster) -> Denial:
    """Return the action."""
    return Denial(cluster, SPEC, Language(NETWORK_POLICIES, spec_of))


ACTION_CLASSES = (deny_egress,)
SPECS = (SPEC,)
