"""Misbehaves on order, once or for ever, as a service or the network may."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from breakglass_gcp.sandbox.call import CODES, Refusal
from breakglass_gcp.sandbox.tables import Tables

HANG_S = 60.0
_KNOWN = frozenset(
    {"method", "project", "location", "principal", "code", "reason", "message", "times", "delay_s"}
    | {"after", "operation", "hang", "no_effect", "unreachable"}
)


@dataclass(slots=True)
class Fault:
    """One order: which calls, how they go wrong, how often."""

    method: str
    project: str
    location: str
    principal: str
    code: str
    reason: str
    message: str
    left: int | None
    delay_s: float
    after: bool
    """The call is carried out and its answer lost: refused after it had its effect."""
    operation: str
    hang: bool
    no_effect: bool
    """The call is answered as if it had been carried out, and nothing is done."""
    unreachable: str
    """A listing is answered without this place, and names it: nothing of it is in there."""

    def meets(self, method: str, project: str, location: str, principal: str) -> bool:
        """Tell whether a call is one of these."""
        return (
            self.left != 0
            and fnmatchcase(method, self.method)
            and fnmatchcase(project, self.project)
            and fnmatchcase(location, self.location)
            and fnmatchcase(principal, self.principal)
        )

    @property
    def words(self) -> str:
        """Return what the record says of a call that went wrong so."""
        return self.code or ("no effect" if self.no_effect else "slow")

    def refusal(self) -> Refusal | None:
        """Return what the call is refused with; None: it is only slowed."""
        if not self.code:
            return None
        message = self.message or f"The sandbox was told to answer {self.code}."
        return Refusal(self.code, message, reason=self.reason)


@dataclass(slots=True)
class Faults:
    """The orders that stand."""

    _orders: list[Fault] = field(default_factory=list)
    _gate: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)

    def configure(self, orders: Sequence[Mapping[str, Any]], project: str = "") -> None:
        """Replace all orders, or with `project` those of that project; who hangs is let go.

        Raises:
            ValueError: an order is not one.
        """
        fresh = [_fault({**({"project": project} if project else {}), **one}) for one in orders]
        with self._gate:
            kept = [one for one in self._orders if project and one.project != project]
            self._orders = kept + fresh
            self._over.set()
            self._over = threading.Event()

    def take(self, method: str, project: str, location: str, principal: str) -> Fault | None:
        """Return how to misbehave now, and count it; None: as always."""
        if not self._orders:
            return None
        with self._gate:
            for one in self._orders:
                if one.meets(method, project, location, principal):
                    one.left = None if one.left is None else one.left - 1
                    return one
        return None

    def wait(self, fault: Fault) -> None:
        """Be slow, or hang until the orders change."""
        if fault.hang:
            self._over.wait(HANG_S)
        elif fault.delay_s:
            time.sleep(fault.delay_s)


def _fault(order: Mapping[str, Any]) -> Fault:
    unknown = set(order) - _KNOWN
    if unknown:
        raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
    code = str(order.get("code") or "")
    if code and code not in CODES:
        raise ValueError(f"no code {code!r}: one of {', '.join(CODES)}")
    times = order.get("times")
    return Fault(
        str(order.get("method") or "*"),
        str(order.get("project") or "*"),
        str(order.get("location") or "*"),
        str(order.get("principal") or "*"),
        code,
        str(order.get("reason") or ""),
        str(order.get("message") or ""),
        None if times is None else int(times),
        float(order.get("delay_s") or 0.0),
        bool(order.get("after")),
        str(order["operation"]) if order.get("operation") is not None else "",
        bool(order.get("hang")),
        bool(order.get("no_effect")),
        str(order.get("unreachable") or ""),
    )


def without(method: str, place: str) -> Any:  # noqa: ANN401 - whatever message answers it
    """Return an answer of a listing that a place did not answer.

    Raises:
        ValueError: such an answer is not known for what has no messages of its own.
    """
    answer = nothing_done(method)
    answer.unreachable.append(place)
    return answer


def nothing_done(method: str) -> Any:  # noqa: ANN401 - whatever message answers it
    """Return an answer of a method that says that all went well, and nothing else.

    Raises:
        ValueError: such an answer is not known for what has no messages of its own.
    """
    from google.longrunning import operations_pb2

    known = Tables().grpc(method)
    if known is None:
        raise ValueError(f"no answer without an effect is known of {method}")
    if known.response is operations_pb2.Operation:
        return operations_pb2.Operation(name="operations/nothing", done=True)
    return known.response()
