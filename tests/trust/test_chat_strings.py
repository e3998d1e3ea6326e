"""Requests, approvals and rejections as strings for a chat; six words; allowed_signers for everybody else."""

from __future__ import annotations

import base64
import dataclasses
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakglass.authorise.allowed_signers import allowed_signers
from breakglass.authorise.rejection import Rejection, read_rejection, sign_rejection
from breakglass.authorise.request import (
    Approval,
    decode_approval,
    decode_rejection,
    decode_request,
    encode_approval,
    encode_rejection,
    encode_request,
)
from breakglass.authorise.words import check_words
from breakglass.canon import sha256
from breakglass.errors import MalformedInput, NotAuthorised
from breakglass.keys.public_key import PublicKey
from breakglass.keys.sshsig import namespace
from breakglass.model.plan import MAX_PLAN_BYTES
from tests.trust import ssh
from tests.trust.fido import Token
from tests.trust.team import NOON, ORG, Team, make_team


@pytest.fixture
def team() -> Team:
    return make_team()


def test_a_plan_travels_as_one_short_string(team: Team) -> None:
    """The very bytes come out; chat programs may wrap the line as they like."""
    data = team.plan.to_bytes()
    text = encode_request(data)

    assert text is not None
    assert len(text) < 1500
    assert data == decode_request(text)
    assert data == decode_request(f"  {text[:70]}\r\n{text[70:140]} \n\t{text[140:]}\n")


def test_a_large_plan_travels_as_a_file_only() -> None:
    """More than 8 KB of string is no message any more."""
    digests = "".join(sha256(str(n).encode()) for n in range(300))

    assert encode_request(digests.encode()) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected a string that begins with bg1."),
        ("bg2.AAAA", "expected a string that begins with bg1."),
        ("bg1.", "cut short or changed"),
        ("bg1.AAAA", "cut short or changed"),
        ("bg1.A!AA", "cut short or changed"),
        ("bg1." + "A" * 9000, "longer than 8192 characters"),
        ("bg1." + "A" * 100_000, "longer than 8192 characters"),
    ],
    ids=range(7),
)
def test_what_is_no_request_is_refused_in_one_line(text: str, reason: str) -> None:
    """With what was expected, or what to do."""
    with pytest.raises(MalformedInput, match=reason):
        decode_request(text)


def test_a_request_that_was_cut_or_grew_is_refused(team: Team) -> None:
    """At any place; and nothing may hang on behind."""
    text = encode_request(team.plan.to_bytes()) or ""
    packed = base64.urlsafe_b64decode(text[4:] + "=" * (-len(text[4:]) % 4))
    longer = "bg1." + base64.urlsafe_b64encode(packed + b"x").decode().rstrip("=")

    for end in range(4, len(text), 37):
        with pytest.raises(MalformedInput):
            decode_request(text[:end])
    with pytest.raises(MalformedInput):
        decode_request(longer)


def test_a_bomb_is_too_long_to_paste() -> None:
    """Deflate packs a thousand to one at best: no string below the cap unpacks to more than a plan."""
    packed = zlib.compress(b"\0" * MAX_PLAN_BYTES, 9)

    with pytest.raises(MalformedInput, match="longer than 8192 characters"):
        decode_request("bg1." + base64.urlsafe_b64encode(packed).decode().rstrip("="))


@given(st.text(max_size=60), st.sampled_from(["bg1.", "bg1s.", "bg1r."]))
def test_no_string_makes_a_reader_fail_otherwise_than_by_refusal(text: str, prefix: str) -> None:
    """Whatever somebody pastes."""
    for reader in (decode_request, decode_approval, decode_rejection):
        with pytest.raises(MalformedInput):
            reader(prefix + text)


@pytest.mark.parametrize("token", [None, Token(), Token.ecdsa()], ids=["software", "ed25519", "ecdsa"])
def test_an_approval_travels_and_counts(token: Token | None) -> None:
    """Bob's approval arrives as a string of a few hundred characters, and is his signature."""
    team = make_team(signers=[None, token, None])
    files = team.sign(team.alice, team.bob)
    digest = sha256(team.plan.to_bytes())
    text = encode_approval(Approval(team.bob.name, digest, files[1].data))

    arrived = decode_approval(text)

    assert len(text) < 520
    assert (team.bob.name, digest) == (arrived.person, arrived.plan_sha256)
    assert team.authorise([files[0], dataclasses.replace(files[1], data=arrived.signature)])


