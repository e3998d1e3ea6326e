"""Refuses calls above a rate: a bucket of tokens for each account and service, or service and operation."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

ALWAYS: Mapping[str, tuple[float, float]] = {"cloudtrail:LookupEvents": (2.0, 2.0)}
"""CloudTrail API Reference, LookupEvents: "The rate of lookup requests is limited to two per second, per
account, per Region"."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float


@dataclass(slots=True)
class Throttle:
    """Rates by ``service`` or ``service:Operation``, as (a second, burst)."""

    _rates: dict[str, tuple[float, float]] = field(default_factory=lambda: dict(ALWAYS))
    _buckets: dict[tuple[str, str, str], _Bucket] = field(default_factory=dict)
    _gate: threading.Lock = field(default_factory=threading.Lock)

    def configure(self, rates: Mapping[str, Mapping[str, Any]]) -> None:
        """Set the rates: ``{"iam": {"per_s": 5, "burst": 10}}``; what is not named is not limited."""
        wanted = {
            name: (float(one["per_s"]), float(one.get("burst", one["per_s"]))) for name, one in rates.items()
        }
        with self._gate:
            self._rates = {**ALWAYS, **wanted}
            self._buckets.clear()

    def admits(self, account: str, region: str, service: str, operation: str) -> bool:
        """Take a token of each bucket that a call falls under; False: one is empty."""
        names = [name for name in (service, f"{service}:{operation}") if name in self._rates]
        if not names:
            return True
        now_s = time.monotonic()
        with self._gate:
            found = [self._filled((account, region, name), now_s) for name in names]
            if any(bucket.tokens < 1 for bucket in found):
                return False
            for bucket in found:
                bucket.tokens -= 1
        return True

    def _filled(self, key: tuple[str, str, str], now_s: float) -> _Bucket:
        per_s, burst = self._rates[key[2]]
        bucket = self._buckets.setdefault(key, _Bucket(burst, now_s))
        bucket.tokens = min(burst, bucket.tokens + (now_s - bucket.at_s) * per_s)
        bucket.at_s = now_s
        return bucket


THROTTLE = Throttle()
RESETS: tuple[Callable[[], None], ...] = (lambda: THROTTLE.configure({}),)
