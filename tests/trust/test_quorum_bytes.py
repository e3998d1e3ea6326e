"""The quorum campaign, bytes: what was signed is what runs, and nobody is crowded out."""

from __future__ import annotations

import dataclasses

import pytest

from breakglass.authorise.counting import SignatureFile
from breakglass.canon import canonical, parse
from breakglass.errors import MalformedInput, NotAuthorised
from breakglass.keys import sshsig
from breakglass.keys.public_key import PublicKey
from breakglass.model.plan import MAX_PLAN_BYTES, MAX_SIGNATURES_BYTES
from tests.trust.team import ORG, Team, make_team


@pytest.fixture
def team() -> Team:
    return make_team()


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
