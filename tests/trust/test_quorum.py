"""The quorum campaign, people: one is not two, whatever one brings; and who may sign at all."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import breakglass
from breakglass.authorise.counting import QuorumNotMet, SignatureFile
from breakglass.canon import sha256
from breakglass.keys import sshsig
from breakglass.keys.public_key import PublicKey
from breakglass.keys.secret_key import SecretKey
from breakglass.model.roster import KeyStore, OperatorKey
from breakglass.testing.operators import MemorySigner
from tests.trust.fido import Token
from tests.trust.team import NOON, ORG, Team, make_team


@pytest.fixture
def team() -> Team:
    return make_team()


def test_two_persons_are_enough(team: Team) -> None:
    """The one good path: two persons with a right role signed these bytes."""
    data = team.plan.to_bytes()

    authorised = team.authorise(team.sign(team.alice, team.bob))

    assert (data, sha256(data), team.plan) == (authorised.raw, authorised.digest, authorised.plan)
    assert ["alice@example.com", "bob@example.com"] == [item.person for item in authorised.signers]
    assert team.alice.signer.public_line == PublicKey.parse(team.alice.signer.public_line).line


def test_a_drill_runs_in_a_drill() -> None:
    """Plan, roster and kit agree that this is a drill."""
    team = make_team(drill=True)

    assert team.authorise(team.sign(team.alice, team.bob)).plan.drill


# One person is not two.


def test_one_signature(team: Team) -> None:
    """One person is one person."""
    assert "1 of 2 persons signed; 1 more of responder, approver, commander must sign" == team.refusal(
        team.sign(team.alice)
    )


def test_no_signature(team: Team) -> None:
    """Silence is no."""
    with pytest.raises(QuorumNotMet) as caught:
        team.authorise([])

    assert (2, ()) == (caught.value.verdict.missing, caught.value.verdict.signed)


def test_a_duplicate_signature(team: Team) -> None:
    """The same file twice, and two signings by one key, are one person."""
    once = team.sign(team.alice)

    assert "1 of 2 persons signed" in team.refusal(once + once)
    assert "1 of 2 persons signed" in team.refusal(team.sign(team.alice, team.alice))


def test_one_human_with_two_keys(team: Team) -> None:
    """Two good signatures by two keys of Alice: people are counted, not keys."""
    second = MemorySigner(SecretKey.generate())
    entry = OperatorKey(second.public_line, KeyStore.FILE, NOON.plus(1000))
    person = dataclasses.replace(team.alice.person, keys=(*team.alice.person.keys, entry))
    team = team.with_roster(operators=(person, *team.roster.operators[1:]))

    assert "1 of 2 persons signed" in team.refusal(team.sign(team.alice, second))


def test_one_key_for_two_people(team: Team) -> None:
    """One public key listed under two names authorises nothing at all."""
    twin = dataclasses.replace(team.bob.person, person="mallory@example.com", keys=team.alice.person.keys)
    team = team.with_roster(operators=(*team.roster.operators, twin))

    assert "one key for two people" in team.refusal(team.sign(team.alice, team.bob))


def test_one_key_in_two_spellings() -> None:
    """Base64 with odd last bits names the same key: blobs are compared, not lines."""
    token = Token()
    line = token.public_line
    odd = f"{line[:-2]}{chr(ord(line[-2]) + 1)}="
    team = make_team(signers=[token, None, None])
    entry = dataclasses.replace(team.alice.person.keys[0], pub=odd)
    twin = dataclasses.replace(team.carol.person, keys=(entry,))
    team = team.with_roster(operators=(team.alice.person, team.bob.person, twin))

    assert line.endswith("=")
    assert line != odd
    assert "one key for two people" in team.refusal(team.sign(team.alice, team.bob))


def test_one_person_listed_twice_counts_once(team: Team) -> None:
    """Two entries of one name are one person, whatever keys they hold."""
    twin = dataclasses.replace(team.bob.person, person=team.alice.name)
    team = team.with_roster(operators=(team.alice.person, twin))

    assert "1 of 2 persons signed" in team.refusal(team.sign(team.alice, team.bob))


# Who signed.


def test_an_observer(team: Team) -> None:
    """A role outside of the rule does not count."""
    assert "oscar@example.com has none of the roles responder, approver, commander" in team.refusal(
        team.sign(team.alice, team.oscar)
    )


def test_a_stranger(team: Team) -> None:
    """A good signature by a key that nobody enrolled."""
    assert "is not in the roster" in team.refusal(team.sign(team.alice, MemorySigner(SecretKey.generate())))


def test_the_executor_is_no_person(team: Team) -> None:
    """The log key of the executor cannot stand in for somebody."""
    assert "is not in the roster" in team.refusal(team.sign(team.alice, team.log_signer))


def test_a_revoked_key(team: Team) -> None:
    """A fingerprint on the list of revoked keys never counts again."""
    fingerprint = PublicKey.parse(team.bob.signer.public_line).fingerprint
    team = team.with_roster(revoked_keys=(fingerprint,))

    assert f"key {fingerprint} of bob@example.com is revoked" in team.refusal(team.sign(team.alice, team.bob))


def test_an_expired_key(team: Team) -> None:
    """A key counts until its last moment, and not at it."""
    keys = (dataclasses.replace(team.bob.person.keys[0], not_after=NOON),)
    person = dataclasses.replace(team.bob.person, keys=keys)
    team = team.with_roster(operators=(team.alice.person, person, team.carol.person))

    assert "of bob@example.com expired at 2026-01-01T00:00:00.000Z" in team.refusal(
        team.sign(team.alice, team.bob)
    )


_TEAM = make_team()
_SECOND = MemorySigner(SecretKey.generate())
_STRANGER = MemorySigner(SecretKey.generate())


def _property_team() -> Team:
    """Return a team in which Alice has a second key."""
    entry = OperatorKey(_SECOND.public_line, KeyStore.FILE, NOON.plus(1000))
    alice = dataclasses.replace(_TEAM.alice.person, keys=(*_TEAM.alice.person.keys, entry))
    return _TEAM.with_roster(operators=(alice, *_TEAM.roster.operators[1:]))


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.sampled_from(["alice", "alice2", "bob", "carol", "oscar", "stranger", "forged"]), max_size=8)
)
def test_nothing_is_authorised_by_fewer_than_two_persons(who: list[str]) -> None:
    """Whatever mixture of signatures arrives, in any order: only different persons with a role count."""
    team = _property_team()
    forged = SignatureFile("bob.sig", team.bob.signer.sign(b"another plan", sshsig.namespace("plan", ORG)))
    files = {
        "alice": team.sign(team.alice)[0],
        "alice2": team.sign(_SECOND)[0],
        "bob": team.sign(team.bob)[0],
        "carol": team.sign(team.carol)[0],
        "oscar": team.sign(team.oscar)[0],
        "stranger": team.sign(_STRANGER)[0],
        "forged": forged,
    }
    honest = {f"{name.rstrip('2')}@{ORG}" for name in who} & {
        f"{name}@{ORG}" for name in ("alice", "bob", "carol")
    }

    verdict = team.count([files[name] for name in who])

    assert honest == {signed.person for signed in verdict.signed}
    assert (len(honest) >= 2) == verdict.met
    assert max(0, 2 - len(honest)) == verdict.missing


def test_only_the_quorum_makes_an_authorised_plan() -> None:
    """No other file of the product calls the constructor."""
    root = Path(breakglass.__file__).parents[1]
    files = [*root.glob("breakglass/**/*.py"), *root.glob("providers/*/src/**/*.py")]
    found = [
        path.relative_to(root).as_posix()
        for path in files
        if re.search(r"(?<!class )\bAuthorisedPlan\(", path.read_text())
    ]

    assert ["breakglass/authorise/quorum.py"] == found
