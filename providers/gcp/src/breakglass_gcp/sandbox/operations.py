"""Long-running operations: they end later, fail, or never end, as the call that starts them orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.call import CODES, Refusal
from breakglass_gcp.sandbox.sources import api_of

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.world import World

NEVER = float("inf")


@dataclass(slots=True, eq=False)
class Pending:
    """Something that ends at a time: `finish` is what then happens; it may refuse (the operation failed).

    `response` is a message, a mapping (services without messages), or a callable that makes one at the end.
    """

    id: str
    name: str
    ends_s: float
    started_s: float
    response: Any = None
    metadata: Any = None
    finish: Callable[[], None] | None = None
    done: bool = False
    error: Refusal | None = None
    told: dict[str, Any] = field(default_factory=dict)
    """What its service wants to remember (a target, a type)."""

    def settle(self, world: World) -> None:
        """End it when its time has come."""
        if self.done or world.now_s() < self.ends_s:
            return
        self.done = True
        try:
            if self.finish is not None:
                self.finish()
            if callable(self.response):
                self.response = self.response()
        except Refusal as refusal:
            self.error = refusal


def begin(
    world: World,
    name: str,
    *,
    response: Any = None,  # noqa: ANN401 - a message, mapping or callable
    metadata: Any = None,  # noqa: ANN401 - a message or mapping
    takes_s: float = 0.05,
    finish: Callable[[], None] | None = None,
) -> Pending:
    """Start an operation of this full name, with what a fault orders about the running call."""
    call = world.current
    ordered = call.operation_fault if call is not None else ""
    length_s = NEVER if ordered == "never" else max(float(ordered or takes_s), world.settings.operation_s)
    now_s = world.now_s()
    pending = Pending(name.rpartition("/")[2], name, now_s + length_s, now_s, response, metadata, finish)
    pending.told["service"] = api_of(call.method).partition(".")[0] if call is not None else ""
    world.operations[name] = pending
    pending.settle(world)
    if not pending.done:
        world.pending.append(pending)
    return pending


def as_message(pending: Pending) -> Any:  # noqa: ANN401 - google.longrunning.Operation
    """Return a google.longrunning.Operation as it stands."""
    from google.longrunning import operations_pb2
    from google.protobuf import empty_pb2

    operation = operations_pb2.Operation(name=pending.name, done=pending.done)
    if pending.metadata is not None and not isinstance(pending.metadata, Mapping):
        operation.metadata.Pack(_pure(pending.metadata))
    if pending.done and pending.error is not None:
        operation.error.code = CODES[pending.error.code][0]
        operation.error.message = pending.error.message
    elif pending.done:
        answer = pending.response
        plain = answer is None or isinstance(answer, Mapping)
        operation.response.Pack(empty_pb2.Empty() if plain else _pure(answer))
    return operation


def as_json(pending: Pending) -> dict[str, Any]:
    """Return an operation as services without message types give it."""
    said: dict[str, Any] = {"name": pending.name}
    if isinstance(pending.metadata, Mapping):
        said["metadata"] = dict(pending.metadata)
    if pending.done:
        said["done"] = True
        if pending.error is not None:
            said["error"] = {"code": CODES[pending.error.code][0], "message": pending.error.message}
        else:
            said["response"] = dict(pending.response) if isinstance(pending.response, Mapping) else {}
    return said


def settle_all(world: World) -> None:
    """End every operation whose time has come."""
    for pending in list(world.pending):
        pending.settle(world)
        if pending.done:
            world.pending.remove(pending)


def _pure(message: Any) -> Any:  # noqa: ANN401 - a message
    return type(message).pb(message) if hasattr(type(message), "pb") else message
