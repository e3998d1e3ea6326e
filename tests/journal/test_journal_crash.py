"""Crashes and full disks, for real: what was said to be durable is there, and nothing half-written counts."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from breakglass.journal.reader import read_journal
from breakglass.journal.writer import Journal
from tests.backends import need
from tests.journal.making import CLOCK, write_journal

HERE = Path(__file__).parent
ROUNDS = 12
ALL_ROUNDS = 200


def run_and_kill(path: Path, after_s: float) -> list[tuple[int, str]]:
    """Let a writer run for a while after its first record, kill it, and return what it said was durable."""
    with subprocess.Popen(
        [sys.executable, HERE / "writer_child.py", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        first = child.stdout.readline()
        time.sleep(after_s)
        child.kill()
        said = first + child.stdout.read()
        assert b"" == child.stderr.read()
    complete = said[: said.rfind(b"\n") + 1].decode().splitlines()
    return [(int(line.split()[0]), line.split()[1]) for line in complete]


@pytest.mark.campaign
def test_kill_9_at_random_instants_loses_nothing_that_was_durable(tmp_path: Path, full: bool) -> None:  # noqa: FBT001 - a fixture
    """One journal, killed and gone on with again and again: each record once said is still in its place."""
    chance = random.Random(20)
    path = tmp_path / "journal.jsonl"
    said: list[tuple[int, str]] = []
    for _ in range(ALL_ROUNDS if full else ROUNDS):
        if path.exists() and path.stat().st_size > 4_000_000:
            path.unlink()
            said = []
        said += run_and_kill(path, chance.random() * 0.03)
        records = read_journal(path).records

        assert [] == [seq for seq, digest in said if records[seq].digest != digest]
    with Journal.reopen(path, CLOCK) as journal:
        journal.append("run.resumed", {})
    contents = read_journal(path)

    assert b"" == contents.torn_tail
    assert len(said) <= len(contents.records)


@pytest.mark.parametrize("lost", [1, 40, 150])
def test_a_torn_tail_is_moved_aside_and_said(tmp_path: Path, lost: int) -> None:
    """The bytes are kept beside the journal, and the journal says how many and where."""
    path = write_journal(tmp_path / "journal.jsonl", range(3))
    whole = path.read_bytes()
    path.write_bytes(whole[:-lost])
    tail = whole[:-lost].rpartition(b"\n")[2]
    with Journal.reopen(path, CLOCK) as journal:
        went_on = journal.append("run.resumed", {})
    records = read_journal(path).records

    assert ["step.started", "step.started", "journal.recovered", "run.resumed"] == [r.type for r in records]
    assert {"bytes": len(tail), "file": "journal.torn.1"} == records[2].body
    assert tail == (tmp_path / "journal.torn.1").read_bytes()
    assert 3 == went_on.seq


def test_each_torn_tail_has_a_file_of_its_own(tmp_path: Path) -> None:
    """A second crash does not overwrite what the first one left."""
    path = write_journal(tmp_path / "journal.jsonl", range(1))
    for tail in (b"first", b"second", b"first"):
        with path.open("ab") as file:
            file.write(tail)
        Journal.reopen(path, CLOCK).close()
    files = [
        record.body["file"] for record in read_journal(path).records if record.type == "journal.recovered"
    ]

    assert ["journal.torn.1", "journal.torn.2", "journal.torn.1"] == files
    assert [b"first", b"second"] == [(tmp_path / f"journal.torn.{n}").read_bytes() for n in (1, 2)]


def test_a_crash_during_recovery_is_recovered(tmp_path: Path) -> None:
    """Killed after the tail was kept or while the new file was written: the next recovery ends it."""
    path = write_journal(tmp_path / "journal.jsonl", range(2))
    with path.open("ab") as file:
        file.write(b"torn")
    (tmp_path / "journal.torn.1").write_bytes(b"torn")
    (tmp_path / ".journal.jsonl.partial").write_bytes(b"half of a new jour")
    Journal.reopen(path, CLOCK).close()

    assert ["journal.jsonl", "journal.torn.1"] == sorted(entry.name for entry in tmp_path.iterdir())
    assert "journal.recovered" == read_journal(path).records[-1].type


def test_a_journal_without_a_record_goes_on(tmp_path: Path) -> None:
    """A crash between making the file and writing its first line leaves an empty journal."""
    (tmp_path / "journal.jsonl").touch(0o600)
    with Journal.reopen(tmp_path / "journal.jsonl", CLOCK) as journal:
        assert 0 == journal.append("run.opened", {}).seq


def test_the_hook_sees_a_record_only_when_it_is_durable(tmp_path: Path) -> None:
    """A process that dies in the hook, as a kill campaign makes it, leaves exactly the records before it."""
    path = tmp_path / "journal.jsonl"
    program = (
        "import os, sys, pathlib\n"
        "from breakglass.clock import SystemClock\n"
        "from breakglass.journal.writer import Journal, Watch\n"
        "die = lambda record: os.kill(os.getpid(), 9) if record.seq == 2 else None\n"
        "journal = Journal.create(pathlib.Path(sys.argv[1]), SystemClock(), watch=Watch(after=die))\n"
        "while True: journal.append('step.started', {})\n"
    )
    died = subprocess.run([sys.executable, "-c", program, path], check=False)

    assert -9 == died.returncode
    assert [0, 1, 2] == [record.seq for record in read_journal(path).records]


def test_a_file_that_may_not_grow_loses_nothing(tmp_path: Path) -> None:
    """RLIMIT_FSIZE, which any user can set: four threads are told, what was durable is there, it goes on."""
    done = subprocess.run(
        [sys.executable, HERE / "disk_full_child.py", tmp_path, "rlimit"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ("nothing lost\n", "") == (done.stdout, done.stderr)


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """A tmpfs of 256 KiB in its own mount namespace: the disk fills, room is made, the journal goes on."""
    can = (
        os.geteuid() == 0
        and subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0
    )
    need("mount-namespace", can, "mounting a small tmpfs needs root and unshare; RLIMIT_FSIZE stands in")
    done = subprocess.run(
        ["unshare", "-m", sys.executable, HERE / "disk_full_child.py", tmp_path, "tmpfs"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ("nothing lost\n", "") == (done.stdout, done.stderr)
    assert [] == list(tmp_path.iterdir())
