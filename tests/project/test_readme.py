"""What the README prints for checking with stock tools is run as printed, on whole and on damaged folders."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from breakglass import errors
from breakglass.clock import SystemClock
from breakglass.journal.sealing import seal
from breakglass.journal.writer import Journal
from breakglass.keys.key_file import FileSigner
from tests.backends import need

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
ORG = "example.com"


def block(name: str) -> str:
    """Return the fenced block that follows the comment of this name."""
    found = re.search(rf"<!-- {name} -->\n```sh\n(.*?)```", README, re.DOTALL)
    assert found, name
    return found[1]


def run(name: str, incident: Path) -> subprocess.CompletedProcess[str]:
    """Run a block of the README in a POSIX shell."""
    return subprocess.run(
        ["sh", "-c", block(name)],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "INCIDENT": str(incident)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def key(folder: Path, name: str) -> Path:
    """Make an unencrypted key with the stock program."""
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)], check=True)
    return path


def sealed(folder: Path, keys: Path, records: int) -> Path:
    """Write an incident's folder with a journal of so many records, a plan and two signatures."""
    folder.mkdir(mode=0o700)
    (folder / "plan.json").write_bytes(b'{"plan":1}')
    signers = []
    for person in ("alice@example.com", "bob@example.com"):
        secret = key(keys, person)
        made = subprocess.run(
            ["ssh-keygen", "-q", "-Y", "sign", "-f", str(secret), "-n", f"breakglass-plan-v1@{ORG}"],
            input=(folder / "plan.json").read_bytes(),
            capture_output=True,
            check=True,
        )
        (folder / f"{person}.sig").write_bytes(made.stdout)
        signers.append((person, "plan", secret))
    log_key = key(keys, "log-key")
    signers.append(("executor-1", "checkpoint", log_key))
    (folder / "log.pub").write_text(log_key.with_suffix(".pub").read_text())
    (folder / "allowed_signers").write_text(
        "".join(
            f'{who} namespaces="breakglass-{kind}-v1@{ORG}" {(path.parent / f"{path.name}.pub").read_text()}'
            for who, kind, path in signers
        )
    )
    with Journal.create(folder / "journal.jsonl", SystemClock()) as journal:
        for n in range(records - 1):
            odd = '$(id) `id` \\n %s "quoted" \u202e end\\'
            journal.append("run.interrupted", {"reason": odd, "prev": {"prev": "0" * 64, "n": n}})
        journal.append("run.sealed", {"verdict": "contained", "open": [], "timings": {}})
    seal(
        folder,
        origin=f"{ORG}/executor-1/inc-1",
        signer=FileSigner(log_key, lambda: b"", allow_plain=True),
    )
    return folder


@pytest.fixture(scope="module")
def incident(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a sealed run of thirteen records."""
    for program in ("ssh-keygen", "sha256sum", "od", "xargs"):
        need("host", shutil.which(program) is not None, f"{program} is not installed")
    return sealed(tmp_path_factory.mktemp("kept") / "inc-1", tmp_path_factory.mktemp("keys"), 13)


def test_the_printed_lines_accept_a_whole_incident(incident: Path) -> None:
    """Both signatures over the plan, the executor's over the checkpoint, the chain and the root hold."""
    signatures = run("verify-signatures", incident)
    journal = run("verify-journal", incident)

    assert 0 == signatures.returncode, signatures.stdout + signatures.stderr
    assert {"alice@example.com", "bob@example.com", "executor-1"} == set(
        re.findall(r'^Good "breakglass-\S+" signature for (\S+) with', signatures.stdout, re.MULTILINE)
    )
    assert (0, "whole: 13 records\n", "") == (journal.returncode, journal.stdout, journal.stderr)


@pytest.mark.parametrize("records", [1, 2, 3, 4, 5, 7, 8, 9])
def test_the_printed_lines_compute_the_root_of_every_shape_of_tree(
    tmp_path: Path, records: int, incident: Path
) -> None:
    """Full, lopsided and single trees have the root that the checkpoint states."""
    del incident
    keys = tmp_path / "keys"
    keys.mkdir()

    journal = run("verify-journal", sealed(tmp_path / "run", keys, records))

    assert f"whole: {records} records\n" == journal.stdout


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Path], None]:
    """Return a damage that changes the journal's lines."""

    def damage(folder: Path) -> None:
        path = folder / "journal.jsonl"
        path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))

    return damage


