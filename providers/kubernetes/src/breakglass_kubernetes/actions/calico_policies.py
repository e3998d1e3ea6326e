"""``kubernetes.calico.deny_egress``: a Calico policy that is asked before all others, and denies.

No Calico runs in the sandbox: its custom resource is stored there and nothing acts on it. That the lowest
order is asked first within a tier is its documentation's word ("Network policy"); a policy of an earlier
tier that allows wins over it, and so does one of a still lower order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass.model.action import ActionSpec, Authority, Capability, Grade, Reversibility, Source
from breakglass_kubernetes import peers
from breakglass_kubernetes.actions.deny_egress import BLAST, READS
from breakglass_kubernetes.actions.egress_denial import Denial, Language
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.selector import Requirement

CALICO_POLICIES = Kind("crd.projectcalico.org", "v1", "networkpolicies", "NetworkPolicy")
ORDER = -1_000_000
SPEC = ActionSpec(
    name="kubernetes.calico.deny_egress",
    capability=Capability.CUT_EGRESS,
    summary="denies the agent's pods all egress and ingress by a Calico policy of the lowest order",
    permissions=tuple(
        sorted(
            (
                *READS,
                "create networkpolicies.crd.projectcalico.org",
                "list globalnetworkpolicies.crd.projectcalico.org",
                "list networkpolicies.crd.projectcalico.org",
                "patch pods",
                "update networkpolicies.crd.projectcalico.org",
            )
        )
    ),
    blast_radius=BLAST,
    reversibility=Reversibility.FULL,
    undo="deletes the policies, puts back what stood under their names, takes its label off pods that run",
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="kubernetes.calico.deny_egress network of support-bot",
    sources=(
        Source("settle", Authority.UNVERIFIED, "Calico's documentation gives no time"),
        Source(
            "effect",
            Authority.VENDOR_TEXT,
            'Calico documentation, "Network policy": lower orders are applied first, Deny ends it;'
            " no sandbox of ours filters a packet",
        ),
        Source("undo", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_egress_cni.py"),
    ),
    undo_permissions=(
        "delete networkpolicies.crd.projectcalico.org",
        "get networkpolicies.crd.projectcalico.org",
        "get pods",
        "patch pods",
        "update networkpolicies.crd.projectcalico.org",
    ),
)


def spec_of(selector: Mapping[str, object]) -> Mapping[str, Any]:
    """Return a policy that denies everything, before any other of its tier is asked."""
    return {
        "order": ORDER,
        "selector": words(selector),
        "types": ["Ingress", "Egress"],
        "ingress": [{"action": "Deny"}],
        "egress": [{"action": "Deny"}],
    }


def words(selector: Mapping[str, object]) -> str:
    """Return a LabelSelector in Calico's own language ("Network policy", "Selectors")."""
    return " && ".join(_word(one) for one in peers.requirements(selector)) or "all()"


def _word(one: Requirement) -> str:
    if one.values is None:
        return f"{'' if one.wanted else '!'}has({one.key})"
    listed = ", ".join(f"'{value}'" for value in sorted(one.values))
    return f"{one.key} {'in' if one.wanted else 'not in'} {{{listed}}}"


def deny_egress(cluster: Cluster) -> Denial:
    """Return the action."""
    return Denial(cluster, SPEC, Language(CALICO_POLICIES, spec_of))


ACTION_CLASSES = (deny_egress,)
SPECS = (SPEC,)
