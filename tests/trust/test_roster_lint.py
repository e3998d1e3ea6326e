"""What the linter will not let anybody publish."""

from __future__ import annotations

import dataclasses

import pytest

from breakglass.authorise.roster_lint import lint
from breakglass.keys.public_key import PublicKey
from breakglass.keys.secret_key import SecretKey
from breakglass.keys.wire import string
from breakglass.model.roster import ExecutorKey, KeyStore, OperatorKey, Person, Role, Roster, RuleVerb
from tests.trust.fido import Token
from tests.trust.team import NOON, Team, make_team

SMALL_ORDER = "01" + "00" * 31


@pytest.fixture
def team() -> Team:
    return make_team()


def complaints(team: Team, **changes: object) -> str:
    """Return what the linter says of a changed roster."""
    return "\n".join(lint(dataclasses.replace(team.roster, **changes)))  # type: ignore[arg-type]  # any field, by name


def with_key(person: Person, *lines: str, store: KeyStore = KeyStore.FILE) -> Person:
    """Return the person with these keys and no others."""
    return dataclasses.replace(
        person, keys=tuple(OperatorKey(line, store, NOON.plus(86_400)) for line in lines)
    )


def with_rules(roster: Roster, verb: RuleVerb, **changes: object) -> Roster:
    """Return the roster with one rule changed."""
    rules = tuple(
        dataclasses.replace(rule, **changes) if rule.verb is verb else rule  # type: ignore[arg-type]  # any field, by name
        for rule in roster.rules
    )
    return dataclasses.replace(roster, rules=rules)


def test_a_good_roster_passes(team: Team) -> None:
    """Three persons with all roles, an executor, a rule for each verb."""
    assert () == lint(team.roster)


def test_one_key_for_two_people(team: Team) -> None:
    """Which would let one person be two."""
    twin = dataclasses.replace(team.bob.person, person="mallory", keys=team.alice.person.keys)

    assert "is listed for alice@example.com and for mallory" in complaints(
        team, operators=(*team.roster.operators, twin)
    )


def test_two_spellings_of_one_name(team: Team) -> None:
    """Bob and bob are taken for one."""
    key = SecretKey.generate().public.line
    twin = with_key(dataclasses.replace(team.bob.person, person="BOB@example.com"), key)

    assert "person bob@example.com is listed 2 times" in complaints(
        team, operators=(*team.roster.operators, twin)
    )


def test_nobody_to_spare(team: Team) -> None:
    """Two who may sign where two must: one illness away from no stop at all."""
    assert "contain: needs 2 persons and one to spare; 2 could sign" in complaints(
        team, operators=team.roster.operators[1:]
    )


def test_a_person_whose_keys_are_revoked_or_have_run_out_does_not_count(team: Team) -> None:
    """The spare person must be able to sign."""
    fingerprint = PublicKey.parse(team.carol.signer.public_line).fingerprint
    keys = (dataclasses.replace(team.carol.person.keys[0], not_after=NOON),)
    old = dataclasses.replace(team.carol.person, keys=keys)

    assert "2 could sign" in complaints(team, revoked_keys=(fingerprint,))
    assert "2 could sign" in complaints(team, operators=(*team.roster.operators[:2], old))


def test_a_hardware_rule_without_enough_tokens(team: Team) -> None:
    """People who would sign with a token must have one, and one to spare."""
    token, spare = Token(), Token()
    alice = with_key(team.alice.person, token.public_line, store=KeyStore.FIDO2)
    bob = with_key(team.bob.person, Token.ecdsa().public_line, spare.public_line, store=KeyStore.FIDO2)
    roster = dataclasses.replace(team.roster, operators=(alice, bob, team.carol.person))

    found = "\n".join(lint(with_rules(roster, RuleVerb.RESTORE, hardware=1)))

    assert "restore: needs 3 holders of hardware keys; there are 2" in found
    assert "restore: alice@example.com has one hardware key and none to spare" in found
    assert "bob@example.com has one" not in found