def rewritten(all_: list[bytes]) -> list[bytes]:
    """Change a word and mend the chain after it, as somebody who knows the form would."""
    mended, prev = [], "0" * 64
    for line in all_:
        new = re.sub(rb'"prev":"[0-9a-f]{64}","seq"', b'"prev":"%b","seq"' % prev.encode(), line)
        mended.append(new.replace(b'"contained"', b'"unknown"'))
        prev = hashlib.sha256(mended[-1].rstrip(b"\n")).hexdigest()
    return mended


JOURNAL_DAMAGE = {
    "rewritten with a whole chain": lines(rewritten),
    "a word in the middle": lines(lambda all_: [*all_[:5], all_[5].replace(b"quoted", b"QUOTED"), *all_[6:]]),
    "a word in the last": lines(lambda all_: [*all_[:-1], all_[-1].replace(b"contained", b"unknown")]),
    "a line gone": lines(lambda all_: [*all_[:5], *all_[6:]]),
    "the last line gone": lines(lambda all_: all_[:-1]),
    "the last newline gone": lines(lambda all_: [*all_[:-1], all_[-1].rstrip(b"\n")]),
    "two lines swapped": lines(lambda all_: [*all_[:3], all_[4], all_[3], *all_[5:]]),
    "a line twice": lines(lambda all_: [*all_[:4], all_[3], *all_[4:]]),
    "the first line gone": lines(lambda all_: all_[1:]),
    "nothing left": lines(lambda _: []),
}


@pytest.mark.parametrize("damage", JOURNAL_DAMAGE.values(), ids=JOURNAL_DAMAGE)
def test_the_printed_lines_find_damage_to_the_journal(
    incident: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """Whatever was changed after sealing, the shell says so and ends with 7."""
    copy = shutil.copytree(incident, tmp_path / "copy")
    damage(copy)

    checked = run("verify-journal", copy)

    assert 7 == checked.returncode
    assert "whole" not in checked.stdout


@pytest.mark.parametrize("name", ["plan.json", "checkpoint", "alice@example.com.sig", "checkpoint.sig"])
def test_the_printed_lines_refuse_what_was_not_signed(incident: Path, tmp_path: Path, name: str) -> None:
    """One changed byte of what was signed, or another's signature, is refused."""
    copy = shutil.copytree(incident, tmp_path / "copy")
    if name.endswith(".sig"):
        shutil.copy(copy / "bob@example.com.sig", copy / name)
    else:
        (copy / name).write_bytes((copy / name).read_bytes() + b"\n")

    assert 0 != run("verify-signatures", copy).returncode


def test_the_printed_lines_are_a_dozen() -> None:
    """What must be trusted by reading is short enough to be read."""
    assert len(block("verify-journal").splitlines()) <= 18


def test_every_command_that_the_readme_names_exists() -> None:
    """What a reader copies from the README is a command of this program."""
    named = {
        " ".join(word for word in words.split() if word.islower())
        for words in re.findall(r"`breakglass ((?:[a-z]+ ?){1,2})", README)
    }
    assert {"stop", "plan", "approve", "resume", "restore", "kit init", "journal verify"} <= named
    missing = [
        command
        for command in sorted(named)
        if subprocess.run(
            [sys.executable, "-m", "breakglass", *command.split(), "--help"], capture_output=True, check=False
        ).returncode
    ]

    assert [] == missing


def test_the_exit_codes_are_those_of_the_program() -> None:
    """The table has one row for each code of errors.py, and no other."""
    table = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}

    assert {value for name, value in vars(errors).items() if name.startswith("EXIT_")} == table
