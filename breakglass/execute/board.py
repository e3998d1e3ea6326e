"""Where the steps of one run see how far the others are."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from breakglass.journal.history import StepHistory
from breakglass.model.action import Grade, Verdict
from breakglass.model.plan import Step


class Board:
    """What is settled and what is proven, by step number; safe to use from many threads."""

    def __init__(self, history: Mapping[int, StepHistory]) -> None:
        """Start from what the journal says, so that a resumed step need not wait again."""
        self._lock = threading.Lock()
        self._settled = {n for n, past in history.items() if past.read_back is not None or past.closed}
        self._proven = {
            n
            for n, past in history.items()
            if past.closed and past.verdict is Verdict.CONTAINED and past.grade is not Grade.NONE
        }
        self.version = 0

    def settle(self, n: int) -> None:
        """Say that a step was read back, or gave up: others need not wait for it."""
        with self._lock:
            self._settled.add(n)
            self.version += 1

    def prove(self, n: int) -> None:
        """Say that a step is proven."""
        with self._lock:
            self._proven.add(n)
            self._settled.add(n)
            self.version += 1

    def settled(self, steps: Sequence[int]) -> bool:
        """Return whether all of these were read back or gave up."""
        with self._lock:
            return self._settled.issuperset(steps)

    def moot(self, step: Step) -> bool:
        """Return whether what this step leaves open does not matter any more."""
        with self._lock:
            return bool(step.moot_by) and self._proven.issuperset(step.moot_by)
