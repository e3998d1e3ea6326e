"""``kubernetes.cilium.deny_egress``: a CiliumNetworkPolicy that denies, which wins over all that allows.

No Cilium runs in the sandbox: its custom resource is stored there and nothing acts on it. That deny rules
win, and which labels Cilium tells endpoints apart by, is its documentation's word ("Deny Policies",
"Limiting Identity-Relevant Labels": a label that an installation leaves out selects nothing).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass.model.action import ActionSpec, Authority, Capability, Grade, Reversibility, Source
from breakglass_kubernetes.actions.deny_egress import BLAST, READS
from breakglass_kubernetes.actions.egress_denial import Denial, Language
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.kinds import Kind

CILIUM_POLICIES = Kind("cilium.io", "v2", "ciliumnetworkpolicies", "CiliumNetworkPolicy")
SPEC = ActionSpec(
    name="kubernetes.cilium.deny_egress",
    capability=Capability.CUT_EGRESS,
    summary="denies the agent's pods all egress and ingress by a CiliumNetworkPolicy; deny wins over allow",
    permissions=tuple(
        sorted(
            (
                *READS,
                "create ciliumnetworkpolicies.cilium.io",
                "list ciliumnetworkpolicies.cilium.io",
                "patch pods",
                "update ciliumnetworkpolicies.cilium.io",
            )
        )
    ),
    blast_radius=BLAST,
    reversibility=Reversibility.FULL,
    undo="deletes the policies, puts back what stood under their names, takes its label off pods that run",
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="kubernetes.cilium.deny_egress network of support-bot",
    sources=(
        Source("settle", Authority.UNVERIFIED, "Cilium's documentation gives no time"),
        Source(
            "effect",
            Authority.VENDOR_TEXT,
            'Cilium documentation, "Deny Policies": they take precedence over allow policies, a Kubernetes'
            " Network Policy included; no sandbox of ours filters a packet",
        ),
        Source("undo", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_egress_cni.py"),
    ),
    undo_permissions=(
        "delete ciliumnetworkpolicies.cilium.io",
        "get ciliumnetworkpolicies.cilium.io",
        "get pods",
        "patch pods",
        "update ciliumnetworkpolicies.cilium.io",
    ),
)


def spec_of(selector: Mapping[str, object]) -> Mapping[str, Any]:
    """Return a policy that denies everything ("Layer 3 Policies", entity ``all``)."""
    return {
        "endpointSelector": dict(selector),
        "egressDeny": [{"toEntities": ["all"]}],
        "ingressDeny": [{"fromEntities": ["all"]}],
    }


def deny_egress(cluster: Cluster) -> Denial:
    """Return the action."""
    return Denial(cluster, SPEC, Language(CILIUM_POLICIES, spec_of))


ACTION_CLASSES = (deny_egress,)
SPECS = (SPEC,)
