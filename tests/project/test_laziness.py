"""Commands that sign and contain nothing start without SDKs, YAML and cryptography."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    *("boto3", "botocore", "google", "grpc", "kubernetes", "requests", "urllib3", "httpx"),
    *("yaml", "cryptography", "bcrypt", "keyring", "secretstorage", "jeepney"),
    *("pydantic", "structlog", "asyncio", "multiprocessing", "click"),
    *("breakglass_host", "breakglass_oauth"),
}
SCRIPT = (str(Path(sys.executable).parent / "breakglass"),)
MODULE = ("-m", "breakglass")
COMPLETION = {"_BREAKGLASS_COMPLETE": "complete_bash", "COMP_WORDS": "breakglass st", "COMP_CWORD": "1"}


def imported(
    start: tuple[str, ...], arguments: list[str], home: Path, **variables: str
) -> tuple[set[str], str]:
    """Run the program afresh; return the top-level modules that it imported, and its output."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "BREAKGLASS"))}
    run = subprocess.run(
        [sys.executable, "-X", "importtime", *start, *arguments],
        env=kept | {"HOME": str(home), "XDG_STATE_HOME": str(home / "state")} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == run.returncode, run.stderr[-2000:]
    return set(
        re.findall(r"^import time:[^|]*\|[^|]*\|\s*([A-Za-z0-9_]+)", run.stderr, re.MULTILINE)
    ), run.stdout


@pytest.mark.parametrize("start", [SCRIPT, MODULE], ids=["breakglass", "python -m breakglass"])
@pytest.mark.parametrize("arguments", [["--help"], ["status"], ["providers", "list"]], ids=" ".join)
def test_the_start_path_is_light(start: tuple[str, ...], arguments: list[str], tmp_path: Path) -> None:
    """No SDK, no yaml, no cryptography, no event loop: what an operator types first answers at once."""
    modules, said = imported(start, arguments, tmp_path)

    assert "typer" in modules
    assert set() == modules & HEAVY
    assert said


@pytest.mark.parametrize("start", [SCRIPT, MODULE], ids=["breakglass", "python -m breakglass"])
def test_shell_completion_is_light_and_completes(start: tuple[str, ...], tmp_path: Path) -> None:
    """A press of the tab key pays for nothing but the names of commands."""
    modules, said = imported(start, [], tmp_path, **COMPLETION)

    assert set() == modules & HEAVY
    assert {"stop", "status"} <= set(said.split())


def test_importing_a_heavy_module_is_noticed(tmp_path: Path) -> None:
    """The measurement sees what it looks for, so that the tests above mean something."""
    modules, _ = imported(("-c", "import yaml, asyncio"), [], tmp_path)

    assert {"yaml", "asyncio"} == modules & HEAVY
