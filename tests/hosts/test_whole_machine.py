"""An agent that settled on other machines is stopped, stays stopped, and is put back as it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from breakglass.canon import Json
from breakglass.journal.sealing import verify_folder
from breakglass.model.action import Verdict
from breakglass_host.machine import Machine, obstacle, start
from breakglass_host.machine_network import Network
from tests.backends import need
from tests.hosts import resident
from tests.hosts.fleet import fleet, reach

A_MINUTE_S = 65.0
"""So long that cron has had its turn."""
SETTINGS: dict[str, Json] = {"user": resident.ACCOUNT, "unit": "bot.service", "units": [*resident.UNITS[1:]]}
BACK = ("service", "timer", "manager")
"""What a restore starts again within seconds; the login was a session, and its owner logs in again."""


@pytest.fixture
def machines() -> Iterator[tuple[Machine, ...]]:
    """Start three machines with the same agent on each."""
    why = obstacle()
    need("systemd", not why, why)
    with ExitStack() as undo:
        network = Network()
        undo.callback(network.close)
        found = tuple(undo.enter_context(start(name, network=network)) for name in ("bot-1", "bot-2", "free"))
        for machine in found:
            resident.settle(machine)
        yield found


def test_an_agent_that_settled_on_machines_is_stopped_stays_stopped_and_is_put_back(
    machines: tuple[Machine, ...],
) -> None:
    """Every way back is closed for more than a minute and over a reboot; then every byte is as before.

    The third machine is not in the plan: there the agent goes on, so silence on the others means something.
    """
    stopped, control = machines[:2], machines[2]
    files = [resident.files(machine) for machine in stopped]
    units = [resident.units(machine) for machine in stopped]
    with fleet([reach(machine, **SETTINGS) for machine in stopped]) as ours:
        plan, done = ours.stop()
        report = done.report

        assert Verdict.CONTAINED is report.verdict, _said(report)
        assert 2 == len({step.reach for step in plan.steps})
        stopped[1].reboot()
        counts = [len(resident.effects(machine)) for machine in machines]
        for machine in stopped:
            assert not resident.can_log_in(machine)
        time.sleep(A_MINUTE_S)

        assert counts[:2] == [len(resident.effects(machine)) for machine in stopped]
        assert {"service", "timer", "manager", "login", "cron"} <= set(resident.effects(control)[counts[2] :])
        for machine in stopped:
            assert "" == _agents(machine)
            assert "hook" not in resident.effects(machine)

        undo, back = ours.restore()
        assert Verdict.CONTAINED is back.verdict, _said(back)
        assert [] == [
            line
            for machine, was in zip(stopped, files, strict=True)
            for line in resident.unlike(was, resident.files(machine))
        ]
        assert units == [resident.units(machine) for machine in stopped]
        for machine in stopped:
            _await_ways(machine, len(resident.effects(machine)))
            assert resident.can_log_in(machine)
        assert () == verify_folder(ours.incident.path, ours.site.kit.roster.executors[0].log_key).problems
        assert undo.steps


def _agents(machine: Machine) -> str:
    """Return the agent's processes without the head of the list."""
    return "\n".join(resident.processes(machine).splitlines()[1:])


def _await_ways(machine: Machine, count: int) -> None:
    until = time.monotonic() + A_MINUTE_S
    while not set(BACK) <= set(resident.effects(machine)[count:]):
        assert time.monotonic() < until, f"only {set(resident.effects(machine)[count:])} of {BACK} came back"
        time.sleep(0.5)


def _said(report: object) -> str:
    return "\n".join(
        [
            *(f"{one.action} {one.target} {one.verdict} {one.grade}: {one.reason}" for one in report.steps),  # type: ignore[attr-defined]
            *(f"OPEN {one}" for one in report.open),  # type: ignore[attr-defined]
        ]
    )
