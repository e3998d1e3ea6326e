"""What the review's tests share: rogues of `rogue_review` in a sandbox, and signs of their life."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from breakglass_host.sandbox import HostSandbox, obstacle
from providers.host.tests.rig_a import Rogue
from tests.backends import need

ROGUE = Path(__file__).with_name("rogue_review.py")


@contextmanager
def hider(
    tmp_path: Path,
    mode: Sequence[str],
    *,
    listen: Sequence[tuple[str, int]] = (),
    env: Mapping[str, str] | None = None,
) -> Iterator[Rogue]:
    """Start a program that hides and end it after the test, whatever happened."""
    why = obstacle(privileged=True)
    need("host", not why, why)
    sandbox = HostSandbox(f"r{os.getpid()}-{time.monotonic_ns()}", tmp_path, privileged=True)
    home = Path("/tmp") / sandbox.name  # noqa: S108 - pytest's own folder is closed to the agent's user
    home.mkdir(mode=0o700)
    shutil.copy(ROGUE, home / ROGUE.name)
    os.chown(home, sandbox.uid, sandbox.uid)
    try:
        command = [sys.executable, str(home / ROGUE.name), *mode]
        environ = {"PATH": os.environ["PATH"], **(env or {})}
        started = sandbox.start(command, env=environ, cwd=home, listen=listen)
        yield Rogue(sandbox, started, tmp_path, home)
    finally:
        sandbox.stop()
        shutil.rmtree(home, ignore_errors=True)


def lives(agent: Rogue, within_s: float = 0.3) -> bool:
    """Return whether the agent still shows signs of life."""
    before = (agent.home / "alive").read_bytes()
    time.sleep(within_s)
    return before != (agent.home / "alive").read_bytes()
