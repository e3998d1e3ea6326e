"""What starts with nothing but Python: help, version, completion, and which modules they load."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("yaml", "cryptography", "rich", "keyring", "boto3", "google", "kubernetes", "pydantic", "asyncio")
COMMANDS = (
    "stop", "plan", "sign", "approve", "reject", "status", "resume", "restore", "report", "drill",
    "operator", "roster", "kit", "agents", "runbook", "providers", "journal",
)  # fmt: skip


def _breakglass(*arguments: str, home: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "breakglass", *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(home), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def _loaded(home: Path, *arguments: str, **environ: str) -> set[str]:
    """Return the top-level modules that are loaded when the command ends."""
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr))\n"
        "from breakglass.cli.main import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "BREAKGLASS_HOME": str(home), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "arguments", [("--help",), ("status",), ("providers", "list"), ("drill", "list"), ("stop", "--help")]
)
def test_nothing_heavy_is_loaded_to_answer_a_small_question(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """Neither an SDK nor yaml nor cryptography nor rich."""
    loaded = _loaded(tmp_path, *arguments)

    assert set() == loaded & set(HEAVY)
    assert "typer" in loaded


def test_help_names_every_command_in_80_columns(tmp_path: Path) -> None:
    """Plain help, and nothing is missing."""
    done = _breakglass("--help", home=tmp_path)

    assert 0 == done.returncode
    listed = [line.split()[0] for line in done.stdout.split("Commands:")[1].splitlines() if line.strip()]
    assert list(COMMANDS) == listed
    assert 80 >= max(len(line) for line in done.stdout.splitlines())


def test_the_version_is_told(tmp_path: Path) -> None:
    """One line."""
    assert _breakglass("--version", home=tmp_path).stdout.startswith("breakglass 0.")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands(tmp_path: Path, shell: str) -> None:
    """`python -m breakglass` answers the same variable as `breakglass`."""
    asked = {
        "_BREAKGLASS_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "breakglass re",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "breakglass re",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }

    done = _breakglass(home=tmp_path, **asked)

    assert {"restore", "resume", "report", "reject"} <= set(done.stdout.replace('"', " ").split()), done


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("providers show ", "host"),
        ("runbook show ru", "runaway"),
        ("plan sup", "support-bot"),
        ("report inc-", "inc-7k3f"),
        ("drill run fork", "fork-storm"),
    ],
)
def test_shells_complete_names_without_loading_what_is_heavy(
    tmp_path: Path, words: str, offered: str
) -> None:
    """Names come from folders and metadata; no YAML is read for them."""
    (tmp_path / "kit/agents").mkdir(parents=True)
    (tmp_path / "kit/agents/support-bot.yaml").write_text("not even YAML: [")
    (tmp_path / "inc-7k3f").mkdir()
    asked = {
        "_BREAKGLASS_COMPLETE": "complete_bash",
        "COMP_WORDS": f"breakglass {words}",
        "COMP_CWORD": str(len(f"breakglass {words}".split(" ")) - 1),
        "BREAKGLASS_KIT": str(tmp_path / "kit"),
        "BREAKGLASS_HOME": str(tmp_path),
    }

    assert offered in _breakglass(home=tmp_path, **asked).stdout.split()
    assert set() == _loaded(tmp_path, **asked) & set(HEAVY)


def test_a_bug_is_one_line_and_a_file_without_local_variables(tmp_path: Path) -> None:
    """Exit 1; the file holds the traceback and no value of any variable."""
    code = (
        "import sys\n"
        "from breakglass.cli import main as cli\n"
        "@cli.app.command()\n"
        "def broken() -> None:\n"
        "    secret = 'hunter' + '2'\n"
        "    raise RuntimeError('it broke', len(secret))\n"
        "cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "broken"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    (written,) = tmp_path.glob("breakglass-bug-*.txt")

    assert 1 == done.returncode
    assert "a bug of breakglass: RuntimeError" in done.stderr
    assert "Traceback" not in done.stderr
    assert "it broke" in written.read_text()
    assert "hunter2" not in written.read_text()
    assert 0 == written.stat().st_mode & 0o077
