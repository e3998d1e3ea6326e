"""Changing a roster from proposal to trust, and the keys of a person."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from breakglass.authorise.roster_chain import load_trusted
from breakglass.errors import MalformedInput, UsageError
from breakglass.keys.key_file import FileSigner
from breakglass.keys.public_key import PublicKey
from breakglass.keys.secret_key import SecretKey
from breakglass.model.roster import KeyStore, OperatorKey, RuleVerb
from breakglass.testing.operators import publish_roster
from breakglass.usecases import operator
from breakglass.usecases.kit_signing import roster_sign
from breakglass.usecases.roster import propose, roster_check
from breakglass.usecases.roster_changes import (
    AddKey,
    Change,
    RemoveExecutor,
    RemovePerson,
    RevokeKey,
    SetExecutor,
    SetRoles,
    SetRule,
)
from tests.trust.fido import Token, holding, serving
from tests.trust.team import ALL, NOON, Team, make_team

LATER = NOON.plus(3600)


@pytest.fixture
def team() -> Team:
    return make_team()


def new_line() -> str:
    return SecretKey.generate().public.line


def test_a_roster_goes_from_proposal_to_trust(tmp_path: Path, team: Team) -> None:
    """Dave joins: proposed by anybody, signed by two admins, trusted through the old anchor."""
    anchor = publish_roster(tmp_path, team.roster, [team.alice, team.bob])
    proposed = propose(tmp_path, [AddKey("dave@example.com", new_line(), ALL)], LATER)
    waiting = roster_check(tmp_path, LATER, anchor=anchor)
    for admin in (team.alice, team.carol):
        roster_sign(tmp_path, admin.signer, LATER)
    done = roster_check(tmp_path, LATER, anchor=anchor)

    assert (2, False, None) == (proposed.roster.version, proposed.amended, proposed.anchor)
    assert "roster version 2 is not signed by the admins of version 1" in waiting.unsigned[0]
    assert ((), (), True) == (done.unsigned, done.complaints, done.pinned)
    assert proposed.sha256 == load_trusted(tmp_path, anchor, 1, LATER).sha256


def test_an_unsigned_first_version_is_amended_in_place(tmp_path: Path, team: Team) -> None:
    """Then the anchor is another one, and the answer says so."""
    publish_roster(tmp_path, team.roster, [])
    proposed = propose(tmp_path, [AddKey("dave@example.com", new_line(), ALL)], LATER)

    assert (1, True) == (proposed.roster.version, proposed.amended)
    assert proposed.anchor is not None
    assert proposed.sha256 == proposed.anchor.roster_sha256


def test_a_half_signed_version_is_not_changed(tmp_path: Path, team: Team) -> None:
    """A signature over other bytes would be lost without a word."""
    publish_roster(tmp_path, team.roster, [team.alice])
    before = (tmp_path / "roster.json").read_bytes()

    with pytest.raises(UsageError, match="signed by some and not by enough"):
        propose(tmp_path, [AddKey("dave@example.com", new_line(), ALL)], LATER)

    assert before == (tmp_path / "roster.json").read_bytes()


def test_a_proposal_that_the_linter_refuses_is_not_written(tmp_path: Path, team: Team) -> None:
    """Removing the third person leaves nobody to spare."""
    publish_roster(tmp_path, team.roster, [team.alice, team.bob])

    with pytest.raises(MalformedInput, match="one to spare; 2 could sign"):
        propose(tmp_path, [RemovePerson(team.carol.name)], LATER)

    assert ["roster.1", "roster.json"] == sorted(path.name for path in tmp_path.iterdir())


def test_every_change_does_what_it_says(tmp_path: Path, team: Team) -> None:
    """All of them in one proposal."""
    publish_roster(tmp_path, team.roster, [team.alice, team.bob])
    carol = PublicKey.parse(team.carol.signer.public_line).fingerprint
    contain = dataclasses.replace(team.roster.rules[0], max_ttl_s=600)
    second, dave, log, token = new_line(), new_line(), new_line(), Token()
    changes: list[Change] = [
        AddKey("dave@example.com", dave, ALL, not_after=LATER.plus(60)),
        AddKey(team.alice.name, second, store=KeyStore.KEYRING),
        AddKey(team.bob.name, token.public_line),
        SetRoles(team.bob.name, ALL[:2]),
        AddKey("erin@example.com", new_line(), ALL),
        RemovePerson(team.carol.name),
        RevokeKey("SHA256:lost"),
        SetExecutor("example.com/second", log),
        RemoveExecutor(team.limits.executor),
        SetRule(contain),
    ]

    roster = propose(tmp_path, changes, LATER).roster
    people = {person.person: person for person in roster.operators}
    alice = people[team.alice.name]

    assert OperatorKey(dave, KeyStore.SSH_AGENT, LATER.plus(60)) == people["dave@example.com"].keys[0]
    assert (second, KeyStore.KEYRING) == (alice.keys[1].pub, alice.keys[1].store)
    assert (ALL[:2], KeyStore.FIDO2) == (people[team.bob.name].roles, people[team.bob.name].keys[1].store)
    assert (carol, "SHA256:lost") == roster.revoked_keys
    assert team.carol.name not in people
    assert ["example.com/second"] == [executor.name for executor in roster.executors]
    assert contain == roster.rule(RuleVerb.CONTAIN)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (RemovePerson("nobody"), "there is no 'nobody' on the roster"),
        (SetRoles("nobody", ALL), "there is no 'nobody' on the roster"),
        (RemoveExecutor("nothing"), "there is no executor 'nothing'"),
        (RevokeKey("lost"), "is not a fingerprint like SHA256:"),
        (AddKey("dave", SecretKey.generate().public.line), "is new and needs a role"),
        (
            AddKey("alice@example.com", SecretKey.generate().public.line, ALL[:1]),
            "enrolled already, with other",
        ),
    ],
    ids=range(6),
)
def test_a_change_that_makes_no_sense(tmp_path: Path, team: Team, change: Change, reason: str) -> None:
    """One line each."""
    publish_roster(tmp_path, team.roster, [team.alice, team.bob])

    with pytest.raises(UsageError, match=reason):
        propose(tmp_path, [change], LATER)


def test_a_check_warns_before_it_is_too_late(tmp_path: Path, team: Team) -> None:
    """Of the end of the roster, and of keys that will run out."""
    roster = dataclasses.replace(team.roster, expires=NOON.plus(40 * 86_400))
    publish_roster(tmp_path, roster, [team.alice, team.bob])

    early, late = (roster_check(tmp_path, now) for now in (LATER, NOON.plus(30 * 86_400)))

    assert not any("it ends in" in warning for warning in early.warnings)
    assert "contain: within 14 days only 0 persons have a key that counts" in early.warnings
    assert "it ends in 10 days: two admins sign the next version" in late.warnings
    assert not early.pinned


def test_a_new_key_file_is_shown_and_signs(tmp_path: Path, team: Team) -> None:
    """`operator new` in a file: encrypted, unknown to the roster until an admin enrols it."""
    made = operator.new_in_file(tmp_path / "key", b"correct horse", "dave@example.com")
    shown = operator.show({}, team.roster, LATER, file=tmp_path / "key")
    (key,) = shown.keys

    assert (made.fingerprint, None, False) == (key.fingerprint, key.person, key.usable)
    assert ("ssh-agent: SSH_AUTH_SOCK is not set",) == shown.not_looked
    assert FileSigner(tmp_path / "key", lambda: b"correct horse").sign(b"x", "space")


def test_keys_of_an_ssh_agent_are_shown_with_their_person(tmp_path: Path) -> None:
    """Whose each is, and whether it still counts."""
    mine, strange = Token(), Token()
    team = make_team(signers=[mine, None, None])
    revoked = dataclasses.replace(team.roster, revoked_keys=(mine.key.fingerprint,))
    with serving(tmp_path / "s", holding([mine, strange])) as socket:
        environ = {"SSH_AUTH_SOCK": socket}
        shown = operator.show(environ, team.roster, LATER)
        again = operator.show(environ, revoked, LATER)

    assert [(team.alice.name, True), (None, False)] == [(key.person, key.usable) for key in shown.keys]
    assert not again.keys[0].usable
