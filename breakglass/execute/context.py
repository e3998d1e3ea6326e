"""What a routine knows of its step and its run."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TypeVar

from breakglass.canon import Json, JsonObject, canonical, sha256
from breakglass.clock import Clock
from breakglass.errors import ProviderError, Throttled, Transient, Unsettled
from breakglass.execute.board import Board
from breakglass.execute.effects import Call, Effect, Pause, Turn, Write
from breakglass.journal.history import StepHistory
from breakglass.model.plan import Step
from breakglass.model.resource import State
from breakglass.provider import Action
from breakglass.shape import encode

T = TypeVar("T")

FIRST_BACK_OFF_S = 0.05
LONGEST_BACK_OFF_S = 5.0
MAX_REASON = 4000


@dataclass(frozen=True, slots=True)
class StepEvent:
    """What the screen may show of a step."""

    n: int
    stage: str
    """waiting, calling, read_back, settling, retry, proven, open, unknown, moot."""
    detail: str
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class StepContext:
    """One step of one run."""

    step: Step
    action: Action
    digest: str
    """Of the plan: part of every token."""
    bucket: str
    clock: Clock
    board: Board
    started_s: float
    """The run's start on the monotonic clock."""
    deadline_s: float
    """When this step must end, on the monotonic clock."""
    cancelled: Callable[[], bool]
    observer: Callable[[StepEvent], None]
    past: StepHistory
    rng: random.Random = field(default_factory=random.Random)

    def token(self, round_: int) -> str:
        """Return the client token of a round: the same after a crash, so that a repeat is recognised."""
        return sha256(f"{self.digest}:{self.step.n}:{round_}".encode())

    def emit(self, stage: str, detail: str) -> None:
        """Tell the screen."""
        elapsed_s = self.clock.monotonic_s() - self.started_s
        with contextlib.suppress(Exception):  # a screen that is gone must not end the stop
            self.observer(StepEvent(self.step.n, stage, detail, elapsed_s))

    def late(self) -> bool:
        """Return whether the step's time is over."""
        return self.clock.monotonic_s() >= self.deadline_s

    def left_s(self) -> float:
        """Return the seconds that the step still has."""
        return max(0.0, self.deadline_s - self.clock.monotonic_s())

    def write(self, record_type: str, **fields: object) -> Write:
        """Make the record of this step with these fields."""
        body: JsonObject = {
            "step": self.step.n,
            **{key: _safe(encode(value)) for key, value in fields.items()},
        }
        return Write(record_type, body)


def _safe(value: Json) -> Json:
    """Return a text that UTF-8 can carry: a reason may quote a file name of the agent's."""
    if not isinstance(value, str):
        return value
    return value[:MAX_REASON].encode("utf-8", "backslashreplace").decode()


def state_digest(state: State) -> str:
    """Return the digest of a state's canonical form."""
    return sha256(canonical(encode(state)))


def attempt(
    context: StepContext, run: Callable[[], T], turn: Turn = Turn.LATER
) -> Generator[Effect, object, T]:
    """Call with back-off while the failure may pass and the step has time.

    Raises:
        Unsettled: a change was refused since what was read is no longer so; the same call would be again.
        ProviderError: the call failed for good, or the step's time ended.
    """
    back_off_s = FIRST_BACK_OFF_S
    while True:
        try:
            answer = yield Call(run, context.bucket, turn)
        except Transient as error:
            if isinstance(error, Unsettled) and turn is Turn.CHANGE:
                raise
            wait_s = max(back_off_s, error.retry_after_s if isinstance(error, Throttled) else 0.0)
            if context.cancelled() or wait_s >= context.left_s():
                raise ProviderError(f"gave up at the deadline: {error.what}") from error
            context.emit("retry", f"{error.what}, again in {wait_s:.1f} s")
            yield Pause(wait_s * context.rng.uniform(0.8, 1.2))
            back_off_s = min(LONGEST_BACK_OFF_S, back_off_s * 2)
        else:
            return answer  # type: ignore[return-value]  # the runner sends what `run` returned
