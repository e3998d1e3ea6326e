"""What the containment tests share: a sandboxed rogue, a provider for it, and the engine's loop in small."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from breakglass.canon import Json
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass.model.resource import State
from breakglass.provider import Connection, Discovery, Proposal, Provider
from breakglass_host import CARD, cgroup
from breakglass_host.sandbox import HostSandbox, Started, obstacle
from providers.host.tests.rig_b import connection
from tests.backends import need

ROGUE = Path(__file__).with_name("rogue_a.py")


@dataclass(frozen=True, slots=True)
class Rogue:
    """A rogue that runs in a sandbox."""

    sandbox: HostSandbox
    started: Started
    folder: Path
    home: Path
    """A folder that its user may write to."""


@contextmanager
def rogue(
    tmp_path: Path,
    mode: Sequence[str],
    *,
    privileged: bool = True,
    listen: Sequence[tuple[str, int]] = (),
    delegate: bool = False,
    env: Mapping[str, str] | None = None,
) -> Iterator[Rogue]:
    """Start a rogue and end it after the test, whatever happened."""
    why = obstacle(privileged=privileged)
    need("host", not why, why)
    sandbox = HostSandbox(f"t{os.getpid()}-{time.monotonic_ns()}", tmp_path, privileged=privileged)
    home = Path("/tmp") / sandbox.name  # noqa: S108 - pytest's own folder is closed to the agent's user
    home.mkdir(mode=0o700)
    shutil.copy(ROGUE, home / "rogue_a.py")
    os.chown(home, sandbox.uid, sandbox.uid)
    command = [sys.executable, str(home / "rogue_a.py"), *mode]
    try:
        if delegate:
            _delegate(sandbox, command)
        started = sandbox.start(
            command, env={"PATH": os.environ["PATH"], **(env or {})}, cwd=home, listen=listen
        )
        yield Rogue(sandbox, started, tmp_path, home)
    finally:
        sandbox.stop()
        shutil.rmtree(home, ignore_errors=True)


def _delegate(sandbox: HostSandbox, command: list[str]) -> None:
    """Give the sandbox's cgroup to the agent's user, as systemd does with Delegate=yes."""
    folder = Path(cgroup_folder(sandbox.cgroup))
    folder.mkdir(parents=True)
    for path in (
        folder,
        folder / "cgroup.procs",
        folder / "cgroup.freeze",
        folder / "cgroup.subtree_control",
    ):
        os.chown(path, sandbox.uid, sandbox.uid)
    command.append(str(folder))


def cgroup_folder(path: str) -> str:
    """Return where a cgroup lies."""
    found = cgroup.find()
    assert found is not None
    return found.folder(path)


def connect(
    folder: Path, settings: Mapping[str, Json], incident: str = "inc-1"
) -> tuple[Provider, Connection]:
    """Connect the host provider to what the settings name."""
    made = connection(folder / "incident", dict(settings), incident)
    return CARD.connect(made), made


def proposal(found: Discovery, action: str) -> Proposal:
    """Return the one proposal of an action."""
    [one] = [one for one in found.proposals if one.action == action]
    return one


def carry_out(provider: Provider, step: Proposal, *, within_s: float = 10.0) -> tuple[Judgement, State]:
    """Do a step in rounds as the engine does; return what it ended as and the union of prior states."""
    action, until = provider.actions[step.action], time.monotonic() + within_s
    union: dict[str, Json] = {}
    while True:
        state = action.observe(step.target)
        judged = action.judge(step.target, state)
        if judged.verdict is Verdict.CONTAINED:
            again = action.observe(step.target)
            if again.objects.keys() == state.objects.keys():
                return judged, State(union)
            continue
        if time.monotonic() > until:
            return judged, State(union)
        union = {**state.objects, **union}
        action.apply(step.target, state, "token")


def until(condition: Callable[[], bool], *, within_s: float = 30.0) -> bool:
    """Wait for something that another process does."""
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


CONTAINED = (Verdict.CONTAINED, Grade.READ_BACK)


def outcome(judged: Judgement) -> tuple[Verdict, Grade]:
    """Return verdict and grade."""
    return judged.verdict, judged.grade
