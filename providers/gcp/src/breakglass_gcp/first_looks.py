"""Remembers when a restore first looked at what its stop had cut, and what it let in again itself."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from breakglass.clock import Clock, Instant


@dataclass(frozen=True, slots=True)
class FirstLook:
    """When a run first looked at something that its stop had cut."""

    at_s: float
    """By the monotonic clock."""
    written: Instant | None
    """When it had been written last, as Google tells, where it tells that."""


class FirstLooks:
    """The first looks of a run: its own writes, which come later, change none of them."""

    def __init__(self, clock: Clock) -> None:
        """Begin empty."""
        self._clock = clock
        self._gate = threading.Lock()
        self._seen: dict[str, FirstLook] = {}
        self._revived: set[str] = set()

    def of(self, name: str, written: Instant | None = None) -> FirstLook:
        """Return the first look at something; this one is it where there was none."""
        with self._gate:
            return self._seen.setdefault(name, FirstLook(self._clock.monotonic_s(), written))

    def revive(self, name: str) -> None:
        """Remember that this run itself lets something in again: it has waited."""
        with self._gate:
            self._revived.add(name)

    def revived(self, name: str) -> bool:
        """Return whether this run itself let something in again, or tried to."""
        with self._gate:
            return name in self._revived

    def forget(self, name: str) -> None:
        """Look anew from now on: it was not cut any more."""
        with self._gate:
            self._seen.pop(name, None)
