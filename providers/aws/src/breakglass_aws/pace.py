"""Keeps calls at the rates that AWS documents: one token bucket per service, shared by all threads.

A call waits here for its turn; which step may begin a call is the engine's decision (`BUDGETS`).
"""

from __future__ import annotations

from collections.abc import Mapping

from breakglass.clock import Clock
from breakglass.provider import Budget
from breakglass.provider.pacing import Buckets
from breakglass_aws.refusals import is_write

CALLS: Mapping[str, Budget] = {
    "iam:read": Budget(per_s=40, burst=80),
    "iam:write": Budget(per_s=12, burst=24),
    "lambda:read": Budget(per_s=14, burst=14),
    "lambda:write": Budget(per_s=14, burst=14),
    "cloudtrail:LookupEvents": Budget(per_s=2, burst=2),
    "logs:read": Budget(per_s=5, burst=5),
    "states:read": Budget(per_s=5, burst=100),
    "states:write": Budget(per_s=200, burst=1000),
    "ecs:read": Budget(per_s=20, burst=50),
    "ecs:write": Budget(per_s=10, burst=40),
    "ec2:read": Budget(per_s=20, burst=100),
    "ec2:write": Budget(per_s=5, burst=50),
    "organizations:write": Budget(per_s=1, burst=3),
}
"""Calls a second by service and kind. Sources: Lambda quotas (15 control plane calls/s), Step Functions
quotas, CloudTrail LookupEvents (2/s), CloudWatch Logs quotas, ECS and EC2 request throttling pages; IAM
publishes none: 12 writes a second is a careful estimate. What is not named is not limited here."""
BUDGETS: Mapping[str, Budget] = {
    "iam": Budget(per_s=20, burst=40),
    "lambda": Budget(per_s=7, burst=14),
    "cloudtrail": Budget(per_s=1, burst=2),
    "logs": Budget(per_s=3, burst=5),
    "states": Budget(per_s=20, burst=100),
    "ecs": Budget(per_s=8, burst=30),
    "ec2": Budget(per_s=5, burst=40),
}
"""Steps' calls (observe, apply ...) a second: each makes one to four API calls. IAM's: a look is two reads, a
change one write, so that neither 40 reads nor 12 writes a second are passed."""


class Pace:
    """Token buckets of one reach."""

    def __init__(self, clock: Clock, rates: Mapping[str, Budget] = CALLS) -> None:
        """Start with full buckets."""
        self._buckets = Buckets(clock, rates)

    def wait(self, service: str, operation: str) -> None:
        """Wait for this call's turn; an operation with a rate of its own draws from that alone."""
        self._buckets.wait(self._name(service, operation))

    def throttled(self, service: str, operation: str) -> None:
        """Slow down: the service refused a call that its documented rate allows."""
        self._buckets.throttled(self._name(service, operation))

    def _name(self, service: str, operation: str) -> str:
        own = f"{service}:{operation}"
        return own if own in self._buckets else f"{service}:{'write' if is_write(operation) else 'read'}"
