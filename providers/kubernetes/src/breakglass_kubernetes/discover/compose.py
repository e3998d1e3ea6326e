"""Orders the undo of different parts: what blocks or carries a layer comes back before that layer.

A restore turns the waits of the stop round. So a step that must be undone before another waits for it in the
stop, for no time at all: the stop itself waits for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from breakglass.provider import Proposal, WaitFor

NO_TIME_S = 0.0
_MAKES_PODS = (
    "kubernetes.apps.scale_to_zero",
    "kubernetes.apps.evict_daemons",
    "kubernetes.batch.suspend_jobs",
    "kubernetes.batch.suspend_cron_jobs",
    "kubernetes.pods.end_pods",
    "kubernetes.keda.pause",
    "kubernetes.argocd.pause",
    "kubernetes.flux.suspend",
)
UNDONE_BEFORE: Mapping[str, tuple[str, ...]] = {
    "kubernetes.admission.refuse_relaunch": (*_MAKES_PODS, "kubernetes.accounts.remove_token_secrets"),
    "kubernetes.quota.zero_pods": _MAKES_PODS,
    "kubernetes.accounts.invalidate_tokens": (*_MAKES_PODS, "kubernetes.accounts.remove_token_secrets"),
}
"""Action -> what is put back only once it is: controllers and deployers make pods, which need an account."""


def in_order_of_undo(proposals: Sequence[Proposal]) -> tuple[Proposal, ...]:
    """Return the proposals with the waits that order their undo."""
    keys: dict[str, list[str]] = {}
    for one in proposals:
        keys.setdefault(one.action, []).append(one.key)
    return tuple(
        replace(one, after=(*one.after, *_waits(one, keys))) if one.action in UNDONE_BEFORE else one
        for one in proposals
    )


def _waits(proposal: Proposal, keys: Mapping[str, Sequence[str]]) -> tuple[WaitFor, ...]:
    known = {wait.key for wait in proposal.after}
    later = (key for action in UNDONE_BEFORE[proposal.action] for key in keys.get(action, ()))
    return tuple(WaitFor(key, NO_TIME_S) for key in later if key not in known)
