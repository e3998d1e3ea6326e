"""The quorum campaign, hardware: touch, PIN and application of FIDO tokens."""

from __future__ import annotations

import dataclasses

import pytest

from breakglass.model.roster import KeyStore, OperatorKey
from tests.trust.fido import TOUCHED, VERIFIED, Token
from tests.trust.team import NOON, Team, make_team


def hardware_team(flags: int = TOUCHED, *, hardware: int = 2, verification: bool = False) -> Team:
    """Return a team with tokens, under a rule that wants them."""
    team = make_team(signers=[Token(flags=flags), Token.ecdsa(flags), None])
    rules = tuple(
        dataclasses.replace(rule, hardware=hardware, user_verification=verification)
        for rule in team.roster.rules
    )
    return team.with_roster(rules=rules)


def test_two_tokens_fulfil_a_rule_for_two_tokens() -> None:
    """Ed25519 and P-256 tokens count as hardware when they were touched."""
    team = hardware_team()

    assert [True, True] == [item.hardware for item in team.authorise(team.sign(team.alice, team.bob)).signers]


@pytest.mark.parametrize("untouched", [Token(flags=0), Token.ecdsa(flags=0)], ids=["ed25519", "ecdsa"])
def test_no_touch(untouched: Token) -> None:
    """A token that nobody touched does not count, under any rule; ssh-keygen would say good."""
    team = make_team(signers=[None, untouched, None])

    assert "the device of bob@example.com was not touched" in team.refusal(team.sign(team.alice, team.bob))


def test_too_few_hardware_signers() -> None:
    """Two persons signed, one of them in software."""
    team = hardware_team()

    assert "2 of 2 persons signed; 1 more must sign with a hardware key" == team.refusal(
        team.sign(team.alice, team.carol)
    )


def test_no_pin_where_the_rule_wants_one() -> None:
    """Touch alone does not fulfil a rule for user verification; touch and PIN do."""
    without, having = (hardware_team(flags, verification=True) for flags in (TOUCHED, TOUCHED | VERIFIED))

    assert "asked for no PIN, which contain demands" in without.refusal(
        without.sign(without.alice, without.bob)
    )
    assert having.authorise(having.sign(having.alice, having.bob))


def test_a_token_of_another_application() -> None:
    """The same key pair under another application is another key."""
    token = Token()
    other = Token(application="ssh:other", _private=token._private)  # noqa: SLF001 - the same key pair
    team = make_team(signers=[None, token, None])

    assert "is not in the roster" in team.refusal(team.sign(team.alice, other))


def test_a_second_key_of_a_person_may_be_the_hardware_one() -> None:
    """A person who signed in software and with a token counts as a holder of hardware."""
    token = Token()
    team = hardware_team(hardware=2)
    entry = OperatorKey(token.public_line, KeyStore.FIDO2, NOON.plus(1000))
    carol = dataclasses.replace(team.carol.person, keys=(*team.carol.person.keys, entry))
    team = team.with_roster(operators=(team.alice.person, carol))

    assert team.count(team.sign(team.carol, team.alice, token)).met
