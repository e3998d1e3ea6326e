"""Standing plans: two earlier signatures, and a third that binds a real incident."""

from __future__ import annotations

import dataclasses

import pytest

from breakglass.authorise.activation import ActivationStatement, SignedActivation
from breakglass.canon import sha256
from breakglass.clock import Instant
from breakglass.keys.signer import Signer
from breakglass.keys.sshsig import namespace
from breakglass.model.plan import Activation, Mode, Verb
from tests.trust.team import EXECUTOR, NOON, ORG, Team, make_team


@pytest.fixture
def team() -> Team:
    return (
        make_team()
        .with_plan(mode=Mode.STANDING, expires=NOON.plus(6 * 86_400))
        .with_limits(mode=Mode.STANDING)
    )


def activated(
    team: Team, signer: Signer, by: str, *, at: Instant = NOON, plan: str = "", kind: str = "activation"
) -> Team:
    """Return the team with an activation of its plan."""
    digest = plan or sha256(team.plan.to_bytes())
    document = ActivationStatement.of(digest, "INC-4711", by, at).to_bytes()
    signed = SignedActivation(document, signer.sign(document, namespace(kind, ORG)))
    return team.with_limits(activation=signed)


def test_a_standing_plan_runs_on_a_third_signature(team: Team) -> None:
    """Signed by two, activated by a third, six days before it ends."""
    team = activated(team, team.carol.signer, team.carol.name)

    assert team.authorise(team.sign(team.alice, team.bob))


def test_a_standing_plan_does_not_run_by_itself(team: Team) -> None:
    """Two old signatures are not enough."""
    assert "a standing plan needs a signed activation" == team.refusal(team.sign(team.alice, team.bob))


def test_an_activation_does_not_replace_the_second_person(team: Team) -> None:
    """One person signed the plan, another activated it: that is one signature under the plan."""
    team = activated(team, team.bob.signer, team.bob.name)

    assert "1 of 2 persons signed" in team.refusal(team.sign(team.alice))


def test_an_activation_binds_one_plan(team: Team) -> None:
    """It does not move to another standing plan."""
    team = activated(team, team.carol.signer, team.carol.name, plan="0" * 64)

    assert "the activation is for another plan" == team.refusal(team.sign(team.alice, team.bob))


def test_an_activation_is_fresh(team: Team) -> None:
    """An old one cannot be kept for later."""
    team = activated(team, team.carol.signer, team.carol.name, at=NOON.plus(-901))

    assert "the activation was given at" in team.refusal(team.sign(team.alice, team.bob))


def test_an_activation_is_signed_by_whom_it_names(team: Team) -> None:
    """Neither an observer, nor Bob in Carol's name, nor a signature for another purpose."""
    observer = activated(team, team.oscar.signer, team.oscar.name)
    other = activated(team, team.bob.signer, team.carol.name)
    foreign = activated(team, team.carol.signer, team.carol.name, kind="plan")

    for one in (observer, other, foreign):
        assert "the activation is not signed by" in one.refusal(one.sign(team.alice, team.bob))


def test_a_machine_activates_only_where_the_plan_says_so(team: Team) -> None:
    """The log key of the executor starts a plan of activation executor, and no other."""
    machine = team.with_plan(activation=Activation.EXECUTOR)
    good = activated(machine, team.log_signer, EXECUTOR)
    person = activated(machine, team.carol.signer, team.carol.name)
    wrong = activated(team, team.log_signer, EXECUTOR)

    assert good.authorise(good.sign(team.alice, team.bob))
    assert f"not signed by executor {EXECUTOR}" in person.refusal(person.sign(team.alice, team.bob))
    assert "the activation is not signed by" in wrong.refusal(wrong.sign(team.alice, team.bob))


def test_only_a_stop_is_signed_ahead(team: Team) -> None:
    """No standing restore."""
    team = team.with_plan(verb=Verb.RESTORE)

    assert "only a stop may be signed ahead" == team.refusal(team.sign(team.alice, team.bob))


def test_a_standing_plan_has_its_own_longest_life(team: Team) -> None:
    """The roster says for how long, and zero means never."""
    rules = tuple(dataclasses.replace(rule, standing_max_ttl_s=0) for rule in team.roster.rules)
    team = team.with_roster(rules=rules)

    assert "the rule allows 0 s" in team.refusal(team.sign(team.alice, team.bob))
