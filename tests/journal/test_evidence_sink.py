"""Evidence and sealed state: digested, durable, private, and never outside of their folder."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from breakglass.canon import Json
from breakglass.errors import ProviderError, RecordDamaged
from breakglass.incident.evidence import FolderEvidence
from breakglass.incident.folder import IncidentFolder
from breakglass.incident.sealed import FolderSealed


@pytest.fixture
def folder(tmp_path: Path) -> IncidentFolder:
    """Make an incident's folder."""
    return IncidentFolder.create(tmp_path / "INC-1")


def files(folder: IncidentFolder) -> list[str]:
    """List every file below the folder."""
    return sorted(str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file())


def test_an_item_carries_the_digest_of_what_was_written(folder: IncidentFolder) -> None:
    """Path, digest, size and source; the file is private and nothing else is left."""
    item = FolderEvidence(folder).put("proc/12/maps", "/proc/12/maps", [b"one", b"", b"two"])

    assert ("evidence/proc/12/maps", 6, "/proc/12/maps") == (item.path, item.size, item.source)
    assert hashlib.sha256(b"onetwo").hexdigest() == item.sha256
    assert b"onetwo" == (folder.path / item.path).read_bytes()
    assert 0o600 == stat.S_IMODE((folder.path / item.path).stat().st_mode)
    assert ["evidence/proc/12/maps"] == files(folder)


def test_a_taken_name_gets_a_suffix(folder: IncidentFolder) -> None:
    """Evidence never overwrites evidence, also after a restart."""
    paths = [FolderEvidence(folder).put("app.log", "x", [b"%d" % n]).path for n in range(3)]

    assert ["evidence/app.log", "evidence/app.log.2", "evidence/app.log.3"] == paths
    assert [b"0", b"1", b"2"] == [(folder.path / path).read_bytes() for path in paths]


def test_threads_that_put_the_same_name_overwrite_nothing(folder: IncidentFolder) -> None:
    """Sixteen at once, each with a sink of its own as providers have: sixteen files, each whole."""
    together = threading.Barrier(16)

    def put(n: int) -> tuple[int, str]:
        together.wait(10)
        return n, FolderEvidence(folder).put("deep/app.log", "x", [b"%d" % n] * 100).path

    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(put, range(16)))

    assert 16 == len({path for _, path in done})
    assert all((folder.path / path).read_bytes() == b"%d" % n * 100 for n, path in done)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a//b",
        ".",
        "..",
        "a/.",
        "-rf",
        "a\nb",
        "a\0b",
        "é",
        "x" * 300,
        "a/" * 20 + "b",
    ],
)
def test_a_strange_name_is_refused(folder: IncidentFolder, name: str) -> None:
    """Names come from what the agent made; nothing is written."""
    with pytest.raises(ProviderError):
        FolderEvidence(folder).put(name, "x", [b"x"])

    assert [] == files(folder)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(name=st.text(st.sampled_from("a./-~\\ \n%"), max_size=12))
def test_no_name_leads_out_of_the_folder(folder: IncidentFolder, name: str) -> None:
    """Whatever is accepted lies below evidence/."""
    try:
        item = FolderEvidence(folder).put(name, "x", [b"x"])
    except ProviderError:
        return

    assert (folder.path / item.path).resolve().is_relative_to(folder.evidence.resolve())


def test_a_planted_link_is_not_followed(tmp_path: Path, folder: IncidentFolder) -> None:
    """Neither as a folder nor as a file of evidence."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "victim").write_bytes(b"safe")
    folder.evidence.mkdir()
    (folder.evidence / "logs").symlink_to(tmp_path / "outside")
    (folder.evidence / "app.log").symlink_to(tmp_path / "victim")
    with pytest.raises(ProviderError):
        FolderEvidence(folder).put("logs/x", "x", [b"x"])

    assert "evidence/app.log.2" == FolderEvidence(folder).put("app.log", "x", [b"x"]).path
    assert b"safe" == (tmp_path / "victim").read_bytes()
    assert [] == list((tmp_path / "outside").iterdir())


def test_what_a_crash_left_is_not_taken_for_evidence(folder: IncidentFolder) -> None:
    """The cut-off item keeps its name, which says that it is partial; the next one gets another."""
    folder.evidence.mkdir()
    (folder.evidence / "app.log.partial").write_bytes(b"ha")

    assert "evidence/app.log.2" == FolderEvidence(folder).put("app.log", "x", [b"whole"]).path
    assert ["evidence/app.log.2", "evidence/app.log.partial"] == files(folder)


def test_a_disk_that_refuses_evidence_is_the_steps_trouble_only(folder: IncidentFolder) -> None:
    """A provider error, so that the engine goes on with the other steps."""
    folder.evidence.write_bytes(b"a file where the folder belongs")
    with pytest.raises(ProviderError):
        FolderEvidence(folder).put("app.log", "x", [b"x"])
    folder.sealed.write_bytes(b"here too")
    with pytest.raises(ProviderError):
        FolderSealed(folder).put("label", b"x")


def test_a_source_that_breaks_leaves_nothing(folder: IncidentFolder) -> None:
    """The reader's own error comes through, and half of a file is no evidence."""

    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise ProviderError("the process is gone")

    with pytest.raises(ProviderError, match="gone"):
        FolderEvidence(folder).put("maps", "x", chunks())

    assert [] == files(folder)