@pytest.mark.parametrize(
    ("verb", "changes", "complaint"),
    [
        (RuleVerb.CONTAIN, {"roles": ()}, "contain: no role may sign"),
        (RuleVerb.CONTAIN, {"roles": (Role.OBSERVER,)}, "contain: an observer may not sign"),
        (RuleVerb.CONTAIN, {"hardware": 3}, "asks for 3 hardware keys of 2 persons"),
        (RuleVerb.ROSTER, {"roles": (Role.RESPONDER,)}, "roster: only admins may sign"),
        (RuleVerb.KIT, {"roles": (Role.ADMIN, Role.APPROVER)}, "kit: only admins may sign"),
        (RuleVerb.RESTORE, {"standing_max_ttl_s": 1}, "restore: only contain may be signed ahead"),
    ],
    ids=str,
)
def test_a_rule_that_makes_no_sense(
    team: Team, verb: RuleVerb, changes: dict[str, object], complaint: str
) -> None:
    """Each for its own reason."""
    assert complaint in "\n".join(lint(with_rules(team.roster, verb, **changes)))


def test_a_missing_and_a_double_rule(team: Team) -> None:
    """Every verb has one rule."""
    assert "verb contain has no rule" in complaints(team, rules=team.roster.rules[1:])
    assert "verb contain has 2 rules" in complaints(team, rules=(*team.roster.rules, team.roster.rules[0]))


def test_keys_that_are_not_what_they_say(team: Team) -> None:
    """A store that does not fit, an application that is not ssh's, a point that anybody can sign for."""
    web = Token(application="https://example.com")
    small = PublicKey.from_blob(string(b"ssh-ed25519") + string(bytes.fromhex(SMALL_ORDER)))
    broken = "ssh-ed25519 AAAA"
    for line, store, complaint in (
        (Token().public_line, KeyStore.FILE, "said to be in file"),
        (SecretKey.generate().public.line, KeyStore.FIDO2, "is ssh-ed25519, said to be in fido2"),
        (web.public_line, KeyStore.FIDO2, "was made for 'https://example.com', not for ssh"),
        (small.line, KeyStore.FILE, "is no real key: anybody can sign for it"),
        (broken, KeyStore.FILE, "alice@example.com: a key cannot be read"),
    ):
        alice = with_key(team.alice.person, line, store=store)

        assert complaint in complaints(team, operators=(alice, *team.roster.operators[1:]))


def test_log_keys(team: Team) -> None:
    """Nobody's own key, nobody else's, no token, and at least one."""
    token, mine = Token().public_line, team.alice.signer.public_line
    shared = SecretKey.generate().public.line
    for executors, complaint in (
        ((), "no executor is listed"),
        ((ExecutorKey("e", token),), "e: a log key cannot wait for a touch"),
        ((ExecutorKey("e", mine),), "e logs with the key of alice@example.com"),
        ((ExecutorKey("e", shared), ExecutorKey("f", shared)), "e shares its log key with another executor"),
        ((ExecutorKey("e", shared), ExecutorKey("e", mine)), "executor e is listed 2 times"),
        ((ExecutorKey("e", "ssh-ed25519 AAAA"),), "e: the log key cannot be read"),
    ):
        assert complaint in complaints(team, executors=executors)


def test_times_and_numbers(team: Team) -> None:
    """Sixty days at most, not backwards, and version 1 has no past."""
    assert "it would hold for 61 days; at most 60" in complaints(team, expires=NOON.plus(61 * 86_400))
    assert "it expires before it is issued" in complaints(team, expires=NOON)
    assert "names no previous version" in complaints(team, version=2)
    assert "names no previous version" in complaints(team, previous="0" * 64)


def test_a_name_that_is_a_path(team: Team) -> None:
    """A person's name becomes the name of a signature file."""
    evil = dataclasses.replace(team.carol.person, person="a/../../etc/x")

    assert "holds no slash" in complaints(team, operators=(*team.roster.operators[:2], evil))
