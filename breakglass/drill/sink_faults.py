"""Makes the sink misbehave on request, so that tests meet an issuer that is slow, lying or broken."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

KINDS = frozenset(
    {
        "slow",  # answers rightly, `seconds` late
        "lie",  # answers 200 to a revocation or a switch, and does nothing
        "throttle",  # 429 with Retry-After: `seconds`
        "error",  # 500
        "denied",  # 403
        "hang",  # takes the request and never answers
        "drip",  # answers one byte at a time
        "garbage",  # 200, not JSON
        "huge",  # 200, a body without end
        "short",  # promises more bytes than it sends
        "reset",  # closes the connection without an answer
        "missing",  # 404
        "redirect",  # 307 to the channel `redirected`
        "foreign",  # metadata that names another host
        "active",  # introspection: active, whatever happened
        "twice",  # introspection: a JSON object that says both
    }
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which one endpoint misbehaves; `times` below zero: always."""

    endpoint: str
    kind: str
    seconds: float = 0.0
    times: int = -1


class Faults:
    """The faults that are switched on; the first one of an endpoint counts."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Start with these."""
        self._lock = threading.Lock()
        self._faults = list(faults)

    def set(self, faults: Sequence[Fault]) -> None:
        """Replace all of them."""
        with self._lock:
            self._faults = list(faults)

    def take(self, endpoint: str) -> Fault | None:
        """Return the fault that the next answer of `endpoint` shows, and count it."""
        with self._lock:
            for n, fault in enumerate(self._faults):
                if fault.endpoint == endpoint and fault.times != 0:
                    self._faults[n] = replace(fault, times=fault.times - 1)
                    return fault
        return None
