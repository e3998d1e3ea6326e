"""What moto gets wrong about queues and pipes: policies that vanish, pipes that start by being read."""

from __future__ import annotations

from typing import Any


def correct(_endpoint: str) -> None:
    """Put both right, once for the life of the process."""
    _queues()
    _pipes()


def _queues() -> None:
    """Let SetQueueAttributes leave a policy alone that it was not given (SQS API reference)."""
    from moto.sqs.models import Queue

    changed = Queue._set_attributes  # noqa: SLF001 - moto has no other place

    def set_attributes(self: Any, attributes: dict[str, Any], now: float | None = None) -> None:  # noqa: ANN401 - moto's
        kept = {"Policy": self.policy} if hasattr(self, "_policy_json") and self.policy else {}
        changed(self, {**kept, **attributes}, now)

    Queue._set_attributes = set_attributes  # noqa: SLF001 - as above


def _pipes() -> None:
    """Let a pipe that has stopped stay so until StartPipe (EventBridge Pipes API reference)."""
    from moto.pipes.models import PipeStatus

    told = PipeStatus.status_transitions()
    kept = [one for one in told if one[0] != PipeStatus.STOPPED.value]
    PipeStatus.status_transitions = classmethod(lambda _: list(kept))


STARTS = (correct,)
