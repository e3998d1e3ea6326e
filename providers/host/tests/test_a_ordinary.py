"""An ordinary user stops an agent in user, pid and network namespaces of its own, and proves it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from breakglass_host import nft
from breakglass_host.sandbox import obstacle
from tests.backends import need

ORDINARY = 64_998
"""A user that has no account; used where the tests themselves run as root."""
ROOT = Path(__file__).parents[3]


def as_ordinary(*arguments: str) -> dict[str, Any]:
    """Run a scenario of `ordinary_a` as somebody who is not root."""
    need("host", nft.program() is not None, "nft is not installed")
    command = [sys.executable, "-m", "providers.host.tests.ordinary_a", *arguments]
    if os.geteuid() == 0:
        command.insert(3, str(ORDINARY))
    else:
        need("host", not obstacle(privileged=False), obstacle(privileged=False))
    environ = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": "/tmp"}  # noqa: S108 - pytest's own folder is closed to that user
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0 and "cannot start a sandbox" in done.stderr:
        need("host", available=False, why="the kernel does not let an ordinary user make namespaces")
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize(
    "mode", [["stream", "127.0.0.1-7443", "::1-7443"], ["double_fork"], ["bomb", "200"], ["family", "50"]]
)
def test_an_ordinary_user_stops_and_proves_it_for_an_agent_in_its_own_namespaces(mode: list[str]) -> None:
    """Cut, paused where that can be, ended with its pid namespace, and refused as the agent."""
    result = as_ordinary(*mode)
    steps = result["steps"]

    assert 0 == result["left"]
    assert ["contained", "read_back"] == steps["host.process.stop_tree"][:2]
    assert ["contained", "refused_as_agent"] == steps["probe"][:2], steps["probe"]
    assert "contained" == steps["host.nft.cut_egress"][0]
    if mode[0] != "bomb":
        assert ["contained", "read_back"] == steps["host.process.pause_tree"][:2]
        assert ["T"] == result["paused"]


def test_an_ordinary_user_lets_a_paused_agent_go_on() -> None:
    """What was running runs again."""
    result = as_ordinary("go_on")

    assert ["restored"] == result["outcomes"]
    assert "T" not in result["states"]
