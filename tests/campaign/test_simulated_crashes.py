"""Crashes under a virtual clock: killed at every write, and again at every write of the resume after it."""

from __future__ import annotations

import itertools

import pytest

from breakglass.model.action import Verdict
from breakglass.testing.fake_cloud import Faults
from breakglass.verify.judge import assess
from tests.engine.worlds import Run, world

pytestmark = [pytest.mark.simulation, pytest.mark.timeout(3600)]

FEWEST = 200
"""So many pairs each variant must come to, or the world has become too small to say anything."""
SEEDS, MANY_SEEDS = 2, 60


def twice_killed(seed: int, first: int, second: int, *, lose: bool, faults: Faults) -> tuple[Run, bool, bool]:
    """Run to the end over two crashes; return the run, and whether each of them came to pass."""
    run = world(seed, faults=faults)
    died = not run.process(die_after=first, lose=lose)
    died_again = died and not run.process(die_after=second, lose=lose)
    while not run.process():
        pass
    return run, died, died_again


@pytest.mark.parametrize("lose", [False, True], ids=["after the write", "before the write"])
@pytest.mark.parametrize("trouble", [0.0, 0.2], ids=["quiet", "faulty"])
def test_two_crashes_in_a_row_lose_nothing_and_do_nothing_twice(
    trouble: float,
    *,
    lose: bool,
    full: bool,
) -> None:
    """At every pair of kill points: contained, truly so, proven step by step, with each prior state kept."""
    pairs = 0
    faults = Faults(transient=trouble, lost_answer=trouble)
    for seed in range(MANY_SEEDS if full else SEEDS):
        for first in itertools.count(1):
            for second in itertools.count(1):
                run, died, died_again = twice_killed(seed, first, second, lose=lose, faults=faults)
                if not died_again:
                    break
                pairs += 1
                where = f"seed {seed}, killed at {first}, then at {second}"
                assert [] == wrong(run), where
            if not died:
                break
    assert pairs >= FEWEST


def wrong(run: Run) -> list[str]:
    """Say what two crashes did to a run that they should not have."""
    histories = run.histories()
    found = []
    if assess(run.plan, histories).verdict is not Verdict.CONTAINED:
        found.append("not contained")
    for step in run.plan.steps:
        user = step.target.id
        if run.provider.cloud.accepts(user):
            found.append(f"a key of {user} still works")
        number = int(user.removeprefix("bot-"))
        before = {f"key-{number}-a": {"active": True}, f"key-{number}-b": {"active": number % 2 == 0}}
        if before != dict(histories[step.n].prior):
            found.append(f"the prior state of {user} became {dict(histories[step.n].prior)}")
        if not histories[step.n].is_proven:
            found.append(f"step {step.n} was not proven")
    return found
