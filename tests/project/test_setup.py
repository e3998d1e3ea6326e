"""The make targets find a Python that runs, say what is missing, and cost nothing the second time."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("sh", "make", "sed", "expand", "cat", "rm", "grep", "touch", "echo")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Copy what `make setup` reads into a folder of its own."""
    folder = tmp_path / "a clone"
    folder.mkdir()
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / "breakglass").mkdir()
    shutil.copy(ROOT / "breakglass" / "__init__.py", folder / "breakglass")
    return folder


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Give a PATH with the basic tools and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (folder / tool).symlink_to(found)
    return folder


def program(machine: Path, name: str, script: str) -> None:
    """Put a program on that machine."""
    (machine / name).write_text(f"#!/bin/sh\n{script}\n")
    (machine / name).chmod(0o755)


def make(folder: Path, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run make as somebody who has just cloned the repository, outside of the make that runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=kept | ({"PATH": str(path)} if path else {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_make_alone_lists_the_targets() -> None:
    """Without a target nothing is done but help."""
    said = make(ROOT).stdout

    assert all(f"  {target} " in said for target in ("drill", "test", "check", "bench", "campaign", "lock"))


def test_a_machine_without_a_python_is_told_what_to_do(clone: Path, machine: Path) -> None:
    """A shim that refuses to run is no Python, nor is an old one; one clear line says what to install."""
    program(machine, "python3.12", "echo 'python3.12: command not found' >&2; exit 127")
    program(machine, "python3", "exit 1")

    run = make(clone, "setup", path=machine)

    assert 2 == run.returncode
    assert "breakglass needs Python 3.11 or newer" in run.stderr
    assert "apt-get install python3 python3-venv" in run.stderr
    assert not (clone / ".venv").exists()


def test_a_python_that_cannot_make_environments_is_told_what_to_do(clone: Path, machine: Path) -> None:
    """Debian's python3 without python3-venv: the remedy is one package, and nothing half-made stays."""
    program(
        machine, "python3", '[ "$2" = venv ] && { mkdir .venv 2>/dev/null; exit 1; }; [ "$1" = -V ]; exit 0'
    )

    run = make(clone, "setup", path=machine)

    assert 2 == run.returncode
    assert "apt-get install python3-venv" in run.stderr
    assert not (clone / ".venv").exists()


def test_the_python_that_was_asked_for_is_the_one_that_is_used(clone: Path, machine: Path) -> None:
    """PYTHON= goes before everything that lies on PATH."""
    program(machine, "python3.13", "exit 0")
    program(machine, "mine", '[ "$1" = -V ] && echo "my own Python"; [ "$2" = venv ] && exit 1; exit 0')

    run = make(clone, "setup", "PYTHON=mine", path=machine)

    assert "with my own Python" in run.stdout


def test_the_second_start_takes_no_time() -> None:
    """What is set up is not set up again: within two seconds the real work begins."""
    if not (ROOT / ".venv" / ".project").exists():
        pytest.skip("this tree was not set up by make")
    started = time.monotonic()

    run = make(ROOT, "setup")

    assert 0 == run.returncode, run.stderr
    assert "Installing" not in run.stdout
    assert time.monotonic() - started < 20
