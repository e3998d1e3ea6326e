"""Evidence is collected from real processes and logs: complete or said to be incomplete, without secrets."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass.canon import Json, sha256
from breakglass.errors import Denied
from breakglass.model.action import Verdict
from breakglass.model.resource import Resource
from breakglass_host import log_evidence, procfs
from breakglass_host.actions import credential_files, snapshot
from breakglass_host.actions.credential_files import WithholdCredential
from breakglass_host.actions.snapshot import Snapshot
from breakglass_host.patient import HangingRead, PatientReader
from providers.host.tests.rig_b import connection, public_folder, stop
from tests.backends import need

UID = 50_000 + os.getpid() % 9_000
"""A user of this session's own, so that no other test's processes are taken for the agent's."""
TOKEN = "quokka-7731-wombat-tail"  # noqa: S105 - planted
PASSWORD = 'pa55 w;rd&"more"\'end'  # noqa: S105 - planted
DROP = f"import os; os.setgroups([]); os.setresgid({UID}, {UID}, {UID}); os.setresuid({UID}, {UID}, {UID})\n"
WAITS = "import time; print('up', flush=True); time.sleep(600)"


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Return a folder that other users can reach."""
    need("host", os.geteuid() == 0, "reading another user's processes needs root")
    with public_folder() as path:
        yield path


@contextlib.contextmanager
def agent(
    code: str = WAITS, *arguments: str, first: str = "", env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run Python as the agent's user until the block ends; its whole process group is ended with it.

    `first` runs before the user is changed, who may not be able to read Python's own modules.
    """
    with subprocess.Popen(
        [sys.executable, "-c", first + DROP + code, *arguments],
        cwd="/",
        env={"PATH": "/usr/bin:/bin", **(env or {})},
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as running:
        try:
            assert running.stdout is not None
            running.stdout.readline()
            yield running
        finally:
            os.killpg(running.pid, 9)
            running.wait()
            until_nobody_is_in(running.pid)


def until_nobody_is_in(group: int) -> None:
    """Wait until every process of a group has ended: a thousand take a while, and the next test counts."""
    end = time.monotonic() + 60
    while any(one.alive and is_in(one.pid, group) for one in procfs.scan().values()):
        assert time.monotonic() < end
        time.sleep(0.02)


def is_in(pid: int, group: int) -> bool:
    """Return whether a process is in a group, and there at all."""
    try:
        return os.getpgid(pid) == group
    except ProcessLookupError:
        return False


def prepared(tmp_path: Path, **extra: Json) -> tuple[Snapshot, Resource]:
    """Return the action and the target that is proposed."""
    where = connection(tmp_path / "incident", {"user": str(UID), **extra})
    return Snapshot(where), snapshot.propose(where, "freeze", "kill").proposals[0].target


def collected(tmp_path: Path) -> dict[str, bytes]:
    """Return the evidence by the last part of its name."""
    folder = tmp_path / "incident" / "evidence"
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_everything_that_is_named_is_collected_with_its_digest(tmp_path: Path) -> None:
    """Processes, files, sockets, rules, maps and logs."""
    log = tmp_path / "bot.log"
    log.write_text("first line\nlast line\n")
    action, target = prepared(tmp_path, log_files=[str(log)])
    assert Verdict.UNKNOWN is action.judge(target, action.observe(target)).verdict
    with agent() as running:
        stop(action, target)
    found, state = collected(tmp_path), action.observe(target)

    assert Verdict.CONTAINED is action.judge(target, state).verdict
    names = (
        "processes.jsonl",
        "files.jsonl",
        "sockets.txt",
        "nftables.txt",
        "maps.txt",
        "tree.txt",
        "0-bot.log",
    )
    assert set(names) <= found.keys()
    digests = {
        value["sha256"] for value in state.objects.values() if isinstance(value, dict) and "sha256" in value
    }
    assert {sha256(found[name]) for name in names} <= digests
    [one] = [json.loads(line) for line in found["processes.jsonl"].splitlines()]
    assert (running.pid, "/", sys.executable) == (one["pid"], one["cwd"], one["command_line"][0])
    assert b"first line\nlast line\n" == found["0-bot.log"]
    assert b"tcp6" in found["sockets.txt"]
    assert b"[heap]" in found["maps.txt"]


def test_no_secret_of_environment_command_line_log_or_credential_file_gets_out(tmp_path: Path) -> None:
    """Also when the file was withheld before the snapshot, and in other places than where it was found."""
    credential, log = tmp_path / "token", tmp_path / "bot.log"
    credential.write_text(f'{{"access": "{TOKEN}"}}')
    log.write_text(f"using {TOKEN} now\nlogin as db user {PASSWORD}, ok\npassword={PASSWORD}\n")
    settings: dict[str, Json] = {"user": str(UID), "credential_files": [str(credential)]}
    where = connection(tmp_path / "incident", settings)
    step = credential_files.propose(where, None, "kill").proposals[0]
    stop(WithholdCredential(where), step.target)
    action, target = prepared(tmp_path, log_files=[str(log)], credential_files=[str(credential)])
    words = (f"--access-token={TOKEN}", "--password", PASSWORD, PASSWORD)
    with agent(WAITS, *words, env={"DB_PASSWORD": PASSWORD, "PLAIN": "visible", "NOTE": f"it is {TOKEN}"}):
        stop(action, target)
    found = collected(tmp_path)

    pieces = {secret[n : n + 6].encode() for secret in (TOKEN, PASSWORD) for n in range(len(secret) - 5)}
    escaped = {json.dumps(piece.decode())[1:-1].encode() for piece in pieces}
    leaks = {(n, piece) for n, data in found.items() for piece in pieces | escaped if piece in data}
    assert set() == leaks
    assert b"PLAIN=visible" in found["processes.jsonl"]
    report = json.loads(found["redaction.json"])
    assert report["redacted"]
    assert [] == report["left_out"]


def test_a_log_that_is_flooded_while_it_is_read_is_read_to_where_it_ended(tmp_path: Path) -> None:
    """The size is taken once."""
    log = tmp_path / "bot.log"
    log.write_bytes(b"before the flood\n")
    flood = (
        f"f = open({str(log)!r}, 'ab', 0); print('up', flush=True)\n"
        "while f.tell() < 1 << 29: f.write(b'x' * 65536)"
    )
    log.chmod(0o666)
    action, target = prepared(tmp_path, log_files=[str(log)])
    with agent(flood):
        stop(action, target)
    found = collected(tmp_path)["0-bot.log"]

    assert found.startswith(b"before the flood\n")
    assert len(found) <= log_evidence.HEAD + log_evidence.TAIL + 200
    assert Verdict.CONTAINED is action.judge(target, action.observe(target)).verdict


@pytest.mark.parametrize("where", ["begin", "end"])
def test_a_log_blown_up_to_100_mb_does_not_hide_what_it_says(tmp_path: Path, where: str) -> None:
    """Holes are not read, on either side of the data."""
    log = tmp_path / "bot.log"
    with log.open("wb") as file:
        if where == "end":
            file.seek(100 * 1024 * 1024)
        file.write(b"the truth\n")
        file.truncate(100 * 1024 * 1024 + 5000)
    started = time.monotonic()
    action, target = prepared(tmp_path, log_files=[str(log)])
    stop(action, target)

    assert b"the truth\n" in collected(tmp_path)["0-bot.log"]
    assert time.monotonic() - started < 20


def test_of_a_large_log_the_first_and_the_last_part_are_kept_and_the_rest_is_said(tmp_path: Path) -> None:
    """In the item's source and in the text itself."""
    log = tmp_path / "bot.log"
    log.write_bytes(b"FIRST\n" + b"some words of a log line\n" * 400_000 + b"LAST\n")
    action, target = prepared(tmp_path, log_files=[str(log)])
    stop(action, target)
    found = collected(tmp_path)["0-bot.log"]

    assert found.startswith(b"FIRST\n")
    assert found.endswith(b"LAST\n")
    assert b"bytes left out" in found
    sources = [
        str(value) for value in action.observe(target).objects.values() if "bot.log bytes" in str(value)
    ]
    assert f"of {log.stat().st_size}" in sources[0]


@pytest.mark.parametrize("what", ["link", "folder link", "pipe", "missing", "folder"])
def test_what_is_no_log_is_not_followed_and_makes_the_snapshot_incomplete(tmp_path: Path, what: str) -> None:
    """The agent points its log at somebody else's file; nothing of that is copied and nothing waits."""
    (tmp_path / "theirs").mkdir()
    secret, lair = tmp_path / "theirs" / "bot.log", tmp_path / "lair"
    secret.write_text("not the agent's to show")
    lair.mkdir()
    log = lair / "bot.log"
    log.write_text("x")
    action, target = prepared(tmp_path, log_files=[str(log)])
    log.unlink()
    if what == "link":
        log.symlink_to(secret)
    elif what == "folder link":
        lair.rmdir()
        lair.symlink_to(tmp_path / "theirs")
    elif what == "pipe":
        os.mkfifo(log)
    elif what == "folder":
        log.mkdir()
    with pytest.raises(Denied, match="left out"):
        stop(action, target)
    state = action.observe(target)

    assert not state.complete
    assert Verdict.UNKNOWN is action.judge(target, state).verdict
    assert not any(b"not the agent's" in data for data in collected(tmp_path).values())


def test_ten_thousand_open_files_are_listed_in_the_time_that_evidence_has(tmp_path: Path) -> None:
    """Each by its name."""
    (tmp_path / "held").mkdir(mode=0o777)
    (tmp_path / "held").chmod(0o777)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (10100, 10100))\n"
    hold = f"held = [open('{tmp_path}/held/%d' % n, 'w') for n in range(10000)]\n" + WAITS
    action, target = prepared(tmp_path)
    with agent(hold, first=limit):
        stop(action, target)
    lines = collected(tmp_path)["files.jsonl"].splitlines()
    line = next(line for line in lines if b"held/9999" in line)

    assert 10_003 == len(json.loads(line)["files"])


