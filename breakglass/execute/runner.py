"""Drives the routines of a run on threads.

Each lane (one reach: an account, a cluster, a host) has workers of its own, so that a provider that hangs
holds up nobody else. A routine that waits holds no thread. Where a service's rate makes calls queue, changes
come before read-backs, and one service never takes all workers of its lane. At the end of the time, or a
grace after a cancel, a routine whose call has not returned is abandoned: fenced off from the journal for
good.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from breakglass.clock import Clock
from breakglass.errors import ProviderError
from breakglass.execute.board import Board
from breakglass.execute.bucket import Buckets
from breakglass.execute.effects import Call, Effect, Pause, Routine, Turn, Until, Write
from breakglass.journal.port import JournalPort

MAX_WORKERS_A_LANE = 16
MAX_WORKERS_A_BUCKET = 12
"""Of one lane: a service whose rate is the limit may keep so many busy, and leaves the others to the rest."""
LONGEST_NAP_S = 0.2
"""The main thread looks at least this often, so that a signal is seen."""


@dataclass(slots=True, eq=False)
class Task:
    """A routine, and what it is sent next."""

    n: int
    lane: int
    routine: Routine
    answer: object = None
    failure: BaseException | None = None
    pending: Call | None = None
    """A call that waits for its turn in a rate bucket, or has it now."""
    admitted: bool = False
    """Its turn has come."""
    done: bool = False
    abandoned: bool = False
    gate: threading.Lock = field(default_factory=threading.Lock)
    """Held while a record is written, so that an abandoned task is fenced off and not half-way in."""


@dataclass(slots=True)
class _Queue:
    """What is ready in one lane."""

    ready: deque[Task] = field(default_factory=deque)
    tasks: int = 0


@dataclass(slots=True)
class _Line:
    """The calls that wait for one rate bucket, the most urgent first, and how many are being made."""

    waiting: list[tuple[Turn, int, Task]] = field(default_factory=list)
    running: int = 0


class ThreadRunner:
    """Runs tasks to their end, or to the end of the time."""

    def __init__(
        self,
        *,
        clock: Clock,
        journal: JournalPort,
        board: Board,
        buckets: Buckets,
        cancelled: Callable[[], bool],
    ) -> None:
        """Keep the ports; nothing runs yet."""
        self._clock = clock
        self._journal = journal
        self._board = board
        self._buckets = buckets
        self._cancelled = cancelled
        self._condition = threading.Condition()
        self._lanes: dict[int, _Queue] = {}
        self._lines: dict[str, _Line] = {}
        self._timers: list[tuple[float, int, Task]] = []
        self._waiting: list[tuple[Until, float, Task]] = []
        self._order = itertools.count()
        self._open = 0
        self._stopped = False
        self._fatal: BaseException | None = None

    def run(self, tasks: Sequence[Task], *, until_s: float, cancel_grace_s: float) -> tuple[int, ...]:
        """Drive the tasks; return the numbers of those whose call did not return in time.

        Raises:
            BreakglassError: the journal could not be written; nothing more is changed.
        """
        for task in tasks:
            lane = self._lanes.setdefault(task.lane, _Queue())
            lane.ready.append(task)
            lane.tasks += 1
        self._open = len(tasks)
        for lane in self._lanes.values():
            for _ in range(min(MAX_WORKERS_A_LANE, lane.tasks)):
                threading.Thread(target=self._work, args=(lane,), daemon=True).start()
        self._watch(until_s, cancel_grace_s)
        with self._condition:
            self._stopped = True
            self._condition.notify_all()
        for task in tasks:
            with task.gate:
                task.abandoned = not task.done
        if self._fatal is not None:
            raise self._fatal
        return tuple(task.n for task in tasks if task.abandoned)

    def _watch(self, until_s: float, cancel_grace_s: float) -> None:
        """Wake routines whose time has come, until all are done or the time is over."""
        with self._condition:
            while self._open and self._fatal is None:
                now_s = self._clock.monotonic_s()
                if self._cancelled():
                    until_s = min(until_s, now_s + cancel_grace_s)
                    cancel_grace_s = max(0.0, until_s - now_s)
                if now_s >= until_s:
                    return
                next_s = self._wake(now_s, everything=self._cancelled())
                self._condition.wait(max(0.0, min(next_s, until_s, now_s + LONGEST_NAP_S) - now_s))

    def _wake(self, now_s: float, *, everything: bool) -> float:
        """Move what is due to its lane; return when to look again."""
        while self._timers and (everything or self._timers[0][0] <= now_s):
            self._make_ready(heapq.heappop(self._timers)[2])
        still: list[tuple[Until, float, Task]] = []
        for until, at_s, task in self._waiting:
            if everything or at_s <= now_s or until.ready():
                self._make_ready(task)
            else:
                still.append((until, at_s, task))
        self._waiting = still
        return min(
            [
                *(timer[0] for timer in self._timers[:1]),
                *(at_s for _, at_s, _ in still),
                *(self._admit(name, line, now_s, everybody=everything) for name, line in self._lines.items()),
            ],
            default=now_s + 1,
        )

    def _admit(self, name: str, line: _Line, now_s: float, *, everybody: bool) -> float:
        """Let those call whose turn has come; return when to look again."""
        while line.waiting and (everybody or line.running < MAX_WORKERS_A_BUCKET):
            wait_s = 0.0 if everybody else self._buckets.take(name, now_s)
            if wait_s > 0:
                return now_s + wait_s
            task = heapq.heappop(line.waiting)[2]
            task.admitted = True
            line.running += 1
            # Before those that only start: there may be a thousand of them.
            self._lanes[task.lane].ready.appendleft(task)
            self._condition.notify_all()
        return now_s + 1

    def _make_ready(self, task: Task) -> None:
        self._lanes[task.lane].ready.append(task)
        self._condition.notify_all()

    def _work(self, lane: _Queue) -> None:
        while True:
            with self._condition:
                while not lane.ready and not self._stopped and lane.tasks:
                    self._condition.wait()
                if self._stopped or not lane.ready:
                    return
                task = lane.ready.popleft()
            try:
                self._advance(task, lane)
            except BaseException as error:  # noqa: BLE001 - the main thread raises it; a dead worker would hang the run
                with self._condition:
                    self._fatal = self._fatal or error
                    self._condition.notify_all()
                return

    def _advance(self, task: Task, lane: _Queue) -> None:
        """Run one routine until it has to wait or ends."""
        version = self._board.version
        while True:
            effect = task.pending or self._next(task)
            if effect is None:
                with self._condition:
                    task.done = True
                    lane.tasks -= 1
                    self._open -= 1
                    self._condition.notify_all()
                return
            if isinstance(effect, Call | Write):
                if not self._perform(task, effect):
                    return
            else:
                self._park(task, effect)
                return
            if self._board.version != version:
                version = self._board.version
                with self._condition:
                    self._condition.notify_all()

    def _next(self, task: Task) -> Effect | None:
        """Give the routine its answer and take the next effect; None: it ended."""
        try:
            if task.failure is not None:
                failure, task.failure = task.failure, None
                return task.routine.throw(failure)
            answer, task.answer = task.answer, None
            return task.routine.send(answer)
        except StopIteration:
            return None

    def _perform(self, task: Task, effect: Call | Write) -> bool:
        """Do it; False when the task has to wait for its turn, or was abandoned."""
        if isinstance(effect, Write):
            with task.gate:
                if task.abandoned:
                    return False
                task.answer = self._journal.append(effect.type, effect.body)
            return True
        limited = self._buckets.limits(effect.bucket)
        if limited and not task.admitted:
            self._line_up(task, effect)
            return False
        task.pending, task.admitted = None, False
        try:
            task.answer = effect.run()
        except ProviderError as error:
            task.failure = error
        except Exception as error:  # noqa: BLE001 - a provider's bug makes its step unknown and stops no other
            task.failure = ProviderError(f"bug in the provider: {type(error).__name__}: {error}")
        finally:
            if limited:
                self._leave(effect.bucket)
        return not task.abandoned

    def _line_up(self, task: Task, effect: Call) -> None:
        with self._condition:
            task.pending = effect
            line = self._lines.setdefault(effect.bucket, _Line())
            heapq.heappush(line.waiting, (effect.turn, next(self._order), task))
            self._admit(effect.bucket, line, self._clock.monotonic_s(), everybody=self._cancelled())
            self._condition.notify_all()

    def _leave(self, bucket: str) -> None:
        with self._condition:
            line = self._lines[bucket]
            line.running -= 1
            self._admit(bucket, line, self._clock.monotonic_s(), everybody=self._cancelled())
            self._condition.notify_all()

    def _park(self, task: Task, effect: Pause | Until) -> None:
        now_s = self._clock.monotonic_s()
        if isinstance(effect, Pause):
            self._at(task, now_s + effect.seconds)
            return
        with self._condition:
            if effect.ready() or self._cancelled():
                self._make_ready(task)
                return
            self._waiting.append((effect, now_s + effect.at_most_s, task))
            self._condition.notify_all()

    def _at(self, task: Task, when_s: float) -> None:
        with self._condition:
            heapq.heappush(self._timers, (when_s, next(self._order), task))
            self._condition.notify_all()
