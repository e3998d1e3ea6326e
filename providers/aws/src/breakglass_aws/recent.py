"""Shares one read among many principals that ask for the same thing within a second.

A thousand roles are denied by one policy: what it says is read once a second and not once a role. A change is
seen everywhere only after a few seconds anyway (IAM User Guide, "Changes that I make are not always
immediately visible"), so a read that is a second old says no less than one of this moment.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from breakglass.clock import Clock

AGE_S = 1.0


@dataclass(slots=True)
class _Slot:
    gate: threading.Lock = field(default_factory=threading.Lock)
    began_s: float = float("-inf")
    value: bool = False


@dataclass(slots=True)
class Recent:
    """Answers of yes or no, by name, as long as they are recent."""

    clock: Clock
    age_s: float = AGE_S
    _gate: threading.Lock = field(default_factory=threading.Lock)
    _slots: dict[str, _Slot] = field(default_factory=dict)

    def ask(self, name: str, look: Callable[[], bool]) -> bool:
        """Return the recent answer, or look: one at a time, so that others find it.

        Raises:
            ProviderError: the look failed; that is not kept.
        """
        with self._gate:
            slot = self._slots.setdefault(name, _Slot())
        with slot.gate:
            now_s = self.clock.monotonic_s()
            if now_s - slot.began_s > self.age_s:
                slot.value = look()
                slot.began_s = now_s
            return slot.value

    def forget(self) -> None:
        """Look again next time: this connection changed what was asked about."""
        with self._gate:
            self._slots.clear()
