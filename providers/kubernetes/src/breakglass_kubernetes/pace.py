"""Keeps calls at the client's rate limit, shared by all threads of one reach.

kubectl and client-go limit themselves on the client's side; kubectl to 50 calls a second, bursts of 300
(kubernetes/kubectl, pkg/cmd, `WithDiscoveryQPS` and `WithDiscoveryBurst`). The server has limits of its own
(API Priority and Fairness) and says 429; then all slow down together.
"""

from __future__ import annotations

import threading

from breakglass.clock import Clock

PER_S = 50.0
BURST = 100.0
SLOWER = 0.7
FASTER_A_S = 1.03
SLOWEST = 0.1


class Pace:
    """A token bucket whose rate falls when the server throttles, and grows back slowly."""

    def __init__(self, clock: Clock) -> None:
        """Start full."""
        self._clock = clock
        self._gate = threading.Lock()
        self._tokens = BURST
        self._at_s = clock.monotonic_s()
        self._share = 1.0

    def wait(self) -> None:
        """Wait for a turn."""
        with self._gate:
            self._refill()
            self._tokens -= 1.0
            pause_s = max(0.0, -self._tokens / (PER_S * self._share))
        if pause_s > 0:
            self._clock.sleep(pause_s)

    def throttled(self) -> None:
        """Let everybody go slower from now on."""
        with self._gate:
            self._share = max(SLOWEST, self._share * SLOWER)

    def _refill(self) -> None:
        now_s = self._clock.monotonic_s()
        passed_s, self._at_s = now_s - self._at_s, now_s
        self._share = min(1.0, self._share * FASTER_A_S ** min(passed_s, 60.0))
        self._tokens = min(BURST, self._tokens + passed_s * PER_S * self._share)
