"""From three public keys to a signed kit, and what happens to one that somebody touches afterwards."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from breakglass.authorise.allowed_signers import allowed_signers
from breakglass.authorise.roster_chain import Anchor, load_trusted
from breakglass.canon import parse_canonical
from breakglass.clock import Instant
from breakglass.errors import BreakglassError, MalformedInput, NotAuthorised, SignaturesMissing, UsageError
from breakglass.keys.key_file import FileSigner
from breakglass.keys.secret_key import SecretKey
from breakglass.kit.load import load_kit
from breakglass.kit.model import Kit
from breakglass.model.roster import Role, RuleVerb
from breakglass.testing.operators import MemorySigner
from breakglass.usecases.kit import Enrolment, kit_check, kit_init, kit_sign, require_signed, roster_sign
from tests.kit.kits import AGENT, NOON, ORG, cards, load_draft, snapshot, write_kit
from tests.trust.ssh import keygen, openssh, verify

PEOPLE = ("alice", "bob", "carol")
TOMORROW = NOON.plus(86_400)


@dataclass(frozen=True, slots=True)
class Team:
    """Three admins, and the kit that they begin with."""

    folder: Path
    keys: dict[str, MemorySigner]
    anchor: Anchor

    def sign(self, *people: str) -> None:
        """Have each of them sign roster and kit."""
        for name in people:
            roster_sign(self.folder, self.keys[name], NOON)
            kit_sign(self.folder, self.keys[name], cards, NOON)


def begin(folder: Path) -> Team:
    keys = {name: MemorySigner(SecretKey.generate()) for name in (*PEOPLE, "executor")}
    draft = kit_init(
        folder,
        org=ORG,
        people=[Enrolment(name, keys[name].public_line) for name in PEOPLE],
        executor=Enrolment("ops-bastion-1", keys["executor"].public_line),
        log_key="/etc/breakglass/log.key",
        now=NOON,
    )
    return Team(folder, keys, draft.anchor)


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return begin(tmp_path / "kit")


@pytest.fixture
def signed(team: Team) -> Team:
    team.sign("alice", "bob")
    return team


def test_a_draft_holds_all_that_a_kit_needs_and_says_what_is_missing(tmp_path: Path) -> None:
    """Settings, roster, a sample that is not loaded, the seal; nothing that nobody asked for."""
    team = begin(tmp_path / "kit")
    kit = load_draft(team.folder)

    assert [
        "agents",
        "agents/example.yaml.sample",
        "breakglass.yaml",
        "kit.json",
        "roster.json",
        "runbooks",
    ] == sorted(snapshot(team.folder))
    assert () == kit.unsealed
    assert {} == kit.agents
    assert PEOPLE == tuple(person.person for person in kit.roster.operators)
    assert {RuleVerb.CONTAIN: 2, RuleVerb.KIT: 2} == {
        verb: rule.people for verb in (RuleVerb.CONTAIN, RuleVerb.KIT) if (rule := kit.roster.rule(verb))
    }
    destroy = kit.roster.rule(RuleVerb.DESTROY)
    assert destroy is not None
    assert ((Role.APPROVER, Role.COMMANDER), 0, 900) == (destroy.roles, destroy.hardware, destroy.max_ttl_s)
    assert NOON.plus(60 * 86_400) == kit.expires == kit.roster.expires
    assert ["kit", "kit/agents", "kit/runbooks"] == sorted(
        str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_dir()
    )


def test_the_sample_is_an_agent_once_it_is_copied(team: Team) -> None:
    """What people begin with must parse, against the real card of the provider that it names."""
    from breakglass.registry import card

    sample = (team.folder / "agents" / "example.yaml.sample").read_text()
    (team.folder / "agents" / "support-bot.yaml").write_text(sample)

    settings = load_kit(team.folder, card, draft=True).agent("support-bot").reaches[0].settings
    assert ("ssh://breakglass@bot-7.example.com", "support-bot.service", "support-bot") == (
        settings["host"],
        settings["unit"],
        settings["user"],
    )


def test_the_check_of_a_draft_lists_only_the_missing_signatures(team: Team) -> None:
    """Exit 5, two lines, and the persons who could still sign; one signature less with each that comes."""
    with pytest.raises(SignaturesMissing) as caught:
        kit_check(team.folder, cards, NOON)

    assert 5 == caught.value.exit_code
    assert (
        "roster.json version 1: 0 of 2 persons signed; missing: 2 of alice, bob, carol\n"
        "kit.json version 1: 0 of 2 persons signed; missing: 2 of alice, bob, carol"
    ) == caught.value.what

    roster_sign(team.folder, team.keys["bob"], NOON)
    with pytest.raises(SignaturesMissing) as caught:
        kit_check(team.folder, cards, NOON)

    assert (
        "roster.json version 1: 1 of 2 persons signed (bob); missing: 1 of alice, carol\n"
        "kit.json version 1: 0 of 2 persons signed; missing: 2 of alice, bob, carol"
    ) == caught.value.what

    roster_sign(team.folder, team.keys["carol"], NOON)
    kit_sign(team.folder, team.keys["carol"], cards, NOON)
    with pytest.raises(SignaturesMissing) as caught:
        kit_check(team.folder, cards, NOON)

    assert "kit.json version 1: 1 of 2 persons signed (carol); missing: 1 of alice, bob" == caught.value.what
    assert "breakglass kit sign" in caught.value.remedy


def test_two_admins_make_it_whole(signed: Team) -> None:
    """Both signed both: the check passes, against the anchor too, and what acts on the kit accepts it."""
    check = kit_check(signed.folder, cards, NOON, anchor=signed.anchor)
    kit = load_kit(signed.folder, cards)
    trusted = load_trusted(signed.folder, signed.anchor, 1, NOON)

    assert (("alice", "bob"), ("alice", "bob"), True) == (
        check.kit_signers,
        check.roster_signers,
        check.pinned,
    )
    assert ("alice", "bob") == require_signed(kit, trusted, NOON)
    assert signed.anchor == kit_check(signed.folder, cards, NOON).anchor
    assert any("no agent is described" in warning for warning in check.warnings)
    assert (ORG, 1, kit.digest) == (kit.pin.name, kit.pin.version, kit.pin.sha256)


def test_one_person_who_signs_twice_is_one(team: Team) -> None:
    """People are counted, never signatures or files."""
    team.sign("alice", "alice")
    copy = team.folder / "kit.1" / "bob.sig"
    copy.write_bytes((team.folder / "kit.1" / "alice.sig").read_bytes())
    with pytest.raises(SignaturesMissing, match=r"kit\.json version 1: 1 of 2 persons signed \(alice\)"):
        kit_check(team.folder, cards, NOON)


def add_file(kit: Path) -> None:
    (kit / "agents" / "support-bot.yaml").write_text(AGENT)


def change_file(kit: Path) -> None:
    path = kit / "breakglass.yaml"
    path.write_text(path.read_text() + "# a comment is a change too\n")


def remove_file(kit: Path) -> None:
    (kit / "agents" / "example.yaml.sample").unlink()


@pytest.mark.parametrize(
    ("touch", "said"),
    [
        (add_file, "agents/support-bot.yaml is extra; version 1 was sealed without it"),
        (change_file, "breakglass.yaml was changed after version 1 was sealed"),
        (remove_file, "agents/example.yaml.sample is missing; version 1 was sealed with it"),
    ],
)
def test_a_kit_that_was_touched_after_it_was_signed_is_refused_by_naming_the_file(
    signed: Team, touch: object, said: str
) -> None:
    """For the check, for everything that acts on it, and for the next who would sign under its number."""
    assert callable(touch)
    touch(signed.folder)
    before = snapshot(signed.folder)
    for attempt in (
        lambda: load_kit(signed.folder, cards),
        lambda: kit_check(signed.folder, cards, NOON),
        lambda: require_signed(
            load_draft(signed.folder), load_trusted(signed.folder, signed.anchor, 1, NOON), NOON
        ),
    ):
        with pytest.raises(NotAuthorised) as caught:
            attempt()

        assert (said, 5) == (caught.value.what, caught.value.exit_code)
    with pytest.raises(UsageError) as refused:
        kit_sign(signed.folder, signed.keys["carol"], cards, NOON)

    assert refused.value.what.endswith(said)
    assert refused.value.remedy.startswith("set version: 2")
    assert before == snapshot(signed.folder)


def test_a_change_is_signed_under_the_next_number(signed: Team) -> None:
    """The first to sign seals it anew, and is told what changed; the second adds a name."""
    add_file(signed.folder)
    settings = signed.folder / "breakglass.yaml"
    settings.write_text(settings.read_text().replace("version: 1", "version: 2"))
    first = kit_sign(signed.folder, signed.keys["bob"], cards, TOMORROW)
    second = kit_sign(signed.folder, signed.keys["carol"], cards, TOMORROW)

    assert (
        "agents/support-bot.yaml is extra; version 1 was sealed without it",
        "breakglass.yaml was changed after version 1 was sealed",
    ) == first.resealed
    assert (2, ()) == (second.version, second.resealed)
    assert ("bob", "carol") == kit_check(signed.folder, cards, TOMORROW).kit_signers
    assert ["support-bot"] == list(load_kit(signed.folder, cards).agents)


def test_a_seal_that_was_rewritten_to_fit_has_nobodys_signature(signed: Team) -> None:
    """Whoever changes a file and the digest in kit.json has no signature over the new digest."""
    change_file(signed.folder)
    seal = json.loads((signed.folder / "kit.json").read_bytes())
    fresh = load_draft(signed.folder).contents
    seal["files"] = [{"path": file.path, "sha256": file.sha256} for file in fresh.files]
    (signed.folder / "kit.json").write_text(json.dumps(seal, sort_keys=True, separators=(",", ":")))
    with pytest.raises(SignaturesMissing, match=r"kit\.json version 1: 0 of 2 persons signed") as caught:
        kit_check(signed.folder, cards, NOON)

    assert "not counted: alice.sig: " in caught.value.what


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda data: data[:-1], "not JSON"),
        (lambda data: data + b"\n", "not in canonical form"),
        (lambda data: data.replace(b'"type":"kit"', b'"type":"kid"'), "not a kit's seal of version 1"),
        (lambda data: data.replace(b'"org"', b'"orga"'), "unknown field 'orga'"),
    ],
)
def test_a_seal_that_does_not_parse_is_exit_2(signed: Team, spoil: object, what: str) -> None:
    """It is content like the rest."""
    assert callable(spoil)
    path = signed.folder / "kit.json"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(MalformedInput, match=what):
        kit_check(signed.folder, cards, NOON)


def test_wrong_content_is_said_before_missing_signatures(team: Team) -> None:
    """Exit 2 first: nobody is asked to sign what does not parse, and no signature is made over it."""
    (team.folder / "agents" / "support-bot.yaml").write_text(AGENT.replace("functions", "function"))
    before = snapshot(team.folder)
    for attempt in (
        lambda: kit_check(team.folder, cards, NOON),
        lambda: kit_sign(team.folder, team.keys["alice"], cards, NOON),
    ):
        with pytest.raises(MalformedInput, match='unknown key "function"'):
            attempt()
    assert before == snapshot(team.folder)


def test_a_key_that_is_no_admins_signs_nothing(team: Team) -> None:
    """A stranger's key and the executor's are refused, and no file appears."""
    before = snapshot(team.folder)
    for key in (MemorySigner(SecretKey.generate()), team.keys["executor"]):
        with pytest.raises(NotAuthorised, match="is not in the roster"):
            kit_sign(team.folder, key, cards, NOON)
        with pytest.raises(NotAuthorised, match="is not in the roster"):
            roster_sign(team.folder, key, NOON)
    assert before == snapshot(team.folder)


def test_a_kit_runs_out(signed: Team) -> None:
    """At its instant and not after it; nothing that acts accepts it, and nobody can sign it."""
    kit = load_kit(signed.folder, cards)
    trusted = load_trusted(signed.folder, signed.anchor, 1, NOON)
    last = kit.expires.plus(-0.001)

    assert ("alice", "bob") == require_signed(kit, trusted, last)
    assert any("expires in 0 days" in warning for warning in kit_check(signed.folder, cards, last).warnings)
    for attempt in (
        lambda: require_signed(kit, trusted, kit.expires),
        lambda: kit_check(signed.folder, cards, kit.expires),
        lambda: kit_sign(signed.folder, signed.keys["carol"], cards, kit.expires),
    ):
        with pytest.raises(NotAuthorised, match="the kit expired at"):
            attempt()


def test_another_roster_than_the_trusted_one_is_refused(signed: Team, tmp_path: Path) -> None:
    """A whole kit of strangers, well signed by themselves, meets the anchor of this machine."""
    strangers = begin(tmp_path / "strangers")
    strangers.sign("alice", "bob")
    with pytest.raises(NotAuthorised, match="is not the one that the anchor pins"):
        kit_check(strangers.folder, cards, NOON, anchor=signed.anchor)
    with pytest.raises(NotAuthorised, match="the kit holds another roster than the trusted one"):
        require_signed(
            load_kit(strangers.folder, cards), load_trusted(signed.folder, signed.anchor, 1, NOON), NOON
        )


def init(folder: Path, *people: str, key: str = "", log_key: str = "ssh-agent") -> None:
    lines = {name: MemorySigner(SecretKey.generate()).public_line for name in (*people, "executor")}
    kit_init(
        folder,
        org=ORG,
        people=[Enrolment(name, key or lines[name]) for name in people],
        executor=Enrolment("ops-bastion-1", lines["executor"]),
        log_key=log_key,
        now=NOON,
    )


def test_an_init_that_makes_no_sense_leaves_nothing(tmp_path: Path) -> None:
    """Two persons, one person twice, one key for all, a private key, a path that is none: exit 2 each."""
    folder = tmp_path / "kit"
    (tmp_path / "secret").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    (tmp_path / "two.pub").write_text("ssh-ed25519 AAAA a\nssh-ed25519 AAAA b\n")
    rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7"
    attempts: list[tuple[str, object]] = [
        ("2 persons; a kit needs 3", lambda: init(folder, "alice", "bob")),
        ("person alice is listed 2 times", lambda: init(folder, "alice", "alice", "bob")),
        ("one key twice", lambda: init(folder, *PEOPLE, key=MemorySigner(SecretKey.generate()).public_line)),
        ("this is a private key", lambda: init(folder, *PEOPLE, key=str(tmp_path / "secret"))),
        ("more than one key", lambda: init(folder, *PEOPLE, key=str(tmp_path / "two.pub"))),
        ("cannot be read: no such file", lambda: init(folder, *PEOPLE, key=str(tmp_path / "absent.pub"))),
        ("not a regular file", lambda: init(folder, *PEOPLE, key="/dev/null")),
        ("key type", lambda: init(folder, *PEOPLE, key=f"{rsa} x")),
        ('"al ice" is not a short ASCII name', lambda: init(folder, "al ice", "bob", "carol")),
        ("holds no slash", lambda: init(folder, "a/../../x", "bob", "carol")),
        ("the log key is ssh-agent or an absolute path", lambda: init(folder, *PEOPLE, log_key="log.key")),
        ("the folder above it does not exist", lambda: init(tmp_path / "no" / "kit", *PEOPLE)),
        ("is there and is not a folder", lambda: init(tmp_path / "secret", *PEOPLE)),
        ("is not empty", lambda: init(tmp_path, *PEOPLE)),
    ]
    before = snapshot(tmp_path)
    for what, attempt in attempts:
        assert callable(attempt)
        with pytest.raises(BreakglassError) as caught:
            attempt()

        assert what in caught.value.what
        assert 2 == caught.value.exit_code
    assert before == snapshot(tmp_path)


def test_an_answer_that_is_no_enrolment_is_refused() -> None:
    """NAME=KEY, where the key may hold equals signs itself."""
    assert Enrolment("a@b.example", "ssh-ed25519 AAAA== c") == Enrolment.parse(
        "a@b.example=ssh-ed25519 AAAA== c"
    )
    for text in ("alice", "=key", "alice=", ""):
        with pytest.raises(UsageError, match="is not NAME=KEY"):
            Enrolment.parse(text)


def test_a_kit_begins_in_an_empty_folder_and_with_key_files(tmp_path: Path) -> None:
    """As one does it who made folder and keys beforehand, with stock tools; those check it too."""
    openssh()
    folder = tmp_path / "kit"
    folder.mkdir()
    for name in (*PEOPLE, "log"):
        keygen(tmp_path / name, "ed25519", "" if name == "log" else f"{name} secret")
    draft = kit_init(
        folder,
        org=ORG,
        people=[Enrolment(name, str(tmp_path / f"{name}.pub")) for name in PEOPLE],
        executor=Enrolment("ops-bastion-1", str(tmp_path / "log.pub")),
        log_key=str(tmp_path / "log"),
        now=NOON,
    )
    for name in ("alice", "carol"):
        signer = FileSigner(tmp_path / name, f"{name} secret".encode)
        roster_sign(folder, signer, NOON)
        kit_sign(folder, signer, cards, NOON)
    kit = kit_check(folder, cards, NOON, anchor=draft.anchor).kit
    stock = _stock(tmp_path, kit)

    assert stock == {"alice": True, "carol": True}


def _stock(folder: Path, kit: Kit) -> dict[str, bool]:
    """Ask ssh-keygen about each signature over kit.json; the principals are bound to their namespaces."""
    allowed = allowed_signers(kit.roster, kit.roster.org)
    at = ["-O", "verify-time=20260101130000Z"]
    try:
        return {
            name.removesuffix(".sig"): verify(
                folder,
                allowed,
                name.removesuffix(".sig"),
                f"breakglass-kit-v1@{ORG}",
                data,
                kit.seal_bytes,
                *at,
            )
            for name, data in kit.signatures
        }
    except subprocess.CalledProcessError as error:  # pragma: no cover - verify does not check
        raise AssertionError(error.stderr) from error


def test_the_seal_names_every_file_and_no_signature(signed: Team) -> None:
    """Canonical JSON that anybody can hold against sha256sum."""
    seal = parse_canonical((signed.folder / "kit.json").read_bytes(), where="kit.json", max_bytes=10_000)
    files = seal["files"]

    assert isinstance(files, list)
    assert ["agents/example.yaml.sample", "breakglass.yaml", "roster.json"] == [
        file["path"] for file in files if isinstance(file, dict)
    ]
    assert {"alice.sig", "bob.sig"} == {path.name for path in (signed.folder / "kit.1").iterdir()}


def test_a_kit_whose_roster_the_linter_refuses_is_exit_2(tmp_path: Path) -> None:
    """Rules below two persons do not parse; fewer persons than a rule needs plus one are the linter's."""
    folder = write_kit(tmp_path)
    roster = json.loads((folder / "roster.json").read_bytes())
    roster["operators"] = roster["operators"][:2]
    (folder / "roster.json").write_text(json.dumps(roster, sort_keys=True, separators=(",", ":")))
    with pytest.raises(MalformedInput, match="contain: needs 2 persons and one to spare; 2 could sign"):
        kit_check(folder, cards, NOON)

    roster["rules"][0]["people"] = 1
    (folder / "roster.json").write_text(json.dumps(roster, sort_keys=True, separators=(",", ":")))
    with pytest.raises(MalformedInput, match="1 is not between 2 and 20"):
        kit_check(folder, cards, Instant(NOON.epoch_ms))
