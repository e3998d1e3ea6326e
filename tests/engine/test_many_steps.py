"""Many steps at a service's rate: changes first, nobody else held up, deadlines that hold the queue."""

from __future__ import annotations

import time
from collections.abc import Callable

from breakglass.clock import SystemClock
from breakglass.execute.board import Board
from breakglass.execute.bucket import Buckets
from breakglass.execute.effects import Call, Routine, Turn
from breakglass.execute.runner import MAX_WORKERS_A_BUCKET, Task, ThreadRunner
from breakglass.model.plan import Plan
from breakglass.plan.builder import build
from breakglass.plan.findings import Findings, ReachFindings
from breakglass.provider import Budget
from breakglass.testing.fake_cloud import SPEC, FakeCloud, FakeProvider
from breakglass.testing.memory_journal import MemoryJournal
from breakglass.testing.virtual import VirtualClock
from tests.engine.worlds import header, runbook

CLOCK = SystemClock()
SLOW, FREE = "0:slow", "0:free"


def _step(n: int, log: list[tuple[str, int]], pause_s: float = 0.0) -> Routine:
    def call(what: str) -> Callable[[], object]:
        def made() -> None:
            time.sleep(pause_s)
            log.append((what, n))

        return made

    yield Call(call("look"), SLOW, Turn.FIRST_LOOK)
    yield Call(call("change"), SLOW, Turn.CHANGE)
    yield Call(call("read back"), SLOW)
    yield Call(call("probe"), SLOW)


def _run(tasks: list[Task], budget: Budget, *, within_s: float = 20.0) -> tuple[int, ...]:
    buckets = Buckets({SLOW: budget}, CLOCK.monotonic_s())
    runner = ThreadRunner(
        clock=CLOCK,
        journal=MemoryJournal(CLOCK),
        board=Board({}),
        buckets=buckets,
        cancelled=lambda: False,
    )
    return runner.run(tasks, until_s=CLOCK.monotonic_s() + within_s, cancel_grace_s=1.0)


def test_every_change_is_made_before_read_backs_where_calls_queue() -> None:
    """A step looks and changes at once; what is only proof waits until all others have changed too."""
    log: list[tuple[str, int]] = []
    tasks = [Task(n, 0, _step(n, log)) for n in range(60)]

    assert _run(tasks, Budget(per_s=400, burst=1)) == ()

    last = max(at for at, (what, _) in enumerate(log) if what == "change")
    early = [what for what, _ in log[:last] if what in {"read back", "probe"}]
    assert len(early) <= 4
    changed = [n for what, n in log if what == "change"]
    looked = [n for what, n in log if what == "look"]
    assert sorted(changed) == list(range(60))
    assert looked.index(changed[5]) < 12


def test_a_rate_is_kept_by_all_calls_together() -> None:
    """Never more than the burst and what the rate adds."""
    log: list[tuple[str, int]] = []
    tasks = [Task(n, 0, _step(n, log)) for n in range(10)]
    began_s = CLOCK.monotonic_s()

    assert _run(tasks, Budget(per_s=50, burst=10)) == ()

    assert CLOCK.monotonic_s() - began_s >= (40 - 10) / 50 - 0.05


def test_a_slow_service_leaves_workers_to_the_others() -> None:
    """A queue is stopped at once although the calls of 300 roles wait, and those that are made are slow."""
    log: list[tuple[str, int]] = []
    ended: list[float] = []
    most: list[int] = []
    began_s = CLOCK.monotonic_s()

    def free() -> Routine:
        yield Call(lambda: ended.append(CLOCK.monotonic_s() - began_s), FREE, Turn.FIRST_LOOK)

    running = [0]

    def slow(n: int) -> Routine:
        def made() -> None:
            running[0] += 1
            most.append(running[0])
            time.sleep(0.05)
            running[0] -= 1
            log.append(("look", n))

        yield Call(made, SLOW, Turn.FIRST_LOOK)

    tasks = [*(Task(n, 0, slow(n)) for n in range(300)), Task(300, 0, free())]

    assert _run(tasks, Budget(per_s=1000, burst=300)) == ()

    assert len(log) == 300
    assert ended[0] < 0.8
    assert max(most) <= MAX_WORKERS_A_BUCKET


def test_deadlines_hold_the_queue_and_the_plan_says_how_long_it_takes() -> None:
    """A step that waits for its turn is not late because of that; few steps keep their own deadline."""
    few, many = _plan(3, Budget(per_s=10, burst=10)), _plan(500, Budget(per_s=10, burst=10))
    free = _plan(500, None)

    assert few.reaches[0].takes_s == 2
    assert few.steps[0].deadline_ms == free.steps[0].deadline_ms
    assert many.reaches[0].takes_s == (500 * 5 - 10) // 10 + 1
    assert many.steps[0].deadline_ms >= 2 * 249 * 1000
    assert free.reaches[0].takes_s == 1


def _plan(users: int, budget: Budget | None) -> Plan:
    clock = VirtualClock()
    provider = FakeProvider(FakeCloud(clock, {f"bot-{n}": {"key": True} for n in range(users)}))
    discovery = provider.discover()
    budgets = {} if budget is None else {SPEC.service: budget}
    reach = ReachFindings("fake", "fake 1", {}, discovery, {SPEC.name: SPEC}, {}, budgets)
    return build(header(), Findings((reach,), ()), runbook(), ())[0]
