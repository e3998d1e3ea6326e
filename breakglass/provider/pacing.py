"""Keeps calls at documented rates: one token bucket a name, shared by threads, slower where refused.

Where a service throttles below its documented rate, which others use up too, the rate falls to what it takes
and grows back slowly: a retry that is refused again helps nobody (additive increase and multiplicative
decrease, RFC 5681 3.1, in spirit).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from breakglass.clock import Clock
from breakglass.provider.port import Budget

SLOWER = 0.7
FASTER_A_S = 1.03
SLOWEST = 0.1
RECOVERED_S = 600.0
"""Then the rate is the documented one again, whatever it was; hours of waiting must not overflow a number."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float
    share: float = 1.0
    """Of the documented rate."""
    slowed_s: float = float("-inf")


class Buckets:
    """Token buckets by name; a name without a rate is not limited."""

    def __init__(self, clock: Clock, rates: Mapping[str, Budget]) -> None:
        """Start with full buckets."""
        self._clock = clock
        self._rates = rates
        self._gate = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}

    def __contains__(self, name: object) -> bool:
        """Return whether a name has a rate of its own."""
        return name in self._rates

    def wait(self, name: str) -> None:
        """Wait for the turn of a call."""
        delay_s = self._take(name)
        if delay_s > 0:
            self._clock.sleep(delay_s)

    def throttled(self, name: str) -> None:
        """Slow down: the service refused a call that its documented rate allows; at most once a second."""
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
        bucket.share = min(1.0, bucket.share * FASTER_A_S ** min(passed_s, RECOVERED_S))
        bucket.at_s = now_s
        return bucket
