"""Misbehaves on order, once or for ever, as a service or the network may."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

NO_EFFECT, DROP, HANG, EXPIRED, THROTTLE, ERROR_500 = (
    "no-effect",
    "drop",
    "hang",
    "expired",
    "throttle",
    "error-500",
)
ANSWERS = frozenset({NO_EFFECT, DROP, HANG, EXPIRED, THROTTLE, ERROR_500})
ANY = "*"
HANG_S = 30.0


@dataclass(slots=True)
class _Fault:
    service: str
    operation: str
    answer: str
    left: int | None
    access_key: str | None

    def meets(self, service: str, operation: str, access_key: str) -> bool:
        return (
            self.service in (ANY, service)
            and self.operation in (ANY, operation)
            and self.access_key in (None, access_key)
            and self.left != 0
        )


@dataclass(slots=True)
class Faults:
    """The orders that stand."""

    _orders: list[_Fault] = field(default_factory=list)
    _gate: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)

    def configure(self, orders: Sequence[Mapping[str, Any]]) -> None:
        """Replace all orders; who hangs is let go.

        Raises:
            ValueError: an order is not one.
        """
        fresh = [_fault(one) for one in orders]
        with self._gate:
            self._orders = fresh
            self._over.set()
            self._over = threading.Event()

    def take(self, service: str, operation: str, access_key: str) -> str | None:
        """Return how to misbehave now, and count it; None: as always."""
        if not self._orders:
            return None
        with self._gate:
            for one in self._orders:
                if one.meets(service, operation, access_key):
                    one.left = None if one.left is None else one.left - 1
                    return one.answer
        return None

    def hang(self) -> None:
        """Sleep as long as a hanging service does, or until the orders change."""
        self._over.wait(HANG_S)


def _fault(order: Mapping[str, Any]) -> _Fault:
    answer = str(order.get("answer"))
    if answer not in ANSWERS:
        raise ValueError(f"no fault {answer!r}: one of {', '.join(sorted(ANSWERS))}")
    times = order.get("times")
    return _Fault(
        str(order.get("service") or ANY),
        str(order.get("operation") or ANY),
        answer,
        None if times is None else int(times),
        order.get("access_key"),
    )


FAULTS = Faults()
RESETS: tuple[Callable[[], None], ...] = (lambda: FAULTS.configure(()),)
