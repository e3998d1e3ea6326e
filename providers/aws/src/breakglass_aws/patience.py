"""Goes on where a service refuses calls for their rate or does not answer, for a time that was given.

Each pause is longer than the last, and none as long as another's: who comes back in step with others is
refused with them ("Exponential Backoff and Jitter", AWS Architecture Blog).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from breakglass.clock import Clock
from breakglass.errors import Throttled, Transient
from breakglass_aws.refusals import CredentialsExpired

T = TypeVar("T")
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 2.0


@dataclass(slots=True)
class Patience:
    """The time that all calls of one reading have together."""

    clock: Clock
    left_s: Callable[[], float]
    rng: random.Random = field(default_factory=random.Random)
    waited_s: float = 0.0
    """How much of it went by between calls."""

    @classmethod
    def lasting(cls, clock: Clock, seconds: float) -> Patience:
        """Return the patience of a reading that begins now."""
        end_s = clock.monotonic_s() + seconds
        return cls(clock, lambda: end_s - clock.monotonic_s())

    def tried(self, make: Callable[[], T], passes: type[Transient] = Throttled) -> T:
        """Return what a call gives, made again while it fails in a way that passes and time is left.

        Raises:
            CredentialsExpired: at once; waiting brings no new ones.
            Transient: it still failed so when the time was over.
            ProviderError: it failed in another way.
        """
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return make()
            except passes as error:
                left_s = self.left_s()
                if isinstance(error, CredentialsExpired) or left_s <= 0:
                    raise
                asked_s = error.retry_after_s if isinstance(error, Throttled) else 0.0
                wait_s = max(pause_s, asked_s) * self.rng.uniform(0.8, 1.2)
            wait_s = min(wait_s, left_s)
            self.clock.sleep(wait_s)
            self.waited_s += wait_s
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
