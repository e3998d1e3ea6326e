"""The incident's folder: one place, private, strict names, nothing half-written, no link followed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from breakglass.errors import BreakglassError, DiskRefused, NotAuthorised, RecordDamaged, UsageError
from breakglass.incident.folder import IncidentFolder, find, home_folder


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    """Its parents are made too, and only its owner gets in."""
    folder = IncidentFolder.create(tmp_path / "home" / "incidents" / "INC-1")

    assert 0o700 == stat.S_IMODE(folder.path.stat().st_mode)
    assert folder == IncidentFolder.open(folder.path)


def test_an_empty_folder_is_taken_and_made_private(tmp_path: Path) -> None:
    """`--keep DIR` names the folder itself, which may be there already if nothing is in it."""
    (tmp_path / "keep").mkdir()
    (tmp_path / "keep").chmod(0o777)
    folder = IncidentFolder.create(tmp_path / "keep")

    assert 0o700 == stat.S_IMODE(folder.path.stat().st_mode)


def test_a_folder_with_anything_in_it_is_not_taken(tmp_path: Path) -> None:
    """A hidden file is something too; it stays as it is."""
    (tmp_path / "keep").mkdir()
    (tmp_path / "keep" / ".hidden").write_bytes(b"mine")
    with pytest.raises(UsageError, match="not empty"):
        IncidentFolder.create(tmp_path / "keep")

    assert b"mine" == (tmp_path / "keep" / ".hidden").read_bytes()


def test_a_link_is_neither_made_nor_opened(tmp_path: Path) -> None:
    """Nor is a file, nor a link that leads nowhere."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_bytes(b"")
    for name in ("link", "dangling", "file"):
        with pytest.raises(UsageError):
            IncidentFolder.create(tmp_path / name)
        with pytest.raises(UsageError):
            IncidentFolder.open(tmp_path / name)

    assert [] == list((tmp_path / "real").iterdir())


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_folder_that_others_can_write_is_not_opened(tmp_path: Path, mode: int) -> None:
    """What others may have put there cannot be believed."""
    folder = IncidentFolder.create(tmp_path / "INC-1")
    folder.path.chmod(mode)
    with pytest.raises(NotAuthorised) as refused:
        IncidentFolder.open(folder.path)

    assert f"chmod go-w {folder.path}" == refused.value.remedy


def test_somebody_elses_empty_folder_is_not_taken(tmp_path: Path) -> None:
    """Its owner could swap the journal under our hands."""
    if os.geteuid() != 0:
        pytest.skip("giving a folder away needs root")
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 12345, 12345)
    with pytest.raises(UsageError, match="somebody else"):
        IncidentFolder.create(tmp_path / "theirs")


def test_the_names_are_those_of_the_design(tmp_path: Path) -> None:
    """Each file has one name, the same in every run."""
    folder = IncidentFolder.create(tmp_path / "INC-1")
    paths = (
        folder.plan,
        folder.observations,
        folder.roster,
        folder.journal,
        folder.checkpoint,
        folder.checkpoint_sig,
        folder.log_pub,
        folder.allowed_signers,
        folder.report,
        folder.evidence,
        folder.sealed,
    )

    assert [
        "plan.json",
        "observations.json",
        "roster.json",
        "journal.jsonl",
        "checkpoint",
        "checkpoint.sig",
        "log.pub",
        "allowed_signers",
        "report.json",
        "evidence",
        "sealed",
    ] == [str(path.relative_to(folder.path)) for path in paths]


def test_a_file_is_written_whole_private_and_over_the_old_one(tmp_path: Path) -> None:
    """A leftover of a crashed write is in nobody's way, and none is left behind."""
    folder = IncidentFolder.create(tmp_path / "INC-1")
    (folder.path / ".plan.json.partial").write_bytes(b"half")
    folder.write("plan.json", b"one")
    folder.write("plan.json", b"two")
    folder.write("roster.7/alice@example.com.sig", b"signature")

    assert b"two" == folder.plan.read_bytes()
    assert 0o600 == stat.S_IMODE(folder.plan.stat().st_mode)
    assert ["plan.json", "roster.7"] == sorted(entry.name for entry in folder.path.iterdir())
    assert b"signature" == (folder.path / "roster.7" / "alice@example.com.sig").read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "/etc/x",
        "a//b",
        "a/../b",
        ".hidden",
        "-x",
        "a\nb",
        "a b",
        "ä",
        "a/",
        "x" * 300,
        "journal.jsonl",
    ],
)
def test_a_strange_name_is_refused(tmp_path: Path, name: str) -> None:
    """Nothing leaves the folder, hides in it, or replaces the journal."""
    folder = IncidentFolder.create(tmp_path / "INC-1")
    with pytest.raises(UsageError):
        folder.write(name, b"x")

    assert [] == list(folder.path.iterdir())


