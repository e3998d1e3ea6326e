"""The executor of the campaign, seen from the test: orders go in, exit codes come out."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.campaign.world import INCIDENT, World

KILLED = -signal.SIGKILL
CHILD = Path(__file__).with_name("executor_child.py")


@dataclass(frozen=True, slots=True)
class Ended:
    """How one process of the executor ended, and what it said."""

    code: int
    said: str

    @property
    def killed(self) -> bool:
        """Return whether it killed itself, as ordered."""
        return self.code == KILLED


@dataclass(frozen=True, slots=True)
class Executor:
    """A process that forks one executor for each order."""

    process: subprocess.Popen[str]

    def stop(self, world: World, folder: str = "request", **more: object) -> Ended:
        """Run the world's signed plan, as `breakglass stop --plan`."""
        place = world.grounds.operator / folder
        signatures = [str(path) for path in sorted(place.glob("*.sig"))]
        return self._order(world, verb="stop", plan=str(place / "plan.json"), signatures=signatures, **more)

    def ask(self, world: World, **more: object) -> Ended:
        """Plan a stop, as `breakglass stop AGENT` does before anybody signs."""
        return self._order(world, verb="ask", person=world.operators[0].name, **more)

    def resume(self, world: World, **more: object) -> Ended:
        """Go on with the incident, as `breakglass resume`."""
        return self._order(world, verb="resume", **more)

    def _order(self, world: World, **order: object) -> Ended:
        where = {"kit": str(world.grounds.kit), "home": str(world.home), "incident": INCIDENT}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({**where, **order}) + "\n")
        self.process.stdin.flush()
        code, said = json.loads(self.process.stdout.readline())
        return Ended(code, said)


@contextmanager
def executor(*before: str) -> Iterator[Executor]:
    """Start the executor, after the words of another command if any are given, and end it with the test."""
    command = [*before, sys.executable, "-m", "tests.campaign.executor_child"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    ) as process:
        try:
            yield Executor(process)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            process.wait()
