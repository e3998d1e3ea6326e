"""A virtual clock and a seeded scheduler: the routines of `execute` run unchanged, one effect at a time.

The idea is that of FoundationDB's and TigerBeetle's deterministic simulation: every interleaving comes from
one seed, so that a failing run can be run again.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from breakglass.clock import Instant
from breakglass.errors import ProviderError
from breakglass.execute.board import Board
from breakglass.execute.bucket import Buckets
from breakglass.execute.effects import Call, Effect, Pause, Until, Write
from breakglass.execute.engine import Ports
from breakglass.execute.runner import Task


class VirtualClock:
    """Time that moves only when somebody waits."""

    def __init__(self, start: Instant | None = None) -> None:
        """Start at a fixed moment, so that two runs of one seed are the same."""
        self._start = start or Instant(1_767_225_600_000)
        self._elapsed_s = 0.0

    def now(self) -> Instant:
        """Return the virtual wall clock."""
        return self._start.plus(self._elapsed_s)

    def monotonic_s(self) -> float:
        """Return the virtual seconds since the start."""
        return self._elapsed_s

    def sleep(self, seconds: float) -> None:
        """Move time on."""
        self._elapsed_s += max(0.0, seconds)


class SeededRunner:
    """Runs tasks one effect at a time, in an order that a seed decides."""

    def __init__(
        self, ports: Ports, board: Board, buckets: Buckets, *, seed: int, call_s: float = 0.01
    ) -> None:
        """Take `call_s` of virtual time for each call."""
        self._ports = ports
        self._board = board
        self._buckets = buckets
        self._random = random.Random(seed)  # noqa: S311 - a schedule, not a secret
        self._call_s = call_s

    def run(self, tasks: Sequence[Task], *, until_s: float, cancel_grace_s: float) -> tuple[int, ...]:
        """Drive the tasks to their end; what raises out of the journal ends the run, as a crash does."""
        del cancel_grace_s
        clock = self._ports.clock
        waiting: dict[int, tuple[Task, Effect | None, float]] = {
            task.n: (task, None, clock.monotonic_s()) for task in tasks
        }
        while waiting and clock.monotonic_s() < until_s:
            ready = [n for n, (_, effect, at_s) in waiting.items() if self._ready(effect, at_s)]
            if not ready:
                next_s = min(at_s for _, _, at_s in waiting.values())
                clock.sleep(max(0.001, next_s - clock.monotonic_s()))
                continue
            n = self._random.choice(ready)
            task, _, _ = waiting[n]
            step = self._advance(task)
            if step is None:
                del waiting[n]
            else:
                waiting[n] = (task, step[0], step[1])
        return tuple(waiting)

    def _ready(self, effect: Effect | None, at_s: float) -> bool:
        if self._ports.clock.monotonic_s() >= at_s or self._ports.cancelled():
            return True
        return isinstance(effect, Until) and effect.ready()

    def _advance(self, task: Task) -> tuple[Effect, float] | None:
        """Take one effect and perform it; return it with the time at which the task goes on."""
        now_s = self._ports.clock.monotonic_s()
        try:
            if task.failure is not None:
                failure, task.failure = task.failure, None
                effect = task.routine.throw(failure)
            else:
                answer, task.answer = task.answer, None
                effect = task.routine.send(answer)
        except StopIteration:
            return None
        if isinstance(effect, Write):
            task.answer = self._ports.journal.append(effect.type, effect.body)
        elif isinstance(effect, Call):
            self._ports.clock.sleep(self._buckets.delay_s(effect.bucket, now_s) + self._call_s)
            try:
                task.answer = effect.run()
            except ProviderError as error:
                task.failure = error
        elif isinstance(effect, Pause):
            return effect, now_s + effect.seconds
        else:
            return effect, now_s + effect.at_most_s
        return effect, self._ports.clock.monotonic_s()