def test_a_planted_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """A link at a file's name gives way; one at a folder's name is refused."""
    folder = IncidentFolder.create(tmp_path / "INC-1")
    (tmp_path / "victim").write_bytes(b"safe")
    (tmp_path / "outside").mkdir()
    folder.plan.symlink_to(tmp_path / "victim")
    (folder.path / "roster.1").symlink_to(tmp_path / "outside")
    folder.write("plan.json", b"plan")
    with pytest.raises(UsageError, match="symbolic link"):
        folder.write("roster.1/alice.sig", b"x")

    assert b"safe" == (tmp_path / "victim").read_bytes()
    assert [] == list((tmp_path / "outside").iterdir())
    assert not folder.plan.is_symlink()


def test_signatures_are_those_over_the_plan(tmp_path: Path) -> None:
    """By name, in order; not the checkpoint's, not the roster's."""
    folder = IncidentFolder.create(tmp_path / "INC-1")
    for name in ("bob@x.sig", "alice@x.sig", "checkpoint.sig", "roster.1/carol@x.sig", "plan.json"):
        folder.write(name, name.encode())

    assert (("alice@x.sig", b"alice@x.sig"), ("bob@x.sig", b"bob@x.sig")) == folder.signatures()


def test_signatures_that_are_links_or_too_large_are_damage(tmp_path: Path) -> None:
    """256 KiB for all of them together, as for any quorum."""
    folder = IncidentFolder.create(tmp_path / "INC-1")
    folder.write("alice.sig", b"x" * 200_000)
    folder.write("bob.sig", b"x" * 100_000)
    with pytest.raises(RecordDamaged, match="larger"):
        folder.signatures()
    (folder.path / "bob.sig").unlink()
    (folder.path / "bob.sig").symlink_to("/etc/hostname")
    with pytest.raises(RecordDamaged, match="link"):
        folder.signatures()


def test_later_runs_are_numbered_in_order(tmp_path: Path) -> None:
    """Ten comes after nine, and each has the same names inside."""
    folder = IncidentFolder.create(tmp_path / "INC-1")

    assert () == folder.runs()

    made = [folder.new_run("verify") for _ in range(10)] + [folder.new_run("restore")]

    assert [f"{n}-verify" for n in range(1, 11)] + ["11-restore"] == [run.path.name for run in folder.runs()]
    assert tuple(made) == folder.runs()
    assert folder.path / "runs" / "1-verify" / "journal.jsonl" == folder.runs()[0].journal


@pytest.mark.parametrize("verb", ["", "../x", "Restore", "a b", "x" * 40])
def test_a_strange_verb_makes_no_run(tmp_path: Path, verb: str) -> None:
    """The verb is part of a name."""
    with pytest.raises(BreakglassError):
        IncidentFolder.create(tmp_path / "INC-1").new_run(verb)


def test_what_is_no_run_among_the_runs_is_damage(tmp_path: Path) -> None:
    """A link to another incident's run, say."""
    folder = IncidentFolder.create(tmp_path / "INC-1")
    folder.new_run("restore")
    (folder.path / "runs" / "2-restore").symlink_to(folder.path / "runs" / "1-restore")
    with pytest.raises(RecordDamaged):
        folder.runs()


def test_a_run_is_sealed_once_its_checkpoint_is_there(tmp_path: Path) -> None:
    """Whatever stands at that name: a link to nowhere does not unseal it."""
    folder = IncidentFolder.create(tmp_path / "INC-1")

    assert not folder.is_sealed()

    folder.checkpoint.symlink_to("/nowhere")

    assert folder.is_sealed()


def test_an_incident_is_found_by_id_or_path(tmp_path: Path) -> None:
    """An unknown id is answered with the nearest one, an empty one with nothing."""
    home = tmp_path / "home"
    folder = IncidentFolder.create(home / "INC-4711")

    assert folder == find(home, "INC-4711") == find(tmp_path / "elsewhere", str(folder.path))
    with pytest.raises(UsageError) as unknown:
        find(home, "INC-4712")
    assert "did you mean INC-4711?" == unknown.value.remedy
    for name in ("", "../home/nothing", "a\0b"):
        with pytest.raises(UsageError):
            find(home, name)


def test_where_incidents_lie(tmp_path: Path) -> None:
    """BREAKGLASS_HOME, else the XDG state folder, else the home's; a relative XDG folder does not count."""
    assert tmp_path == home_folder({"BREAKGLASS_HOME": str(tmp_path), "XDG_STATE_HOME": "/x"})
    assert Path("/x/breakglass/incidents") == home_folder({"XDG_STATE_HOME": "/x", "HOME": "/h"})
    assert Path("/h/.local/state/breakglass/incidents") == home_folder({"HOME": "/h"})
    assert Path("/h/.local/state/breakglass/incidents") == home_folder({"XDG_STATE_HOME": "x", "HOME": "/h"})


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    """A folder below a file cannot be made: where, why, what to do."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskRefused) as refused:
        IncidentFolder.create(tmp_path / "file" / "INC-1")

    assert str(tmp_path / "file") in refused.value.where
    assert refused.value.remedy
