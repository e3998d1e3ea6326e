"""The roster's chain: from the anchor to the newest version, each signed by the admins of two."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from breakglass.authorise.roster_chain import Anchor, TrustedRoster, load_trusted
from breakglass.canon import sha256
from breakglass.clock import Instant
from breakglass.errors import MalformedInput, NotAuthorised
from breakglass.keys.sshsig import namespace
from breakglass.model.roster import Role, Roster, RuleVerb
from breakglass.testing.operators import Operator, make_operator, next_roster, publish_roster
from tests.trust.team import ALL, NOON, ORG, StillClock, Team, make_team

LATER = NOON.plus(3600)


@pytest.fixture
def team() -> Team:
    return make_team()


@dataclasses.dataclass
class Folder:
    """A kit's folder with a first roster and its anchor."""

    path: Path
    anchor: Anchor

    def load(self, *, seen: int = 0, now: Instant = LATER) -> TrustedRoster:
        """Verify the folder an hour later."""
        return load_trusted(self.path, self.anchor, seen, now)

    def refusal(self, *, seen: int = 0, now: Instant = LATER) -> str:
        """Return the words of the refusal."""
        with pytest.raises(NotAuthorised) as caught:
            self.load(seen=seen, now=now)
        return caught.value.what

    def publish(self, roster: Roster, *signers: Operator) -> None:
        """Add a version."""
        publish_roster(self.path, roster, signers)


@pytest.fixture
def first(tmp_path: Path, team: Team) -> Folder:
    return Folder(tmp_path, publish_roster(tmp_path, team.roster, [team.alice, team.bob]))


def replaced(team: Team, *operators: Operator) -> Roster:
    """Return version 2 with other people in it."""
    return dataclasses.replace(
        next_roster(team.roster, NOON.plus(60)), operators=tuple(operator.person for operator in operators)
    )


def strangers(count: int = 3) -> list[Operator]:
    return [make_operator(f"new{n}@{ORG}", ALL, StillClock()) for n in range(count)]


def test_the_first_roster_is_trusted_through_the_anchor(first: Folder, team: Team) -> None:
    """Pinned by its digest and signed by two of its own admins."""
    found = first.load()

    assert (team.roster, sha256(team.roster.to_bytes())) == (found.roster, found.sha256)


def test_an_anchor_of_another_roster(first: Folder) -> None:
    """Without the pin nothing is trusted, however well it is signed."""
    first.anchor = dataclasses.replace(first.anchor, roster_sha256="0" * 64)

    assert "is not the one that the anchor pins (00000000)" in first.refusal()


def test_a_first_roster_without_its_admins(tmp_path: Path, team: Team) -> None:
    """The anchor alone is not enough either."""
    folder = Folder(tmp_path, publish_roster(tmp_path, team.roster, [team.alice, team.oscar]))

    assert (
        "roster version 1 is not signed by the admins of version 1: 1 of 2 persons signed" in folder.refusal()
    )
    assert "oscar@example.com has none of the roles admin" in folder.refusal()


def test_a_second_version_signed_by_both_old_and_new_admins(first: Folder, team: Team) -> None:
    """Two of the old admins remain in the new version: one pair of signatures serves both."""
    new = strangers(1)
    roster = replaced(team, team.alice, team.bob, *new)
    first.publish(roster, team.alice, team.bob)

    assert (roster, 2) == (first.load().roster, first.load(seen=2).roster.version)


def test_admins_may_all_change_if_old_and_new_sign(first: Folder, team: Team) -> None:
    """Two who leave and two who come."""
    new = strangers()
    first.publish(replaced(team, *new), team.alice, team.bob, new[0], new[1])

    assert "new0@example.com" == first.load().roster.operators[0].person


def test_a_second_version_without_the_old_admins(first: Folder, team: Team) -> None:
    """Somebody with write access installs his own people."""
    new = strangers()
    first.publish(replaced(team, *new), *new)

    assert "roster version 2 is not signed by the admins of version 1" in first.refusal()


def test_a_second_version_without_the_new_admins(first: Folder, team: Team) -> None:
    """The old ones cannot hand over to keys that nobody has shown to work."""
    first.publish(replaced(team, *strangers()), team.alice, team.bob)

    assert "roster version 2 is not signed by the admins of version 2" in first.refusal()


def test_a_second_version_that_lowers_no_threshold_alone(first: Folder, team: Team) -> None:
    """A rule below two persons does not even parse."""
    text = replaced(team, team.alice, team.bob).to_bytes().replace(b'"people":2', b'"people":1')
    (first.path / "roster.1.json").write_bytes(team.roster.to_bytes())
    (first.path / "roster.json").write_bytes(text)

    with pytest.raises(MalformedInput, match="1 is not between 2 and 20"):
        first.load()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"previous": "0" * 64}, "does not name the digest of version 1"),
        ({"previous": None}, "does not name the digest of version 1"),
        ({"org": "other.example"}, "the roster is of other.example, the anchor of example.com"),
        ({"drill": True}, "a drill's roster and a real one do not follow each other"),
        ({"issued": NOON.plus(-1)}, "was issued before version 1"),
        ({"expires": NOON.plus(3599)}, "roster version 2 expired"),
        ({"issued": LATER.plus(121)}, "the roster was issued at"),
        ({"rules": ()}, "roster version 2 has no rule for rosters"),
    ],
    ids=str,
)
def test_a_second_version_that_does_not_follow(
    first: Folder, team: Team, changes: dict[str, object], reason: str
) -> None:
    """Each condition of a link is refused for its own reason, though two admins signed it."""
    roster = dataclasses.replace(next_roster(team.roster, NOON.plus(60)), **changes)  # type: ignore[arg-type]  # any field, by name
    first.publish(roster, team.alice, team.bob)

    assert reason in first.refusal()


