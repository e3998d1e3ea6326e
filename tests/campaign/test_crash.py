"""The crash campaign: a real stop is killed at every write of its journal, and `resume` ends it the same."""

from __future__ import annotations

import random

import pytest

from tests.campaign.conftest import MakeWorld
from tests.campaign.executor import Executor
from tests.campaign.outcome import Outcome, complaints, outcome, restore, unlike
from tests.campaign.world import World

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(3600)]

SAMPLE = {"before": (1, 5, 13, 32), "after": (1, 4, 9, 54), "rename": (7, 19)}
"""The kill points of the ordinary run: each kind of record, and the seal."""
LAST = 100
"""More writes than a stop makes; points beyond its end are left out."""
MOST_RESUMES = 5


@pytest.fixture(scope="module")
def undisturbed(make_world: MakeWorld, one_executor: Executor) -> Outcome:
    """Stop an agent without a crash."""
    with make_world() as world:
        world.make_plan()
        ended = one_executor.stop(world)
        assert 0 == ended.code, ended.said
        assert [] == complaints(world)
        return outcome(world)


def test_an_undisturbed_stop_is_proven_and_goes_back_byte_for_byte(
    undisturbed: Outcome, make_world: MakeWorld, one_executor: Executor
) -> None:
    """What every crash is compared with: contained, every step proven, nothing of the agent left."""
    with make_world() as world:
        plan = world.make_plan()
        one_executor.stop(world)

        assert [] == unlike(undisturbed, outcome(world))
        assert "contained" == undisturbed.verdict
        assert {"contained"} == {verdict for verdict, _, _ in undisturbed.steps.values()}
        assert [step.n for step in plan.steps] == sorted(undisturbed.steps)
        assert (0, (False, False), False) == (
            undisturbed.processes,
            undisturbed.tokens_active,
            undisturbed.client_enabled,
        )
        assert "reject" in undisturbed.rules
        assert (1, 1) == (undisturbed.claims, undisturbed.seals)
        assert () == restore(world)
        assert world.can_mint()


@pytest.mark.parametrize("mode", SAMPLE)
def test_killed_at_a_write_a_stop_is_ended_by_resume_as_if_nothing_had_happened(
    mode: str,
    undisturbed: Outcome,
    make_world: MakeWorld,
    one_executor: Executor,
    full: bool,  # noqa: FBT001 - a fixture
) -> None:
    """Killed right before and right after every record, and before every file: the same end, each time.

    Every second one is killed once more while it resumes. The end is compared in the world (processes,
    rules, tokens, client, files) and on the record (verdict, steps, prior states, claim, seal), and the
    undo puts every file back.
    """
    kills = twice = 0
    for point in range(1, LAST) if full else SAMPLE[mode]:
        again = [mode, random.Random(point).randint(1, 6)] if point % 2 else None
        where = f"killed {mode} {point}, then {again}"
        with make_world() as world:
            world.make_plan()
            ended = one_executor.stop(world, die=[mode, point])
            if not ended.killed:
                assert 0 == ended.code, ended.said
                break
            kills += 1
            if not (world.incident / "journal.jsonl").exists():
                assert 2 == one_executor.resume(world).code
                assert untouched(world), where
                continue
            twice += resumed(one_executor, world, again)
            assert [] == complaints(world), where
            assert [] == unlike(undisturbed, outcome(world)), where
            assert () == restore(world), where
    print(f"{mode}: {kills} kill points, {twice} of them killed twice")  # noqa: T201 - the campaign's count


def test_killed_before_it_had_a_plan_there_is_nothing_to_resume(
    make_world: MakeWorld, one_executor: Executor
) -> None:
    """The word was given and nothing read yet: exit 2, and a new stop is what to type."""
    with make_world() as world:
        assert one_executor.ask(world, die=["after", 1]).killed

        ended = one_executor.resume(world)

        assert 2 == ended.code
        assert "before it had a plan" in ended.said
        assert untouched(world)


def test_killed_while_it_waited_for_signatures_the_same_plan_is_signed_and_resumed(
    undisturbed: Outcome, make_world: MakeWorld, one_executor: Executor
) -> None:
    """Too few signatures: exit 5 and nothing touched; with two of them the resume is the stop."""
    with make_world() as world:
        assert one_executor.ask(world, die=["after", 2]).killed
        early = one_executor.resume(world)
        assert (5, True) == (early.code, untouched(world))
        assert "0 of 2 persons signed" in early.said

        world.sign(world.incident / "plan.json", *world.operators[1:3])
        ended = one_executor.resume(world)

        assert 0 == ended.code, ended.said
        assert [] == complaints(world)
        assert [] == unlike(undisturbed, outcome(world))


def untouched(world: World) -> bool:
    """Return whether the agent works as before."""
    return len(world.processes()) == 3 and world.is_active("access_token") and world.can_mint()


def resumed(executor: Executor, world: World, die: list[object] | None) -> bool:
    """Resume until it ends, the first time killed as ordered; return whether that came to pass."""
    ended = executor.resume(world, **({"die": die} if die else {}))
    killed = ended.killed
    for _ in range(MOST_RESUMES):
        if not ended.killed:
            break
        ended = executor.resume(world)
    over = ended.code == 2 and "has ended" in ended.said
    assert ended.code == 0 or over, ended.said
    return killed
