"""Keeps calls at the rates that AWS documents: one token bucket per service, shared by all threads.

A call waits here for its turn; which step may begin a call is the engine's decision (`BUDGETS`).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from breakglass.clock import Clock
from breakglass.provider import Budget
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
SLOWER = 0.7
FASTER_A_S = 1.03
SLOWEST = 0.1
"""Where a service throttles below its documented rate, which others of the account use up too, the rate falls
to what it takes, and grows back slowly: a retry that is refused again helps nobody (additive increase and
multiplicative decrease, RFC 5681 3.1, in spirit)."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float
    share: float = 1.0
    """Of the documented rate."""
    slowed_s: float = float("-inf")


class Pace:
    """Token buckets of one reach."""

    def __init__(self, clock: Clock, rates: Mapping[str, Budget] = CALLS) -> None:
        """Start with full buckets."""
        self._clock = clock
        self._rates = rates
        self._gate = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}

    def wait(self, service: str, operation: str) -> None:
        """Wait for this call's turn; an operation with a rate of its own draws from that alone."""
        delay_s = self._take(self._name(service, operation))
        if delay_s > 0:
            self._clock.sleep(delay_s)

    def _name(self, service: str, operation: str) -> str:
        own = f"{service}:{operation}"
        return own if own in self._rates else f"{service}:{'write' if is_write(operation) else 'read'}"

    def throttled(self, service: str, operation: str) -> None:
        """Slow down: the service refused a call that its documented rate allows; at most once a second."""
        name = self._name(service, operation)
        rate = self._rates.get(name)
        if rate is None:
            return
        with self._gate:
            now_s = self._clock.monotonic_s()
            bucket = self._filled(name, rate, now_s)
            bucket.tokens = min(bucket.tokens, 0.0)
            if now_s - bucket.slowed_s >= 1:
                bucket.share, bucket.slowed_s = max(SLOWEST, bucket.share * SLOWER), now_s

    def _take(self, name: str) -> float:
        """Take one token, which may be of the future; return the seconds until it is there."""
        rate = self._rates.get(name)
        if rate is None:
            return 0.0
        with self._gate:
            bucket = self._filled(name, rate, self._clock.monotonic_s())
            bucket.tokens -= 1
            return max(0.0, -bucket.tokens / (rate.per_s * bucket.share))

    def _filled(self, name: str, rate: Budget, now_s: float) -> _Bucket:
        bucket = self._buckets.setdefault(name, _Bucket(rate.burst, now_s))
        passed_s = now_s - bucket.at_s
        bucket.tokens = min(rate.burst, bucket.tokens + passed_s * rate.per_s * bucket.share)
        bucket.share = min(1.0, bucket.share * FASTER_A_S**passed_s)
        bucket.at_s = now_s
        return bucket
