"""Estimates how many calls a step makes, from what was found: a plan says how long a stop takes; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from breakglass.provider import Proposal
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import PODS

A_STEP = 20
"""Listings and reads of a step over little: two looks, a probe, and one look more before the end."""
_ACCOUNTS, _WORKLOADS, _PODS, _NAMESPACES = "accounts", "workloads", "pods", "namespaces"
_EACH = {
    "kubernetes.rbac.unbind_accounts": (_ACCOUNTS,),
    "kubernetes.accounts.invalidate_tokens": (_ACCOUNTS,),
    "kubernetes.apps.scale_to_zero": (_WORKLOADS,),
    "kubernetes.apps.evict_daemons": (_WORKLOADS,),
    "kubernetes.batch.suspend_jobs": (_WORKLOADS,),
    "kubernetes.batch.suspend_cron_jobs": (_WORKLOADS,),
    "kubernetes.pods.end_pods": (_PODS,),
    "kubernetes.logs.collect": (_PODS,),
    "kubernetes.network.deny_egress": (_NAMESPACES,),
}
"""Action -> what it makes one call for each of, at most."""


def with_calls(proposals: Sequence[Proposal], found: Found) -> tuple[Proposal, ...]:
    """Return the proposals, each with how many calls it makes."""
    scope = found.scope
    counts = {
        _ACCOUNTS: len(scope.every_account) + len(scope.users),
        _WORKLOADS: sum(thing.kind != PODS for thing in found.held.roots),
        _PODS: len(found.held.of(PODS)),
        _NAMESPACES: len(scope.look_in),
    }

    def of(one: Proposal) -> int:
        asks = one.target.params.get("asks")
        each = sum(counts[what] for what in _EACH.get(one.action, ()))
        return A_STEP + each + (len(asks) if isinstance(asks, list) else 0)

    return tuple(replace(one, calls=of(one)) for one in proposals)
