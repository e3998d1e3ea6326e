"""Keeps calls at the rates that AWS documents: one token bucket per service, shared by all threads.

A call waits here for its turn; which step may begin a call is the engine's decision (`BUDGETS`).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from breakglass.clock import Clock
from breakglass.provider import Budget

CALLS: Mapping[str, Budget] = {
    "iam:read": Budget(per_s=40, burst=80),
    "iam:write": Budget(per_s=12, burst=24),
    "lambda:read": Budget(per_s=14, burst=14),
    "lambda:write": Budget(per_s=14, burst=14),
    "cloudtrail:read": Budget(per_s=2, burst=2),
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
    "iam": Budget(per_s=8, burst=16),
    "lambda": Budget(per_s=7, burst=14),
    "cloudtrail": Budget(per_s=1, burst=2),
    "logs": Budget(per_s=3, burst=5),
    "states": Budget(per_s=20, burst=100),
    "ecs": Budget(per_s=8, burst=30),
    "ec2": Budget(per_s=5, burst=40),
}
"""Steps' calls (observe, apply ...) a second: each makes one to four API calls, so no thread queues here."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float


class Pace:
    """Token buckets of one reach."""

    def __init__(self, clock: Clock, rates: Mapping[str, Budget] = CALLS) -> None:
        """Start with full buckets."""
        self._clock = clock
        self._rates = rates
        self._gate = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}

    def wait(self, service: str, *, write: bool) -> None:
        """Wait for this call's turn."""
        delay_s = self._take(f"{service}:{'write' if write else 'read'}")
        if delay_s > 0:
            self._clock.sleep(delay_s)

    def _take(self, name: str) -> float:
        """Take one token, which may be of the future; return the seconds until it is there."""
        rate = self._rates.get(name)
        if rate is None:
            return 0.0
        with self._gate:
            now_s = self._clock.monotonic_s()
            bucket = self._buckets.setdefault(name, _Bucket(rate.burst, now_s))
            bucket.tokens = min(rate.burst, bucket.tokens + (now_s - bucket.at_s) * rate.per_s)
            bucket.at_s = now_s
            bucket.tokens -= 1
            return max(0.0, -bucket.tokens / rate.per_s)
