"""Keeps calls at the rates that Google documents: one token bucket per service, shared by all threads.

A call waits here for its turn; which step may begin a call is the engine's decision (`BUDGETS`). Google
counts per minute: burst and sixty seconds of the rate together stay below what one minute allows.
"""

from __future__ import annotations

from collections.abc import Mapping

from breakglass.clock import Clock
from breakglass.provider import Budget
from breakglass.provider.pacing import Buckets

CALLS: Mapping[str, Budget] = {
    "iam:read": Budget(per_s=95, burst=300),
    "iam:write": Budget(per_s=9.2, burst=40),
    "iam_deny:read": Budget(per_s=1 / 60, burst=4),
    "iam_deny:write": Budget(per_s=2 / 60, burst=3),
    "iam_boundary:read": Budget(per_s=1 / 60, burst=4),
    "iam_boundary:write": Budget(per_s=2 / 60, burst=3),
    "pools:write": Budget(per_s=50 / 60, burst=10),
    "logging:read": Budget(per_s=50 / 60, burst=10),
    "compute:read": Budget(per_s=20, burst=100),
    "compute:write": Budget(per_s=20, burst=40),
    "projects:write": Budget(per_s=8, burst=20),
}
"""Calls a second by service and kind. Sources: IAM quotas (600 writes and 6,000 reads of the v1 API a minute
and project, 5 and 5 of deny policies, as many of boundaries and their bindings, 60 writes of workload
identity pools), Cloud Logging quotas (60 reads a minute), Compute Engine API rate quotas. What is not named
is not limited here."""
BUDGETS: Mapping[str, Budget] = {
    "iam": Budget(per_s=36, burst=80),
    "iam_deny": Budget(per_s=2 / 60, burst=3),
    "pools": Budget(per_s=2, burst=20),
    "logging": Budget(per_s=0.8, burst=10),
    "compute": Budget(per_s=15, burst=60),
}
"""Steps' calls (observe, apply ...) a second: of a step over IAM one in four is a write."""


class Pace:
    """Token buckets of one project."""

    def __init__(self, clock: Clock, rates: Mapping[str, Budget] = CALLS) -> None:
        """Start with full buckets."""
        self._buckets = Buckets(clock, rates)

    def wait(self, budget: str, *, write: bool) -> None:
        """Wait for this call's turn."""
        self._buckets.wait(_name(budget, write=write))

    def throttled(self, budget: str, *, write: bool) -> None:
        """Slow down: the service refused a call that its documented rate allows."""
        self._buckets.throttled(_name(budget, write=write))


def _name(budget: str, *, write: bool) -> str:
    return f"{budget}:{'write' if write else 'read'}"