def test_a_thousand_processes_are_described_in_the_time_that_evidence_has(tmp_path: Path) -> None:
    """Each with its environment."""
    family = "import os, time\nfor n in range(999):\n    if os.fork() == 0: time.sleep(600)\n" + WAITS
    action, target = prepared(tmp_path)
    with agent(family, env={"PLAIN": "visible"}):
        stop(action, target)
    lines = collected(tmp_path)["processes.jsonl"].splitlines()

    assert 1000 == len(lines)
    assert all(b"PLAIN=visible" in line for line in lines)


class TooLate:
    """A clock on which a snapshot's time is over after some readings."""

    def __init__(self, readings: int) -> None:
        """Let so many readings pass."""
        self.readings = readings

    def __call__(self) -> bool:
        """Say whether the time is over."""
        self.readings -= 1
        return self.readings < 0


def test_what_there_was_no_time_for_is_counted_and_said(tmp_path: Path) -> None:
    """A deadline never looks like a complete answer."""
    from breakglass_host import membership, process_evidence
    from breakglass_host.redact import Redactor

    del tmp_path
    with agent(), agent(), agent():
        reading = process_evidence.Reading(Redactor(b"k" * 32), TooLate(2))
        members = membership.members({"user": str(UID)})
        process_evidence.learn(reading, members)
    reading.reader.close()

    assert 3 == len(members)
    assert procfs.process(members[0].pid) is None
    assert ["environment of 1 processes: no time left"] == reading.left_out()


