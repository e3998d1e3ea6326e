"""What an agent can put into the world, and a screen that fails, must not end the stop of everything else."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from breakglass.clock import SystemClock
from breakglass.errors import ProviderError
from breakglass.execute.context import StepEvent
from breakglass.execute.engine import Ports, execute
from breakglass.execute.telling import Telling
from breakglass.journal.history import StepHistory, replay
from breakglass.journal.reader import read_journal
from breakglass.journal.writer import Journal
from breakglass.model.action import Judgement, Verdict
from breakglass.model.plan import Plan
from breakglass.model.resource import MAX_STATE_BYTES, Resource, State
from breakglass.provider import Action
from breakglass.testing.fake_cloud import SPEC, DeactivateKeys, FakeCloud, FakeProvider
from tests.engine.test_threads import quick
from tests.engine.worlds import authorised, plan_for

CLOCK = SystemClock()


def nothing(_event: StepEvent) -> None:
    """Show nothing."""


def carried_out(
    folder: Path, plan: Plan, provider: FakeProvider, observer: Callable[[StepEvent], None] = nothing
) -> dict[int, StepHistory]:
    """Execute with a real journal and return what it says."""
    with Journal.create(folder / "journal.jsonl", CLOCK) as journal:
        ports = Ports(CLOCK, journal, observer, lambda: False, random.Random(1))
        assert execute(authorised(plan), {0: provider}, ports)
    return replay(read_journal(folder / "journal.jsonl").records)


@dataclass(frozen=True, slots=True)
class Odd(DeactivateKeys):
    """The fake action, with an odd answer for one user."""

    oddity: str = ""

    def observe(self, resource: Resource) -> State:
        """Name what bot-0 holds as the agent likes."""
        if resource.id == "bot-0" and self.oddity == "not UTF-8":
            return State({"key-\udcff": {"active": True}})
        if resource.id == "bot-0" and self.oddity == "huge":
            return State({"key": "x" * MAX_STATE_BYTES})
        return super(Odd, self).observe(resource)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Trip over bot-0."""
        if resource.id == "bot-0" and self.oddity == "judge fails":
            raise KeyError("active")
        if resource.id == "bot-0" and self.oddity == "reason":
            return Judgement(Verdict.NOT_CONTAINED, "key-\udcff is active")
        return super(Odd, self).judge(resource, state)


@dataclass(frozen=True, slots=True)
class OddProvider(FakeProvider):
    """A provider of that action."""

    oddity: str = ""

    @property
    def actions(self) -> dict[str, Action]:
        """Return the odd action."""
        return {SPEC.name: Odd(self.cloud, self.oddity)}


@pytest.mark.parametrize("oddity", ["not UTF-8", "huge", "judge fails", "reason"])
def test_one_odd_answer_makes_one_step_unproven_and_stops_no_other(tmp_path: Path, oddity: str) -> None:
    """A file name of the agent's that no journal can hold once ended the whole stop."""
    cloud = FakeCloud(CLOCK, {f"bot-{n}": {"key": True} for n in range(3)})
    plan = quick(plan_for(FakeProvider(cloud)), deadline_ms=600)

    histories = carried_out(tmp_path, plan, OddProvider(cloud, None, oddity))

    assert [False, True, True] == [histories[n].is_proven for n in range(3)]
    assert histories[0].closed


def test_a_screen_that_is_gone_does_not_end_the_stop(tmp_path: Path) -> None:
    """`breakglass stop ... 2>&1 | head -1`, or a terminal that hung up."""

    def gone(_event: StepEvent) -> None:
        raise BrokenPipeError

    cloud = FakeCloud(CLOCK, {"bot-0": {"key": True}})

    assert carried_out(tmp_path, quick(plan_for(FakeProvider(cloud))), FakeProvider(cloud), gone)[0].is_proven


def test_a_screen_that_is_stuck_does_not_hold_the_stop_up(tmp_path: Path) -> None:
    """Ctrl-S at the terminal, or a pipe that nobody reads."""
    release = threading.Event()
    cloud = FakeCloud(CLOCK, {"bot-0": {"key": True}})
    telling = Telling(lambda _event: (release.wait(20), None)[1])
    started_s = time.monotonic()

    history = carried_out(tmp_path, quick(plan_for(FakeProvider(cloud))), FakeProvider(cloud), telling)[0]
    telling.close()

    assert history.is_proven
    assert time.monotonic() - started_s < 18
    release.set()


def test_every_event_reaches_a_screen_that_works() -> None:
    """In order, before `close` returns."""
    seen: list[StepEvent] = []
    telling = Telling(seen.append)
    events = [StepEvent(n, "calling", "", 0.0) for n in range(100)]
    for event in events:
        telling(event)
    telling.close()

    assert events == seen


def test_a_restore_that_says_nothing_of_what_it_was_to_put_back_is_unknown(tmp_path: Path) -> None:
    """No outcome at all is not "nothing to put back"."""
    from breakglass.execute.restore import _judge
    from breakglass.provider import Reversal

    assert tmp_path
    assert Verdict.UNKNOWN is _judge(State({"key": True}), Reversal({}, "read nothing"), {}).verdict
    assert Verdict.CONTAINED is _judge(State({}), Reversal({}, "nothing there"), {}).verdict
    assert issubclass(ProviderError, Exception)
