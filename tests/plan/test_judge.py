"""The verdict, rule by rule: unknown never looks like contained, and the worst wins."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from breakglass.clock import Instant, SystemClock
from breakglass.journal.history import Moment, StepHistory
from breakglass.kit.model import Deployer, Effect, Tool
from breakglass.model.action import Grade, Verdict
from breakglass.model.plan import Door, DoorKind, NotPlanned, Plan
from breakglass.plan.doors import deployer_doors, tool_doors
from breakglass.testing.fake_cloud import FakeCloud, FakeProvider
from breakglass.verify.judge import Found, assess
from tests.engine.worlds import NOON, plan_for

CONTAINED, NOT_CONTAINED, UNKNOWN = Verdict.CONTAINED, Verdict.NOT_CONTAINED, Verdict.UNKNOWN


def plan(steps: int = 2) -> Plan:
    """Return a plan over some users of a fake cloud."""
    users = {f"bot-{n}": {"key": True} for n in range(steps)}
    return plan_for(FakeProvider(FakeCloud(SystemClock(), users)))


def closed(n: int, verdict: Verdict = CONTAINED, grade: Grade = Grade.REFUSED_AS_AGENT) -> StepHistory:
    """Return a step that ended."""
    moment = Moment(NOON, 0)
    return StepHistory(
        n, 1, closed=True, verdict=verdict, grade=grade, reason="r", accepted=moment, read_back=moment
    )


def door(verdict: Verdict, *closed_by: int) -> Door:
    """Return a door that some steps close."""
    return Door(DoorKind.TOOL, "refund", "no step", "", "", closed_by, verdict)


@pytest.mark.parametrize(("first", "second"), list(product(Verdict, repeat=2)))
def test_the_worst_step_decides(first: Verdict, second: Verdict) -> None:
    """Not contained before unknown before contained, whatever the order."""
    grades = {CONTAINED: Grade.READ_BACK, NOT_CONTAINED: Grade.NONE, UNKNOWN: Grade.NONE}
    histories = {0: closed(0, first, grades[first]), 1: closed(1, second, grades[second])}
    expected = min((first, second), key=[NOT_CONTAINED, UNKNOWN, CONTAINED].index)

    assert expected is assess(plan(), histories).verdict


def test_a_step_that_never_started_is_unknown() -> None:
    """Absence is not success."""
    assert UNKNOWN is assess(plan(), {0: closed(0)}).verdict


def test_contained_without_a_proof_is_unknown() -> None:
    """A step that says contained at grade none has proven nothing."""
    assert UNKNOWN is assess(plan(1), {0: closed(0, CONTAINED, Grade.NONE)}).verdict


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_door_that_nothing_closes_counts_as_it_says(verdict: Verdict) -> None:
    """An open door makes the verdict what the door says; one that is only listed does not count."""
    assert verdict is assess(replace(plan(1), doors=(door(verdict),)), {0: closed(0)}).verdict


def test_a_door_is_closed_only_by_all_of_its_steps_together() -> None:
    """One of two is not enough."""
    both = replace(plan(2), doors=(door(NOT_CONTAINED, 0, 1),))

    assert CONTAINED is assess(both, {0: closed(0), 1: closed(1)}).verdict
    assert NOT_CONTAINED is assess(both, {0: closed(0), 1: closed(1, UNKNOWN, Grade.NONE)}).verdict


def test_what_was_found_unsigned_is_an_open_door() -> None:
    """A principal that nobody signed for still has access."""
    found = Found("fake", "fake cloud", "user", "bot-9", "appeared")

    assert NOT_CONTAINED is assess(plan(1), {0: closed(0)}, [found]).verdict


def test_a_provider_that_was_not_planned_keeps_the_verdict_unknown() -> None:
    """One that did not answer may hold anything."""
    partial = replace(plan(1), not_planned=(NotPlanned("aws", "123", "no answer"),))

    assert UNKNOWN is assess(partial, {0: closed(0)}).verdict


def test_a_step_that_others_make_moot_does_not_count_once_they_are_proven() -> None:
    """The cut of egress does not matter when nothing runs any more; before that it does."""
    base = plan(2)
    steps = (replace(base.steps[0], moot_by=(1,)), base.steps[1])
    moot = replace(base, steps=steps)
    unproven = closed(0, UNKNOWN, Grade.NONE)

    assert CONTAINED is assess(moot, {0: unproven, 1: closed(1)}).verdict
    assert UNKNOWN is assess(moot, {0: unproven, 1: closed(1, UNKNOWN, Grade.NONE)}).verdict


@pytest.mark.parametrize(("after_s", "expected"), [(10, UNKNOWN), (899, UNKNOWN), (901, CONTAINED)])
def test_a_window_is_open_until_it_has_ended(after_s: int, expected: Verdict) -> None:
    """A running invocation may live on for its stated time; nothing can prove otherwise."""
    base = plan(1)
    windowed = replace(base, steps=(replace(base.steps[0], best_grade=Grade.NONE, window_s=900),))
    history = replace(closed(0, UNKNOWN, Grade.NONE), settled=True)
    now = Moment(NOON.plus(after_s), after_s * 1_000_000)

    assert expected is assess(windowed, {0: history}, now=now).verdict


def test_a_window_that_nobody_looked_at_is_still_open() -> None:
    """Without a present there is no end of a window."""
    base = plan(1)
    windowed = replace(base, steps=(replace(base.steps[0], best_grade=Grade.NONE, window_s=1),))

    assert UNKNOWN is assess(windowed, {0: closed(0, UNKNOWN, Grade.NONE)}, now=None).verdict


def test_a_step_without_an_end_of_its_window_stays_open_for_ever() -> None:
    """Grade none and no window: only another proven step can make it moot."""
    base = plan(1)
    endless = replace(base, steps=(replace(base.steps[0], best_grade=Grade.NONE, window_s=None),))

    now = Moment(Instant(NOON.epoch_ms * 2), NOON.epoch_ms * 1000)

    assert UNKNOWN is assess(endless, {0: closed(0, UNKNOWN, Grade.NONE)}, now=now).verdict


@pytest.mark.parametrize("effect", list(Effect))
def test_a_tool_without_a_step_is_open_unless_it_only_reads(effect: Effect) -> None:
    """Effect write, external, money and irreversible count; read is listed."""
    doors, listed = tool_doors([Tool("refund", effect, "key", "Stripe", "https://stripe", "payments")], ())

    assert (effect is Effect.READ) is (doors == ())
    assert (effect is Effect.READ) is (len(listed) == 1)
    assert all(found.verdict is NOT_CONTAINED for found in doors)


def test_a_deployer_that_nobody_pauses_keeps_the_verdict_from_contained() -> None:
    """It may start the agent again."""
    doors = deployer_doors([Deployer("argocd", "support-bot", {})], ())

    assert UNKNOWN is assess(replace(plan(1), doors=doors), {0: closed(0)}).verdict
