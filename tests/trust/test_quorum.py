"""The quorum campaign: every attack is refused for its own reason, and two honest persons get through."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import breakglass
from breakglass.authorise.counting import QuorumNotMet, SignatureFile
from breakglass.canon import canonical, parse, sha256
from breakglass.errors import MalformedInput, NotAuthorised
from breakglass.keys import sshsig
from breakglass.keys.public_key import PublicKey
from breakglass.keys.secret_key import SecretKey
from breakglass.model.plan import MAX_PLAN_BYTES, MAX_SIGNATURES_BYTES, Activation, Mode, Verb
from breakglass.model.roster import KeyStore, OperatorKey, RuleVerb
from breakglass.testing.operators import MemorySigner, trust
from tests.trust.fido import TOUCHED, VERIFIED, Token
from tests.trust.team import NOON, ORG, Team, make_team


@pytest.fixture
def team() -> Team:
    return make_team()


def hardware_team(flags: int = TOUCHED, *, hardware: int = 2, verification: bool = False) -> Team:
    """Return a team with tokens, under a rule that wants them."""
    team = make_team(signers=[Token(flags=flags), Token.ecdsa(flags), None])
    rules = tuple(
        dataclasses.replace(rule, hardware=hardware, user_verification=verification)
        for rule in team.roster.rules
    )
    return team.with_roster(rules=rules)


def with_rule(team: Team, **changes: object) -> Team:
    """Return the team with a changed rule for contain."""
    rules = tuple(
        dataclasses.replace(rule, **changes) if rule.verb is RuleVerb.CONTAIN else rule  # type: ignore[arg-type]  # any field, by name
        for rule in team.roster.rules
    )
    return team.with_roster(rules=rules)


def test_two_persons_are_enough(team: Team) -> None:
    """The one good path: two persons with a right role signed these bytes."""
    data = team.plan.to_bytes()

    authorised = team.authorise(team.sign(team.alice, team.bob))

    assert (data, sha256(data), team.plan) == (authorised.raw, authorised.digest, authorised.plan)
    assert ["alice@example.com", "bob@example.com"] == [item.person for item in authorised.signers]
    assert team.alice.signer.public_line == PublicKey.parse(team.alice.signer.public_line).line


def test_two_tokens_fulfil_a_rule_for_two_tokens() -> None:
    """Ed25519 and P-256 tokens count as hardware when they were touched."""
    team = hardware_team()

    assert [True, True] == [item.hardware for item in team.authorise(team.sign(team.alice, team.bob)).signers]


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


# What was signed.


def test_a_swapped_target(team: Team) -> None:
    """Signatures over one plan do not move to another."""
    signatures = team.sign(team.alice, team.bob)
    target = dataclasses.replace(team.plan.steps[0].target, id="thing-2")
    other = team.with_plan(steps=(dataclasses.replace(team.plan.steps[0], target=target),))

    assert 2 == other.refusal(signatures).count("signature does not match the signed bytes")


def test_an_edited_reason(team: Team) -> None:
    """Not a word may change."""
    signatures = team.sign(team.alice, team.bob)

    assert "does not match the signed bytes" in team.with_plan(reason="routine").refusal(signatures)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ((b"{", b"{ "), "not in canonical form"),
        ((b"}", b"}\n"), "not in canonical form"),
        ((b'"v":1', b'"v":1,"v":1'), "duplicate key 'v'"),
        ((b'"v":1', b'"v":1.0'), "is not an integer"),
        ((b'"v":1}', b'"v":1,"zz":1}'), "unknown field 'zz'"),
        ((b'"v":1,', b""), "missing field 'v'"),
        ((b'"verb":"contain"', b'"verb":"erase"'), "'erase' is none of: contain, restore"),
        ((b'"type":"plan"', b'"type":"plam"'), "not a plan of version 1"),
        ((b"unapproved", "unappr\u202eoved".encode()), "U+202E"),
    ],
    ids=str,
)
def test_bytes_that_are_not_exactly_a_plan(team: Team, spoil: tuple[bytes, bytes], reason: str) -> None:
    """White space, duplicate keys, unknown and missing fields: refused although two persons signed them."""
    text = team.plan.to_bytes()
    data = spoil[1].join(text.rsplit(spoil[0], 1))
    if spoil[0] == b'"v":1,':
        fields = parse(text, where="plan", max_bytes=MAX_PLAN_BYTES)
        assert isinstance(fields, dict)
        data = canonical({key: value for key, value in fields.items() if key != "v"})
    if spoil[0] == b'"v":1}':
        data = text[:-1] + b',"zz":1}'
    signatures = team.sign(team.alice, team.bob, data=data)

    with pytest.raises(MalformedInput) as caught:
        team.authorise(signatures, data=data)

    assert data != text
    assert reason in caught.value.what


def test_a_number_that_points_nowhere(team: Team) -> None:
    """A step must name a reach that exists."""
    team = team.with_plan(reaches=())

    with pytest.raises(MalformedInput, match="names reach 0, which does not exist"):
        team.authorise(team.sign(team.alice, team.bob))


@pytest.mark.parametrize("kind", ["git", "roster", "kit", "reject", "checkpoint", "activation"])
def test_another_namespace(team: Team, kind: str) -> None:
    """A signature for another purpose, and for another program, is no approval."""
    data = team.plan.to_bytes()
    space = "git" if kind == "git" else sshsig.namespace(kind, ORG)
    foreign = SignatureFile("bob.sig", team.bob.signer.sign(data, space))

    assert f"bob.sig: signed for '{space}' instead of" in team.refusal([*team.sign(team.alice), foreign])


def test_another_organisation(team: Team) -> None:
    """The same words for another organisation are another plan."""
    team = team.with_plan(org="other.example")

    assert "the plan is for other.example, the roster of example.com" == team.refusal(
        team.sign(team.alice, team.bob)
    )


# Hardware.


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


# When.


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


# Where and under which roster.


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


# Too much.


def test_a_plan_over_its_cap(team: Team) -> None:
    """Sixteen mebibytes, before anything is parsed."""
    assert "the plan is larger than 16777216 bytes" == team.refusal([], data=b" " * (MAX_PLAN_BYTES + 1))


def test_signatures_over_their_cap(team: Team) -> None:
    """The bytes of all signatures are capped together."""
    junk = [SignatureFile("junk", b"x" * MAX_SIGNATURES_BYTES), SignatureFile("more", b"x")]

    assert "the signatures are larger than 262144 bytes together" == team.refusal(junk)


def test_junk_does_not_crowd_out_the_real_ones(team: Team) -> None:
    """Thousands of files that are no signatures stand before the two that are."""
    real = team.sign(team.alice, team.bob)
    junk = [SignatureFile(f"{n}.sig", b"no signature") for n in range(20_000)]

    verdict = team.count(junk + real)

    assert verdict.met
    assert (20_000, "not an armored SSH signature") == (len(verdict.rejected), verdict.rejected[-1][1])


def test_forgeries_that_name_bob_do_not_use_up_bobs_turn(team: Team) -> None:
    """As many well-formed forgeries in Bob's name as the cap can hold; then Bob's own signature counts."""
    bob = PublicKey.parse(team.bob.signer.public_line)
    space = sshsig.namespace("plan", ORG)
    forged = sshsig.build(bob, space, b"\0\0\0\x0bssh-ed25519\0\0\0\x40" + b"\x01" * 64)
    real = team.sign(team.alice, team.bob)
    room = MAX_SIGNATURES_BYTES - sum(len(file.data) for file in real)
    forgeries = [SignatureFile(f"bob{n}.sig", forged) for n in range(room // len(forged))]

    verdict = team.count(forgeries + real)

    assert len(forgeries) > 600
    assert verdict.met
    assert {"signature does not match the signed bytes"} == {reason for _, reason in verdict.rejected}


def test_a_bad_signature_is_skipped_with_its_reason(team: Team) -> None:
    """One broken file costs nobody the quorum, and the record says why it did not count."""
    broken = SignatureFile("carol.sig", team.sign(team.carol)[0].data[:-40])

    verdict = team.count([broken, *team.sign(team.alice, team.bob)])

    assert verdict.met
    assert (("carol.sig", "not an armored SSH signature"),) == verdict.rejected


def test_anything_unexpected_is_a_refusal(team: Team) -> None:
    """An exception that nobody thought of is a no."""
    broken = dataclasses.replace(team, limits=dataclasses.replace(team.limits, known_actions=None))  # type: ignore[arg-type]  # the point of the test

    with pytest.raises(NotAuthorised, match="could not be judged: TypeError"):
        broken.authorise(broken.sign(broken.alice, broken.bob))


# Properties.


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
