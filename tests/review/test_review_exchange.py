"""Signatures come through places that many can write: none of them may prevent a stop, or widen one."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from breakglass.authorise.request import Approval, encode_approval
from breakglass.canon import Json
from breakglass.cli.plan_view import plan_rows
from breakglass.errors import MalformedInput, UsageError
from breakglass.incident.folder import IncidentFolder
from breakglass.keys.sshsig import armor
from breakglass.model.plan import PlannedReach, plan_digest
from breakglass.model.resource import Resource
from breakglass.report.typeset import text_of
from breakglass.usecases.alert import read_alert
from breakglass.usecases.approve import accept, collect, publish, read_request, rejection_in
from tests.trust.team import Team, make_team

JUNK = armor(b"SSHSIG" + b"\0" * 64)


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def folder(tmp_path: Path) -> IncidentFolder:
    return IncidentFolder.create(tmp_path / "home" / "inc-1")


def counting(team: Team) -> Callable[[bytes], bool]:
    """Return what says of a file whether it is a signature that counts."""

    def counts(data: bytes) -> bool:
        from breakglass.authorise.quorum import SignatureFile

        return bool(team.count([SignatureFile("exchange", data)]).signed)

    return counts


def take(team: Team, folder: IncidentFolder, exchange: Path) -> None:
    """Look once into the exchange."""
    digest = plan_digest(team.plan.to_bytes())
    refuses = lambda data: rejection_in(data, digest, team.roster) is not None  # noqa: E731 - one line says it
    collect(folder, exchange, team.roster, counting(team), refuses)


def signed(team: Team, folder: IncidentFolder) -> list[str]:
    """Return who counts, by what lies in the folder."""
    from breakglass.authorise.quorum import SignatureFile

    files = [SignatureFile(name, data) for name, data in folder.signatures()]
    return [item.person for item in team.count(files).signed]


def test_junk_that_lies_in_the_place_of_a_signature_keeps_the_real_one_from_nobody(
    team: Team, folder: IncidentFolder, tmp_path: Path
) -> None:
    """Whoever writes bob.sig first would else hold a veto."""
    exchange = tmp_path / "exchange"
    exchange.mkdir()
    name = f"{team.bob.name}.sig"
    (exchange / name).write_bytes(JUNK)
    take(team, folder, exchange)
    assert [] == signed(team, folder)

    (exchange / name).write_bytes(team.sign(team.bob)[0].data)
    take(team, folder, exchange)
    (exchange / name).write_bytes(JUNK + b"\n")
    take(team, folder, exchange)

    assert [team.bob.name] == signed(team, folder)


def test_an_exchange_full_of_junk_neither_fills_the_cap_nor_the_disk(
    team: Team, folder: IncidentFolder, tmp_path: Path
) -> None:
    """Five files of 60 KB were once enough to end the wait for signatures with an error."""
    exchange = tmp_path / "exchange"
    exchange.mkdir()
    for n in range(300):
        (exchange / f"a{n}.sig").write_bytes(b"x" * 60_000)
        (exchange / f"a{n}.rejection").write_bytes(b"x" * 60_000)
    (exchange / f"{team.alice.name}.sig").write_bytes(b"x" * 60_000)
    (exchange / f"{team.bob.name}.sig").write_bytes(team.sign(team.bob)[0].data)
    (exchange / f"{team.carol.name}.sig").symlink_to("/etc/shadow")

    take(team, folder, exchange)

    assert [f"{team.bob.name}.sig"] == sorted(path.name for path in folder.path.iterdir())


def test_a_pasted_approval_replaces_nobodys_signature(team: Team, folder: IncidentFolder) -> None:
    """A string that claims to be alice's, and is not, once took away the one that counted."""
    digest = plan_digest(team.plan.to_bytes())
    real = team.sign(team.alice)[0].data
    accept(folder, digest, encode_approval(Approval(team.alice.name, digest, real)))

    accept(folder, digest, encode_approval(Approval(team.alice.name, digest, JUNK)))

    assert [team.alice.name] == signed(team, folder)


def test_a_pasted_approval_makes_no_folder(team: Team, folder: IncidentFolder) -> None:
    """A person called runs/1-x once made the incident unreadable."""
    digest = plan_digest(team.plan.to_bytes())

    with pytest.raises(MalformedInput, match="slash"):
        accept(folder, digest, encode_approval(Approval("runs/1-x", digest, JUNK)))

    assert () == folder.runs()


@pytest.mark.parametrize("place", ["a file", "a link", "taken"])
def test_an_exchange_that_cannot_be_used_prevents_no_stop(
    team: Team, folder: IncidentFolder, tmp_path: Path, place: str
) -> None:
    """The request still lies in the incident's folder, and can be pasted; nothing is written elsewhere."""
    exchange, elsewhere = tmp_path / "exchange", tmp_path / "elsewhere"
    elsewhere.mkdir()
    if place == "a file":
        exchange.write_text("no folder")
    else:
        exchange.mkdir()
        if place == "a link":
            (exchange / "inc-1").symlink_to(elsewhere)
        else:
            (exchange / "inc-1").mkdir()

    text = publish(folder, team.plan.to_bytes(), exchange / "inc-1")

    assert text is not None
    assert text == (folder.path / "request.txt").read_text().strip()
    assert [] == list(elsewhere.iterdir())


def test_a_real_plan_that_names_an_endpoint_of_a_sandbox_is_refused(team: Team) -> None:
    """A fake must not be mistaken for the world, whoever signed it."""
    reach = dataclasses.replace(team.plan.reaches[0], endpoints=("http://127.0.0.1:4566",))
    faked = team.with_plan(reaches=(reach,))

    assert "a real plan names an endpoint of a sandbox: http://127.0.0.1:4566" == faked.refusal(
        faked.sign(faked.alice, faked.bob)
    )


def test_the_screen_shows_every_setting_and_parameter_that_is_signed(team: Team) -> None:
    """A harmless label over a harmful parameter was once all that the second operator saw."""
    settings: dict[str, Json] = {
        "issuer": "https://login.evil.example",
        "token": [{"key": "file", "value": "/etc/shadow"}],
    }
    reach = PlannedReach(0, "oauth", "breakglass 1", "oauth bot", (), settings)
    target = Resource("file", "support-bot", "token of support-bot", {"path": "/etc/passwd", "uid": 1234567})
    step = dataclasses.replace(team.plan.steps[0], target=target)
    plan = dataclasses.replace(team.plan, reaches=(reach,), steps=(step,))

    shown = text_of(plan_rows(plan, digest="0" * 64))

    for value in ("https://login.evil.example", "/etc/shadow", "/etc/passwd", "1234567"):
        assert value in shown


@pytest.mark.parametrize("text", ["x" * 5000, "bg" + "\0", base64.b64encode(b"x" * 900).decode()])
def test_a_text_that_is_no_request_is_a_mistake_and_no_bug(text: str, tmp_path: Path) -> None:
    """Exit 2, whatever was pasted."""
    with pytest.raises(UsageError):
        read_request(text, exchange=tmp_path, home=tmp_path)


def test_a_file_that_a_person_named_and_that_is_not_there_is_a_mistake_and_no_damage(tmp_path: Path) -> None:
    """Exit 2; exit 7 is for journals and evidence."""
    with pytest.raises(UsageError) as caught:
        read_alert(tmp_path / "alert.json", "bot")

    assert 2 == caught.value.exit_code
