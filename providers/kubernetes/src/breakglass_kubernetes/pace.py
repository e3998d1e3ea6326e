"""Keeps calls at the client's rate limit, shared by all threads of one reach; who waits goes by lanes.

kubectl and client-go limit themselves on the client's side; kubectl to 50 calls a second, bursts of 300
(kubernetes/kubectl, pkg/cmd, `WithDiscoveryQPS` and `WithDiscoveryBurst`). The server has limits of its own
(API Priority and Fairness) and says 429; then all slow down together.

Taking rights away comes before other changes, changes before reading, reading before questions that only
prove: by weight, so that no flood in one lane (bindings that the agent makes without end) starves another.
"""

from __future__ import annotations

import threading
from collections import deque
from enum import IntEnum

from breakglass.clock import Clock

PER_S = 50.0
BURST = 300.0
SLOWER = 0.7
FASTER_A_S = 1.03
SLOWEST = 0.1
_ONE = 1.0 - 1e-6
"""A token, but for rounding: what is short by less is not worth a pause."""


class Lane(IntEnum):
    """What a call is for; the value is its weight."""

    PROOF = 1
    """Asks an evaluator what somebody may."""
    READ = 3
    CHANGE = 4
    CUT = 12
    """Takes rights away: in force within milliseconds."""


class _Turn:
    """One that waits: told when it may go, or that it is its part now to let the others go."""

    __slots__ = ("drives", "granted", "told")

    def __init__(self) -> None:
        self.told = threading.Event()
        self.granted = False
        self.drives = False


class Pace:
    """A token bucket whose rate falls when the server throttles, and grows back slowly."""

    def __init__(self, clock: Clock) -> None:
        """Start full."""
        self._clock = clock
        self._gate = threading.Lock()
        self._tokens = BURST
        self._at_s = clock.monotonic_s()
        self._share = 1.0
        self._lanes: dict[Lane, deque[_Turn]] = {lane: deque() for lane in Lane}
        self._used = dict.fromkeys(Lane, 0.0)
        self._driven = False

    def wait(self, lane: Lane = Lane.READ) -> None:
        """Wait for a turn."""
        turn = _Turn()
        with self._gate:
            self._refill()
            if self._tokens >= _ONE and not any(self._lanes.values()):
                self._tokens -= 1.0
                return
            if not self._lanes[lane]:
                # Who comes into an empty lane has no claim on what went by before.
                self._used[lane] = max(self._used[lane], self._least())
            self._lanes[lane].append(turn)
            if not self._driven:
                self._driven = turn.drives = True
        if not turn.drives:
            turn.told.wait()
        if not turn.granted:
            self._drive(turn)

    def throttled(self) -> None:
        """Let everybody go slower from now on."""
        with self._gate:
            self._share = max(SLOWEST, self._share * SLOWER)

    def _drive(self, mine: _Turn) -> None:
        """Give turns out until `mine` is among them; then somebody else of those who wait goes on."""
        try:
            while True:
                with self._gate:
                    self._refill()
                    while self._tokens >= _ONE and (turn := self._next()) is not None:
                        self._tokens -= 1.0
                        turn.granted = True
                        turn.told.set()
                    if mine.granted:
                        return
                    pause_s = max(0.0, (1.0 - self._tokens) / (PER_S * self._share))
                self._clock.sleep(pause_s)
        finally:
            with self._gate:
                self._hand_over(mine)

    def _hand_over(self, mine: _Turn) -> None:
        for waiting in self._lanes.values():
            if mine in waiting:  # interrupted
                waiting.remove(mine)
        heir = next((waiting[0] for waiting in self._lanes.values() if waiting), None)
        self._driven = heir is not None
        if heir is not None:
            heir.drives = True
            heir.told.set()

    def _next(self) -> _Turn | None:
        """Take who has had least of its share so far; of two, the one that weighs more."""
        found = [lane for lane, waiting in self._lanes.items() if waiting]
        if not found:
            return None
        lane = min(found, key=lambda one: (self._used[one], -one))
        self._used[lane] += 1.0 / lane
        return self._lanes[lane].popleft()

    def _least(self) -> float:
        return min((self._used[lane] for lane, waiting in self._lanes.items() if waiting), default=0.0)

    def _refill(self) -> None:
        now_s = self._clock.monotonic_s()
        passed_s, self._at_s = now_s - self._at_s, now_s
        self._share = min(1.0, self._share * FASTER_A_S ** min(passed_s, 60.0))
        self._tokens = min(BURST, self._tokens + passed_s * PER_S * self._share)