def test_evidence_leaves_room_for_the_journal(folder: IncidentFolder) -> None:
    """A log that is flooded must not fill the disk that the stop needs."""
    disk = os.statvfs(folder.path)
    with pytest.raises(ProviderError, match="kept for the journal"):
        FolderEvidence(folder, reserve_bytes=disk.f_blocks * disk.f_frsize).put("flood.log", "x", [b"x"])

    assert [] == files(folder)


def test_sealed_state_comes_back_and_says_nothing(folder: IncidentFolder) -> None:
    """The reference holds a salted commitment; the bytes are in a private file of a private folder."""
    store = FolderSealed(folder)
    reference = store.put("crontab of bot", b"SECRET=hunter2")

    assert b"SECRET=hunter2" == FolderSealed(folder).get(reference)
    assert {"sealed", "size", "commitment"} == set(reference)
    assert 14 == reference["size"]
    assert hashlib.sha256(b"SECRET=hunter2").hexdigest() != reference["commitment"]
    assert 0o700 == stat.S_IMODE(folder.sealed.stat().st_mode)
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in folder.sealed.iterdir()}


def test_sealing_the_same_again_gives_the_same_reference(folder: IncidentFolder) -> None:
    """After a crash too; other bytes under the label get a name of their own and both stay."""
    first = FolderSealed(folder).put("label", b"one")
    other = FolderSealed(folder).put("label", b"two")

    assert first == FolderSealed(folder).put("label", b"one")
    assert other == FolderSealed(folder).put("label", b"two")
    assert [b"one", b"two"] == [FolderSealed(folder).get(reference) for reference in (first, other)]


def test_stores_of_several_providers_overwrite_nothing(folder: IncidentFolder) -> None:
    """Sixteen threads, each with a store of its own, one label: sixteen references that all hold."""
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda n: FolderSealed(folder).put("label", b"%d" % n), range(16)))

    assert [b"%d" % n for n in range(16)] == [FolderSealed(folder).get(reference) for reference in found]


def test_the_same_bytes_under_two_labels_cannot_be_matched(folder: IncidentFolder) -> None:
    """Each has a salt of its own."""
    store = FolderSealed(folder)

    assert store.put("a", b"x")["commitment"] != store.put("b", b"x")["commitment"]


def test_sealed_state_that_changed_is_damage(folder: IncidentFolder) -> None:
    """The bytes, the salt, a missing file, or a file replaced by a link."""
    store = FolderSealed(folder)
    for number, change in enumerate(("bytes", "salt", "gone", "link")):
        reference = store.put(f"label {number}", b"data")
        path = folder.sealed / str(reference["sealed"])
        if change == "bytes":
            path.write_bytes(b"dada")
        elif change == "salt":
            path.with_name(path.name + ".salt").write_bytes(b"x" * 32)
        else:
            path.unlink()
        if change == "link":
            path.symlink_to("/etc/hostname")
        with pytest.raises(RecordDamaged):
            store.get(reference)


@pytest.mark.parametrize(
    "reference",
    [
        None,
        "x",
        {},
        {"sealed": "../../etc/passwd", "size": 1, "commitment": "0" * 64},
        {"sealed": "0" * 32, "size": 1, "commitment": "0" * 64},
        {"sealed": "0" * 32 + ".salt", "size": 32, "commitment": "0" * 64},
    ],
)
def test_what_is_no_reference_is_damage(folder: IncidentFolder, reference: Json) -> None:
    """References come back from a journal, and are checked like everything else."""
    with pytest.raises(RecordDamaged):
        FolderSealed(folder).get(reference)


def test_labels_of_any_kind_are_fine(folder: IncidentFolder) -> None:
    """A label may be a path of bytes that are no UTF-8; it never becomes a file name."""
    store = FolderSealed(folder)
    for label in ("../../x", "a\nb", "x" * 5000, os.fsdecode(b"/home/\xff/crontab")):
        assert label.encode("utf-8", "surrogateescape") == store.get(
            store.put(label, label.encode("utf-8", "surrogateescape"))
        )
