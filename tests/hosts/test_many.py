"""Fifty hosts in one plan (a dozen in `make test`): each stopped and proven, the silent ones named."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import pytest

from breakglass.model.action import Phase, Verdict
from breakglass_host.machine import Machine, obstacle, start
from breakglass_host.machine_network import Network
from tests.backends import need
from tests.hosts.fleet import fleet, reach

HOSTS = 50
SAMPLE = 12
_SETTLE = """
useradd --create-home bot
printf '[Service]\\nUser=bot\\nExecStart=/bin/sleep 100000\\nRestart=always\\nRestartSec=0\\n' \
  >/etc/systemd/system/bot.service
systemctl daemon-reload
systemctl start bot.service
"""
_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
_PER_MACHINE = 16
MOOT = "does not matter any more"
"""All machines share the cores of one: what is late here is made moot by what came after it, and evidence,
which has its own time, may be cut short."""


@pytest.fixture
def machines(*, full: bool) -> Iterator[tuple[Machine, ...]]:
    """Start the machines, each in a v2 cgroup and a network namespace of its own, with an agent on each."""
    why = obstacle()
    need("systemd", not why, why)
    room, hosts = int(_INSTANCES.read_text()), HOSTS if full else SAMPLE
    enough = room >= hosts * _PER_MACHINE
    need("systemd", enough, f"{_INSTANCES} is {room}, too few for {hosts} machines of one kernel")
    with ExitStack() as undo:
        network = Network()
        undo.callback(network.close)
        found = tuple(undo.enter_context(start(f"bot-{n}", network=network)) for n in range(hosts))
        for machine in found:
            machine.run(_SETTLE)
        yield found


@pytest.mark.campaign
def test_many_hosts_in_one_plan_are_stopped_and_three_that_do_not_answer_are_named(
    machines: tuple[Machine, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """One is switched off, one has another key, one hangs after login: all the others are proven stopped."""
    off, other_key, hangs, *answering = machines
    off.stop()
    hangs.run("echo 'ForceCommand sleep 300' >/etc/ssh/sshd_config.d/hang.conf; systemctl restart ssh")
    reaches = [reach(machine, unit="bot.service") for machine in machines]
    reaches[1]["host_key"] = machines[0].host_key
    times: dict[str, float] = {}
    with fleet(reaches) as ours:
        began_s = time.monotonic()
        plan, done = ours.stop(planned=lambda _plan: times.update(planned_s=time.monotonic() - began_s))
        times["stopped_s"] = time.monotonic() - began_s
        report = done.report

        assert {machine.url for machine in (off, other_key, hangs)} == {one.scope for one in plan.not_planned}
        assert len(answering) == len(plan.reaches)
        unproven = [step for step in report.steps if step.verdict is not Verdict.CONTAINED]
        isolating = [step for step in unproven if step.capability.phase is not Phase.PRESERVE]
        assert [] == [step.reason for step in isolating if not step.reason.startswith(MOOT)]
        assert Verdict.UNKNOWN is report.verdict
        not_planned = [item for item in report.open if item.kind == "not_planned"]
        assert 3 == len(not_planned)
        for machine in answering:
            shown = machine.run(
                "systemctl show -p LoadState,ActiveState bot.service; pgrep -u bot || true"
            ).stdout
            assert ["LoadState=masked", "ActiveState=failed"] == sorted(shown.split(), reverse=True)
        _, back = ours.restore()
        assert Verdict.CONTAINED is back.verdict
        for machine in answering:
            machine.run("systemctl is-active bot.service")
    figures: dict[str, object] = {
        "hosts": len(plan.reaches),
        "steps": len(plan.steps),
        **times,
        **asdict(report.timings),
    }
    figures |= {"moot": len(isolating), "evidence_cut_short": len(unproven) - len(isolating)}
    if os.environ.get("BREAKGLASS_FIGURES"):
        with capsys.disabled():
            print(json.dumps(figures, default=str, indent=1))  # noqa: T201 - asked for
