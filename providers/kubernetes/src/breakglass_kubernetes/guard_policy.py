"""Writes the admission policy that lets nothing of an agent come to life; pure.

What is the agent's is decided by the rules of its `Scope`, in CEL (Kubernetes documentation, "Validating
Admission Policy" and "Common Expression Language in Kubernetes"). Long lists are constants beside an ``in``:
cel-go looks those up as a set, so that the cost does not grow with the list (measured on 1.36.2: 1,000
accounts). One expression holds at most 100,000 code points, so a long list is cut in pieces.

Refused is what *brings* something to life. A status, a finalizer, a deletion, fewer replicas pass, so that
controllers, the garbage collector and kubelets go on. A Scale carries no labels: it is known by the names
that were signed and by its namespace; a workload that only its labels tell can be scaled up and still gets
no pods, since those carry the labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from breakglass_kubernetes.guard_rules import ACCOUNT_USER, Guard, variables
from breakglass_kubernetes.guard_words import among, quote
from breakglass_kubernetes.kinds import Kind

PROBE_LABEL = "breakglass.dev/probe"
"""An executor's dry run of something with this label is judged like anybody's: how the guard is proven."""
_SCALED = ("deployments", "statefulsets", "replicasets")


def policy_spec(guard: Guard, message: str) -> dict[str, Any]:
    """Return the whole ``spec`` of the ValidatingAdmissionPolicy, server defaults included."""
    return {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "matchPolicy": "Equivalent",
            "namespaceSelector": {},
            "objectSelector": {},
            "resourceRules": _rules(guard.custom),
        },
        "matchConditions": [{"name": "not-break-glass", "expression": _not_exempt(guard)}],
        "variables": [{"name": name, "expression": text} for name, text in variables(guard).items()],
        "validations": [
            {
                "expression": "!(variables.gains && variables.theirs)",
                "message": message,
                "reason": "Forbidden",
            }
        ],
    }


def binding_spec(policy: str) -> dict[str, Any]:
    """Return the whole ``spec`` of the binding: for every namespace."""
    return {"policyName": policy, "validationActions": ["Deny"]}


def _rules(custom: Sequence[Kind]) -> list[dict[str, Any]]:
    both, rbac = ["CREATE", "UPDATE"], "rbac.authorization.k8s.io"
    return [
        _rule(["CREATE"], "", ["pods", "serviceaccounts", "serviceaccounts/token"]),
        _rule(["UPDATE"], "", ["pods/ephemeralcontainers"]),
        _rule(both, "", ["secrets", "replicationcontrollers", "replicationcontrollers/scale"]),
        _rule(both, "apps", ["daemonsets", *_SCALED, *(f"{one}/scale" for one in _SCALED)]),
        _rule(both, "batch", ["jobs", "cronjobs"]),
        _rule(both, rbac, ["rolebindings", "clusterrolebindings"]),
        *(_rule(both, kind.group, [kind.plural, f"{kind.plural}/scale"], kind.version) for kind in custom),
    ]


def _rule(operations: list[str], group: str, resources: list[str], version: str = "v1") -> dict[str, Any]:
    return {
        "apiGroups": [group],
        "apiVersions": [version],
        "operations": operations,
        "resources": resources,
        "scope": "*",
    }


def _not_exempt(guard: Guard) -> str:
    """Return what is true of every request but those of the break-glass group."""
    if guard.user:
        who = f"request.userInfo.username == {quote(guard.user)}"
    else:
        # An account can be in no such group by itself; whoever is the agent's is not let through as a member.
        agents = among("request.userInfo.username", guard.scope.users)
        account = f"request.userInfo.username.startsWith({quote(ACCOUNT_USER)})"
        who = f"{quote(guard.group)} in request.userInfo.?groups.orValue([]) && !{account} && !({agents})"
    probe = f"object.?metadata.?labels[?{quote(PROBE_LABEL)}].hasValue()"
    return f"!({who}) || (request.?dryRun.orValue(false) && {probe})"
