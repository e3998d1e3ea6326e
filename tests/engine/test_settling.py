"""While a contained state settles, whoever undoes it is met before the settle time ends."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import pytest

from breakglass.clock import Instant
from breakglass.execute.contain import FIRST_LOOK_S
from breakglass.execute.engine import Ports, execute
from breakglass.journal.history import replay
from breakglass.model.action import Verdict
from breakglass.model.records import Record
from breakglass.testing.fake_cloud import FakeCloud, FakeProvider
from breakglass.testing.memory_journal import MemoryJournal
from breakglass.testing.virtual import SeededRunner, VirtualClock
from breakglass.verify.judge import assess
from tests.engine.worlds import NOON, authorised, plan_for

SETTLE_S = 10.0
MOST_LOOKS = 12
CALLS_S = 0.2
"""Virtual time of the few calls of one look and one change."""
Turned = tuple[float, str, bool]
"""When a key is switched, which one, and whether it works from then on."""


@dataclass(slots=True)
class Alarms:
    """A virtual clock at whose set moments the agent switches a key, whether or not anybody looks."""

    inner: VirtualClock
    turns: list[Turned]
    cloud: FakeCloud | None = field(default=None)

    def now(self) -> Instant:
        """Return the virtual wall clock."""
        return self.inner.now()

    def monotonic_s(self) -> float:
        """Return the virtual seconds."""
        return self.inner.monotonic_s()

    def sleep(self, seconds: float) -> None:
        """Move time on, and stop at each moment on the way."""
        end_s = self.monotonic_s() + seconds
        while self.cloud is not None and self.turns and self.turns[0][0] <= end_s:
            at_s, key, active = self.turns.pop(0)
            self.inner.sleep(at_s - self.monotonic_s())
            self.cloud.set_key("bot", key, active=active)
        self.inner.sleep(end_s - self.monotonic_s())


def stop(turns: list[Turned], *, active: bool = True) -> tuple[FakeCloud, list[Record], Verdict]:
    """Stop one user; return the cloud, the journal, and the verdict."""
    clock = Alarms(VirtualClock(NOON), list(turns))
    clock.cloud = FakeCloud(clock, {"bot": {"key": active}})
    provider = FakeProvider(clock.cloud)
    plan = plan_for(provider)
    step = replace(plan.steps[0], settle_ms=int(SETTLE_S * 1000), deadline_ms=60_000)
    plan = replace(plan, steps=(step,))
    journal = MemoryJournal(clock)
    ports = Ports(clock, journal, lambda _event: None, lambda: False, random.Random(1))
    execute(
        authorised(plan),
        {0: provider},
        ports,
        history={},
        prior={},
        runner=lambda p, b, k: SeededRunner(p, b, k, seed=1),
    )
    return clock.cloud, journal.records, assess(plan, replay(journal.records)).verdict


def turns_of(cloud: FakeCloud) -> list[tuple[float, bool]]:
    """Return when its key went on and off."""
    return [(at_s, users["bot"]["key"]) for at_s, users in cloud.history]


@pytest.mark.parametrize(
    "undone_s", [[0.1], [0.3], [1.0], [2.9], [5.0], [9.0], [0.3, 0.9, 2.0, 4.0], [9.0, 18.5]]
)
def test_what_is_undone_while_it_settles_is_closed_again_before_the_settle_time_ends(
    undone_s: list[float],
) -> None:
    """It stays open no longer than it had been closed; proof waits one settle time from the last change."""
    cloud, records, verdict = stop([(at_s, "key", True) for at_s in undone_s])

    turns = turns_of(cloud)
    assert [False, *([True, False] * len(undone_s))] == [on for _, on in turns[1:]]
    for (closed_s, _), (opened_s, on), (again_s, _) in zip(turns[1:], turns[2:], turns[3:], strict=False):
        if on:
            assert again_s - opened_s <= opened_s - closed_s + FIRST_LOOK_S + CALLS_S
            assert again_s < closed_s + SETTLE_S + CALLS_S
    ended = next(one for one in records if one.type == "step.closed")
    assert Verdict.CONTAINED is verdict
    assert ended.monotonic_us / 1e6 >= turns[-1][0] + SETTLE_S


def test_a_state_that_nobody_undoes_is_read_ever_more_rarely() -> None:
    """Looks double: a hundred steps that settle do not spend the rate that others need."""
    cloud, records, _ = stop([])

    ended = next(one for one in records if one.type == "step.closed")
    looks = sum(verb == "observe" for verb, _, _ in cloud.calls)
    assert SETTLE_S <= ended.monotonic_us / 1e6 - turns_of(cloud)[-1][0] < SETTLE_S + 1
    assert looks <= MOST_LOOKS


def test_what_appears_switched_off_while_a_step_settles_does_not_come_back_switched_on() -> None:
    """Who made it switches it on a moment later, so that the restore would start it."""
    _, records, verdict = stop([(0.3, "late", False), (1.5, "late", True)], active=False)

    assert Verdict.CONTAINED is verdict
    assert {"key": {"active": False}, "late": {"active": False}} == dict(replay(records)[0].prior)
