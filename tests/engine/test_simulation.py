"""The engine under a virtual clock and a seeded scheduler, against a cloud that lies, lags and fights."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breakglass.model.action import Verdict
from breakglass.testing.fake_cloud import FakeCloud, Faults
from breakglass.verify.judge import assess
from tests.engine.worlds import Run, world


def verdict(run: Run) -> Verdict:
    """Return what the run would tell the operator."""
    return assess(run.plan, run.histories()).verdict


def still_works(run: Run) -> list[str]:
    """Return the users with a key that the cloud still accepts: the truth."""
    return [user for user in run.provider.cloud.users if run.provider.cloud.accepts(user)]


def test_a_plain_stop_ends_contained_and_it_is_true() -> None:
    """No fault, no lag: every key is off and every step is proven as the agent."""
    run = world(1)

    assert run.process()

    assert (Verdict.CONTAINED, []) == (verdict(run), still_works(run))


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    lag_s=st.sampled_from([0.0, 0.4, 0.9]),
    transient=st.sampled_from([0.0, 0.2]),
    throttled=st.sampled_from([0.0, 0.2]),
    lie=st.sampled_from([0.0, 0.3, 1.0]),
    lost_answer=st.sampled_from([0.0, 0.3]),
)
def test_contained_is_only_said_when_it_is_true(
    seed: int, lag_s: float, transient: float, throttled: float, lie: float, lost_answer: float
) -> None:
    """Whatever the cloud does, a run that says contained leaves no working key."""
    faults = Faults(transient=transient, throttled=throttled, lie=lie, lost_answer=lost_answer)
    run = world(seed, lag_s=lag_s, faults=faults)

    run.process()

    assert verdict(run) is not Verdict.CONTAINED or still_works(run) == []


def test_a_platform_that_answers_ok_and_does_nothing_is_not_contained() -> None:
    """A lie on every call ends as an open door, never as contained."""
    run = world(2, faults=Faults(lie=1.0))

    run.process()

    assert verdict(run) is Verdict.NOT_CONTAINED


def test_a_refused_call_on_an_open_door_is_not_contained() -> None:
    """The executor lacks the right: what was read as open stays open, and nothing is retried for ever."""
    run = world(3, faults=Faults(denied=True))

    run.process()

    assert verdict(run) is Verdict.NOT_CONTAINED
    assert run.clock.monotonic_s() < 5


def minting(keys: int) -> object:
    """Return an agent that makes a new key whenever somebody looks, so many times."""
    left = [keys]

    def rogue(cloud: FakeCloud) -> None:
        if left[0] and cloud.accepts("bot-0"):
            left[0] -= 1
            cloud.set_key("bot-0", f"minted-{left[0]}", active=True)

    return rogue


@pytest.mark.parametrize("lag_s", [0.0, 0.5, 0.9])
def test_keys_minted_between_signature_and_execution_are_covered_and_recorded_first(lag_s: float) -> None:
    """The container was signed, not the keys: each minted key is in an intent before it is touched."""
    run = world(4, lag_s=lag_s, rogue=minting(5))

    run.process()

    history = run.histories()[0]
    minted = {key for key in run.provider.cloud.users["bot-0"] if key.startswith("minted")}
    assert (Verdict.CONTAINED, []) == (verdict(run), still_works(run))
    assert minted <= history.applied


def test_an_agent_that_mints_for_ever_is_never_called_contained() -> None:
    """Rounds end at the deadline; the last read stands."""
    run = world(5, rogue=minting(10**9))

    run.process()

    assert verdict(run) is not Verdict.CONTAINED


def records_of_a_whole_run(seed: int) -> int:
    """Return how many records a run without crashes writes."""
    run = world(seed)
    run.process()
    assert run.journal is not None
    return len(run.journal.records)


@pytest.mark.parametrize("lose", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_killed_at_every_write_and_again_while_resuming_nothing_is_lost_or_done_twice(
    seed: int, *, lose: bool
) -> None:
    """The crash campaign: over 200 kill points, each followed by a second one; `lose`: before the write."""
    total = records_of_a_whole_run(seed)
    points = range(1, total + 1)
    for point in points:
        run = world(seed)
        keys_before = {user: dict(keys) for user, keys in run.provider.cloud.users.items()}
        if not run.process(die_after=point, lose=lose):
            run.process(die_after=random.Random(point).randint(1, 6), lose=lose)
        while not run.process():
            pass

        assert (Verdict.CONTAINED, []) == (verdict(run), still_works(run))
        for step in run.plan.steps:
            history = run.histories()[step.n]
            before = {key: {"active": on} for key, on in keys_before[step.target.id].items()}
            assert before == dict(history.prior)
        users = [user for call, user, _ in run.provider.cloud.calls if call == "apply"]
        assert sorted(run.provider.cloud.users) == sorted(users)


def test_no_change_is_made_before_its_intent_is_durable() -> None:
    """Kill right after each record: the cloud never shows a change without an intent that names it."""
    total = records_of_a_whole_run(7)
    for point in range(1, total + 1):
        run = world(7)
        before = {user: dict(keys) for user, keys in run.provider.cloud.users.items()}
        run.process(die_after=point)
        changed = {
            key
            for user, keys in run.provider.cloud.users.items()
            for key, on in keys.items()
            if before[user].get(key) != on
        }
        intended = {key for history in run.histories().values() for key in history.applied}

        assert changed <= intended
