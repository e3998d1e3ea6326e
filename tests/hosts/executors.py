"""An executor in a process of its own that can be killed, for a stop of an agent on another machine."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from breakglass.drill.grounds import AGENT
from breakglass.incident.folder import IncidentFolder
from breakglass.model.plan import Plan
from breakglass.usecases.inspect import plan_stop
from breakglass.usecases.prepare import StopRequest
from tests.hosts.fleet import CLOCK, INCIDENT, Fleet

_CHILD = "tests.campaign.executor_child"


@dataclass(frozen=True, slots=True)
class Ended:
    """How one process of the executor ended, and what it said."""

    code: int
    said: str


@dataclass(frozen=True, slots=True)
class Executors:
    """Forks one executor for each order."""

    process: subprocess.Popen[str]
    ours: Fleet

    def stop(self, **more: object) -> Ended:
        """Run the signed plan, as `breakglass stop --plan`."""
        place = self.ours.grounds.operator / "request"
        signatures = [str(path) for path in sorted(place.glob("*.sig"))]
        return self._order(verb="stop", plan=str(place / "plan.json"), signatures=signatures, **more)

    def resume(self, **more: object) -> Ended:
        """Go on with the incident, as `breakglass resume`."""
        return self._order(verb="resume", **more)

    def _order(self, **order: object) -> Ended:
        home = str(self.ours.grounds.operator / "incidents")
        where = {"kit": str(self.ours.grounds.kit), "home": home, "incident": INCIDENT}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({**where, **order}) + "\n")
        self.process.stdin.flush()
        code, said = json.loads(self.process.stdout.readline())
        return Ended(code, said)


@contextmanager
def executors(ours: Fleet) -> Iterator[Executors]:
    """Start the process that executors are forked from, and end it with the test."""
    command = [sys.executable, "-m", _CHILD]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root, env={**os.environ}
    ) as process:
        try:
            yield Executors(process, ours)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            process.wait()


def make_plan(ours: Fleet) -> Plan:
    """Plan the stop and have two persons sign it, for an executor that is started later."""
    place = ours.grounds.operator / "request"
    place.mkdir()
    request = StopRequest(AGENT, "", "it does what is forbidden", ours.operators[0].name, None, CLOCK.now())
    plan, _ = plan_stop(ours.site, request, INCIDENT, secrets.token_bytes, out=place / "plan.json")
    ours.sign(IncidentFolder(place), *ours.operators[:2])
    return plan