def test_a_read_that_hangs_is_left_behind_and_the_next_one_is_answered(tmp_path: Path) -> None:
    """As /proc/PID/environ does, when its owner backs it with a page-fault handler that never answers."""
    os.mkfifo(tmp_path / "hangs")
    (tmp_path / "answers").write_bytes(b"here")
    reader = PatientReader(patience_s=0.05)
    with pytest.raises(HangingRead):
        reader.read(str(tmp_path / "hangs"))

    assert b"here" == reader.read(str(tmp_path / "answers"))
    with pytest.raises(FileNotFoundError):
        reader.read(str(tmp_path / "nothing"))
    reader.close()
    os.close(os.open(tmp_path / "hangs", os.O_WRONLY))


def test_a_name_with_control_characters_is_escaped_in_the_evidence(tmp_path: Path) -> None:
    """Nobody's terminal obeys a process."""
    name = "ctypes.CDLL(None).prctl(15, b'\\x1b[31m\\n\\xff', 0, 0, 0)\n" + WAITS
    action, target = prepared(tmp_path)
    with agent(name, first="import ctypes\n"):
        stop(action, target)

    assert b"\x1b" not in b"".join(collected(tmp_path).values())
    assert b"[31m" in collected(tmp_path)["processes.jsonl"]


def test_a_repeated_apply_adds_only_what_is_missing(tmp_path: Path) -> None:
    """Evidence is never collected twice in one run."""
    action, target = prepared(tmp_path)
    stop(action, target, rounds=2)

    assert {"redaction.json", "redaction.json.2"} == {
        name for name in collected(tmp_path) if name.startswith("red")
    }
    assert not any(name.endswith(".2") and not name.startswith("red") for name in collected(tmp_path))
