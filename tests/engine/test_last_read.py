"""Before a run is sealed every proven step is read once more: what was undone meanwhile is not contained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from breakglass.journal.history import replay
from breakglass.journal.reader import read_journal
from breakglass.journal.writer import Journal
from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind
from breakglass.provider import Provider
from breakglass.testing.fake_cloud import FakeProvider, Faults
from breakglass.usecases.last_read import read_once_more
from breakglass.verify.judge import assess
from tests.engine.test_threads import CLOCK, cloud, quick, run
from tests.engine.worlds import plan_for


@pytest.mark.parametrize(
    ("undone", "reads", "expected"),
    [(False, True, Verdict.CONTAINED), (True, True, Verdict.NOT_CONTAINED), (False, False, Verdict.UNKNOWN)],
)
def test_a_proof_that_no_longer_holds_is_taken_back(
    tmp_path: Path, *, undone: bool, reads: bool, expected: Verdict
) -> None:
    """The agent makes its key work again after the proof; or the cloud cannot be read any more."""
    world = cloud(2)
    provider: Provider = FakeProvider(world)
    plan = quick(plan_for(FakeProvider(world)))
    _, histories = run(tmp_path, plan, provider)
    assert assess(plan, histories).verdict is Verdict.CONTAINED

    if undone:
        world.set_key("bot-1", "key-1", active=True)
    if not reads:
        world.faults = Faults(transient=1.0)
    with Journal.reopen(tmp_path / "journal.jsonl", CLOCK) as journal:
        read_once_more(plan, histories, journal, {0: provider})

    after = replay(read_journal(tmp_path / "journal.jsonl").records)
    assert expected is assess(plan, after).verdict


def test_a_step_whose_provider_is_gone_cannot_be_read_again(tmp_path: Path) -> None:
    """No connection is no answer: unknown."""
    world = cloud(1)
    plan = quick(plan_for(FakeProvider(world)))
    _, histories = run(tmp_path, plan, FakeProvider(world))

    with Journal.reopen(tmp_path / "journal.jsonl", CLOCK) as journal:
        read_once_more(plan, histories, journal, {})

    after = replay(read_journal(tmp_path / "journal.jsonl").records)
    assert Verdict.UNKNOWN is assess(plan, after).verdict


@pytest.mark.parametrize(("closes_a_door", "expected"), [(False, Verdict.CONTAINED), (True, Verdict.UNKNOWN)])
def test_what_a_later_proof_made_moot_is_not_read_again(
    tmp_path: Path, *, closes_a_door: bool, expected: Verdict
) -> None:
    """Once the second step has ended all, it does not matter that the first one's rules went with it.

    Unless a door counts on the first one.
    """
    world = cloud(2)
    provider: Provider = FakeProvider(world)
    plan = quick(plan_for(FakeProvider(world)))
    first, second = plan.steps
    door = Door(DoorKind.TOOL, "refund", "open until then", "", "", (0,), Verdict.UNKNOWN)
    plan = replace(plan, steps=(replace(first, moot_by=(1,)), second), doors=(door,) if closes_a_door else ())
    _, histories = run(tmp_path, plan, provider)
    world.set_key("bot-0", "key-0", active=True)
    with Journal.reopen(tmp_path / "journal.jsonl", CLOCK) as journal:
        read_once_more(plan, histories, journal, {0: provider})

    after = replay(read_journal(tmp_path / "journal.jsonl").records)
    assert closes_a_door is (after[0].verdict is not Verdict.CONTAINED)
    assert expected is assess(plan, after).verdict


def test_two_steps_that_make_each_other_moot_are_both_read_again(tmp_path: Path) -> None:
    """A host that lies in a plan cannot keep its steps from the last look."""
    world = cloud(2)
    provider: Provider = FakeProvider(world)
    plan = quick(plan_for(FakeProvider(world)))
    first, second = plan.steps
    plan = replace(plan, steps=(replace(first, moot_by=(1,)), replace(second, moot_by=(0,))))
    _, histories = run(tmp_path, plan, provider)
    for n in range(2):
        world.set_key(f"bot-{n}", f"key-{n}", active=True)
    with Journal.reopen(tmp_path / "journal.jsonl", CLOCK) as journal:
        read_once_more(plan, histories, journal, {0: provider})

    after = replay(read_journal(tmp_path / "journal.jsonl").records)
    assert Verdict.NOT_CONTAINED is assess(plan, after).verdict
