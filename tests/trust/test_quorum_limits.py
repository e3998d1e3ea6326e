"""The quorum campaign, limits: when, where, under which roster and rule a plan may run."""

from __future__ import annotations

import dataclasses

import pytest

from breakglass.model.plan import Activation, Mode, Verb
from breakglass.model.roster import RuleVerb
from breakglass.testing.operators import trust
from tests.trust.team import NOON, Team, make_team


@pytest.fixture
def team() -> Team:
    return make_team()


def test_an_expired_plan(team: Team) -> None:
    """It ends at the moment that it names."""
    assert "the plan expired at 2026-01-01T00:15:00.000Z" in team.refusal(
        team.sign(team.alice, team.bob), now=NOON.plus(900)
    )


def test_an_early_plan(team: Team) -> None:
    """Two minutes of skew are allowed, and no more."""
    signatures = team.sign(team.alice, team.bob)

    assert "the plan does not hold before 2026-01-01T00:00:00.000Z" in team.refusal(
        signatures, now=NOON.plus(-121)
    )
    assert team.authorise(signatures, now=NOON.plus(-119))


def test_a_plan_that_would_hold_for_too_long(team: Team) -> None:
    """The rule caps the life of signatures; a plan that ends before it begins has none."""
    long, never = team.with_plan(expires=NOON.plus(1801)), team.with_plan(expires=NOON)

    assert "the plan would hold for 1801 s, the rule allows 1800 s" == long.refusal(
        long.sign(long.alice, long.bob)
    )
    assert "the plan would hold for 0 s" in never.refusal(never.sign(never.alice, never.bob))


def test_a_clock_behind_our_own_records(team: Team) -> None:
    """Somebody turned the clock back to revive a plan."""
    team = team.with_limits(last_record_at=NOON.plus(121))

    assert "the clock says 2026-01-01T00:00:00.000Z, which is before the last record" in team.refusal(
        team.sign(team.alice, team.bob)
    )
    assert team.with_limits(last_record_at=NOON.plus(119)).authorise(team.sign(team.alice, team.bob))


def test_an_expired_roster(team: Team) -> None:
    """A frozen roster stops counting."""
    team = team.with_roster(expires=NOON)

    assert "roster version 1 expired at" in team.refusal(team.sign(team.alice, team.bob))


def test_a_resume_is_judged_as_of_its_start(team: Team) -> None:
    """A plan that was started in time may be resumed after it expired, within its own run time."""
    signatures = team.sign(team.alice, team.bob)
    resumed = team.with_limits(started_at=NOON.plus(60))

    assert resumed.authorise(signatures, now=NOON.plus(3600))
    assert "may run for 3600 s" in resumed.refusal(signatures, now=NOON.plus(3661))


def test_another_executor(team: Team) -> None:
    """Only the first executor may start; a later one needs a take-over."""
    other = team.with_plan(executors=("example.com/laptop",))
    later = team.with_plan(executors=("example.com/laptop", team.limits.executor))
    none = team.with_plan(executors=())

    for one in (other, later):
        assert "may only be started by example.com/laptop; this is example.com/ops-bastion-1" in one.refusal(
            one.sign(one.alice, one.bob)
        )
    assert "names no executor" in none.refusal(none.sign(none.alice, none.bob))


def test_an_executor_that_nobody_enrolled(team: Team) -> None:
    """The machine must be in the roster, not only in the plan."""
    team = team.with_roster(executors=())

    assert "is not in the roster" in team.refusal(team.sign(team.alice, team.bob))


def test_a_foreign_roster(team: Team) -> None:
    """A plan made for one roster does not run under another, even of the same version."""
    stranger = make_team()
    mixed = dataclasses.replace(team, trusted=stranger.trusted, roster=stranger.roster)

    assert "the plan was made for roster version 1" in mixed.refusal(mixed.sign(team.alice, team.bob))


def test_a_plan_for_an_older_roster(team: Team) -> None:
    """After the roster moved on, the plan is made and signed again."""
    newer = dataclasses.replace(team.roster, version=2, previous=team.trusted.sha256)
    moved = dataclasses.replace(team, trusted=trust(newer))

    assert "the plan was made for roster version 1" in moved.refusal(moved.sign(team.alice, team.bob))


def test_a_roster_that_was_changed_after_it_was_verified(team: Team) -> None:
    """The digest that the chain proved is compared with the roster that is used."""
    edited = dataclasses.replace(team.roster, operators=team.roster.operators[:2])
    forged = dataclasses.replace(team.trusted, roster=edited)
    team = dataclasses.replace(team, trusted=forged)

    assert "the roster is not the one that was verified" == team.refusal(team.sign(team.alice, team.bob))


def test_a_verb_without_a_rule(team: Team) -> None:
    """No rule is no."""
    rules = tuple(rule for rule in team.roster.rules if rule.verb is not RuleVerb.CONTAIN)
    team = team.with_roster(rules=rules)

    assert "the roster has no rule for contain" == team.refusal(team.sign(team.alice, team.bob))


def test_a_restore_follows_the_rule_for_restore(team: Team) -> None:
    """Each verb has its own rule: three persons to restore, two to contain."""
    rules = tuple(
        dataclasses.replace(rule, people=3) if rule.verb is RuleVerb.RESTORE else rule
        for rule in team.roster.rules
    )
    team = team.with_roster(rules=rules).with_plan(verb=Verb.RESTORE)

    assert "2 of 3 persons signed" in team.refusal(team.sign(team.alice, team.bob))
    assert team.authorise(team.sign(team.alice, team.bob, team.carol))


@pytest.mark.parametrize(
    ("plan", "roster", "kit"),
    [
        (True, False, False),
        (False, True, False),
        (False, False, True),
        (True, True, False),
        (False, True, True),
    ],
)
def test_a_drill_and_the_real_thing_do_not_mix(team: Team, *, plan: bool, roster: bool, kit: bool) -> None:
    """A throwaway roster signs nothing real, and a real one no drill."""
    mixed = team.with_roster(drill=roster).with_plan(drill=plan).with_limits(drill=kit)

    assert "a drill and the real thing do not mix" in mixed.refusal(mixed.sign(mixed.alice, mixed.bob))


def test_an_action_that_this_build_does_not_know(team: Team) -> None:
    """Nothing is signed for that could not be run."""
    team = team.with_limits(known_actions=frozenset({"host.cgroup.freeze_tree"}))

    assert "step 0 wants fake.thing.stop, which this build does not know" == team.refusal(
        team.sign(team.alice, team.bob)
    )


def test_a_mode_that_was_not_asked_for(team: Team) -> None:
    """A plan signed ahead does not run as an ordinary one, nor the other way round."""
    standing = team.with_plan(mode=Mode.STANDING)
    asked = team.with_limits(mode=Mode.STANDING)

    assert "the plan is of mode standing, the command of mode execute" == standing.refusal(
        standing.sign(standing.alice, standing.bob)
    )
    assert "the plan is of mode execute, the command of mode standing" == asked.refusal(
        asked.sign(asked.alice, asked.bob)
    )


def test_an_ordinary_plan_is_not_started_by_a_machine(team: Team) -> None:
    """Only a standing plan may say that the executor activates it."""
    team = team.with_plan(activation=Activation.EXECUTOR)

    assert "only a standing plan may be activated by the executor" == team.refusal(
        team.sign(team.alice, team.bob)
    )