def test_an_approval_whose_name_is_none_is_refused() -> None:
    """Names are short ASCII; a digest has 32 bytes."""
    team = make_team()
    armored = team.sign(team.bob)[0].data

    for person, digest in (("bob\nmallory", "0" * 64), ("", "0" * 64), ("bob", "00")):
        with pytest.raises(MalformedInput):
            decode_approval(encode_approval(Approval(person, digest, armored)))


# Rejections.


def test_a_rejection_is_signed_and_read(team: Team) -> None:
    """It names the plan, the person and the reason, and travels as a string."""
    rejection = Rejection.of(sha256(team.plan.to_bytes()), team.bob.name, "wrong agent", NOON)

    text = encode_rejection(*sign_rejection(rejection, team.bob.signer, ORG))

    assert rejection == read_rejection(*decode_rejection(text), team.roster)


def test_a_rejection_in_somebody_elses_name_is_refused(team: Team) -> None:
    """Carol cannot say no for Bob, and a signed plan is no rejection."""
    rejection = Rejection.of("0" * 64, team.bob.name, "no", NOON)
    document, by_carol = sign_rejection(rejection, team.carol.signer, ORG)
    as_plan = team.bob.signer.sign(document, namespace("plan", ORG))

    with pytest.raises(NotAuthorised, match=r"is not signed by bob@example\.com"):
        read_rejection(document, by_carol, team.roster)
    with pytest.raises(NotAuthorised, match="signed for 'breakglass-plan-v1"):
        read_rejection(document, as_plan, team.roster)


@pytest.mark.parametrize("why", ["two\nlines", "bidi \u202e", "x" * 2001], ids=["lines", "bidi", "long"])
def test_a_reason_that_nobody_can_read_is_not_signed(team: Team, why: str) -> None:
    """One line of readable text."""
    with pytest.raises(MalformedInput):
        sign_rejection(Rejection.of("0" * 64, team.bob.name, why, NOON), team.bob.signer, ORG)


# Words.


def test_six_words_of_a_digest() -> None:
    """The BIP 39 words of the first 66 bits: their published vectors begin so."""
    assert ("abandon",) * 6 == check_words("00" * 32)
    assert ("zoo",) * 6 == check_words("ff" * 32)
    assert ("legal", "winner", "thank", "year", "wave", "sausage") == check_words("7f" * 32)


# allowed_signers.


@pytest.mark.parametrize("token", [None, Token(), Token.ecdsa()], ids=["software", "ed25519", "ecdsa"])
def test_stock_ssh_keygen_verifies_with_the_generated_file(tmp_path: Path, token: Token | None) -> None:
    """A plan by Bob and a checkpoint by the executor; each only in its own namespace and time."""
    ssh.openssh()
    team = make_team(signers=[None, token, None])
    lines = allowed_signers(team.roster, ORG)
    plan, checkpoint = namespace("plan", ORG), namespace("checkpoint", ORG)
    data = team.plan.to_bytes()
    bob, log = team.sign(team.bob)[0].data, team.log_signer.sign(b"checkpoint", checkpoint)
    other = team.bob.signer.sign(data, namespace("checkpoint", ORG))
    during, after = "-Overify-time=20260101000500Z", "-Overify-time=20260102000001Z"
    executor = team.roster.executors[0].name

    assert ssh.verify(tmp_path, lines, team.bob.name, plan, bob, data, during)
    assert not ssh.verify(tmp_path, lines, team.bob.name, plan, bob, data, after)
    assert not ssh.verify(tmp_path, lines, team.alice.name, plan, bob, data, during)
    assert not ssh.verify(tmp_path, lines, team.bob.name, checkpoint, other, data, during)
    assert ssh.verify(tmp_path, lines, executor, checkpoint, log, b"checkpoint")
    assert not ssh.verify(tmp_path, lines, executor, plan, team.log_signer.sign(data, plan), data)


def test_a_revoked_key_is_not_in_the_file(team: Team) -> None:
    """Third parties stop accepting it with the next file."""
    key = PublicKey.parse(team.bob.signer.public_line)
    revoked = dataclasses.replace(team.roster, revoked_keys=(key.fingerprint,))

    assert key.line.encode() in allowed_signers(team.roster, ORG)
    assert key.line.encode() not in allowed_signers(revoked, ORG)