def test_a_revocation_is_never_taken_back(tmp_path: Path, team: Team) -> None:
    """The list of revoked keys only grows."""
    revoking = dataclasses.replace(team.roster, revoked_keys=("SHA256:gone",))
    folder = Folder(tmp_path, publish_roster(tmp_path, revoking, [team.alice, team.bob]))
    folder.publish(
        dataclasses.replace(next_roster(revoking, NOON.plus(60)), revoked_keys=("SHA256:other",)),
        team.alice,
        team.bob,
    )

    assert "roster version 2 takes back a revocation of version 1" == folder.refusal()


def test_a_version_that_skips_one(first: Folder, team: Team) -> None:
    """Version 3 in the place of version 2."""
    skipped = dataclasses.replace(next_roster(team.roster, NOON.plus(60)), version=3)
    data = skipped.to_bytes()
    (first.path / "roster.1.json").write_bytes(team.roster.to_bytes())
    (first.path / "roster.2.json").write_bytes(data)
    (first.path / "roster.json").write_bytes(data)

    assert "roster version 3 does not follow version 1" in first.refusal()


def test_a_rolled_back_roster(first: Folder) -> None:
    """Version 2 was seen, version 1 is shown again."""
    assert "roster version 1 was rolled back: version 2 was seen before" == first.refusal(seen=2)


def test_a_frozen_roster(first: Folder) -> None:
    """Somebody withholds the newer version for so long that the old one runs out."""
    assert "roster version 1 expired at 2026-01-02T00:00:00.000Z" == first.refusal(now=NOON.plus(86_400))


def test_a_key_that_ran_out_later_does_not_undo_what_it_signed(tmp_path: Path, team: Team) -> None:
    """The chain is judged at the moment at which each version was issued."""
    keys = (dataclasses.replace(team.alice.person.keys[0], not_after=NOON.plus(60)),)
    alice = dataclasses.replace(team.alice, person=dataclasses.replace(team.alice.person, keys=keys))
    roster = dataclasses.replace(team.roster, operators=(alice.person, team.bob.person, team.carol.person))
    folder = Folder(tmp_path, publish_roster(tmp_path, roster, [alice, team.bob]))

    assert roster == folder.load().roster


def test_a_signature_for_another_document_does_not_sign_a_roster(first: Folder, team: Team) -> None:
    """The same bytes signed as a kit are not signed as a roster."""
    armored = team.bob.signer.sign(team.roster.to_bytes(), namespace("kit", ORG))
    (first.path / "roster.1" / f"{team.bob.name}.sig").write_bytes(armored)

    assert "signed for 'breakglass-kit-v1@example.com'" in first.refusal()


def test_a_changed_byte(first: Folder, team: Team) -> None:
    """Any edit of the roster breaks the pin; of its signature, the count."""
    roles = (Role.OBSERVER,)
    edited = dataclasses.replace(
        team.roster,
        operators=(dataclasses.replace(team.carol.person, roles=roles), *team.roster.operators[1:]),
    )
    (first.path / "roster.json").write_bytes(edited.to_bytes())

    assert "is not the one that the anchor pins" in first.refusal()


def test_a_missing_version(first: Folder, team: Team) -> None:
    """The chain has no holes."""
    first.publish(next_roster(team.roster, NOON.plus(60)), team.alice, team.bob)
    (first.path / "roster.1.json").unlink()

    assert "cannot be read: No such file or directory" == first.refusal()


def test_an_anchor_survives_its_file(first: Folder, tmp_path: Path) -> None:
    """What is written is what is read; what is no anchor is refused with its place."""
    (tmp_path / "anchor").write_bytes(first.anchor.to_bytes())
    (tmp_path / "bad").write_text('{"v":1,"type":"anchor","org":"example.com"}')

    assert first.anchor == Anchor.read(tmp_path / "anchor")
    with pytest.raises(MalformedInput, match="missing field 'roster_sha256'"):
        Anchor.read(tmp_path / "bad")
    with pytest.raises(NotAuthorised, match="cannot be read"):
        Anchor.read(tmp_path / "none")


def test_the_rule_for_rosters_is_the_one_that_counts(tmp_path: Path, team: Team) -> None:
    """Three admins where the roster's own rule says three."""
    rules = tuple(
        dataclasses.replace(rule, people=3) if rule.verb is RuleVerb.ROSTER else rule
        for rule in team.roster.rules
    )
    roster = dataclasses.replace(team.roster, rules=rules)
    folder = Folder(tmp_path, publish_roster(tmp_path, roster, [team.alice, team.bob]))

    assert "2 of 3 persons signed" in folder.refusal()
