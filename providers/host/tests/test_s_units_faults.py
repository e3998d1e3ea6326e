"""Somebody undoes a mask meanwhile, or process 1 does not answer: that is never taken for contained."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from breakglass.errors import ProviderError, Transient
from breakglass.model.action import Grade, Verdict
from breakglass_host.machine import Machine
from providers.host.tests.machines import connect_to
from providers.host.tests.rig_a import carry_out, proposal

SERVICE = "[Service]\\nExecStart=/bin/sleep 1000\\nRestart=always\\nRestartSec=0\\n"
LINK = "/etc/systemd/system.control/bot.service"


def start(machine: Machine) -> None:
    """Start an agent's unit."""
    machine.run(f"printf '{SERVICE}' > /etc/systemd/system/bot.service")
    machine.run("systemctl daemon-reload; systemctl start bot.service")


def test_a_mask_that_somebody_takes_away_is_seen_and_made_again(machine: Machine) -> None:
    """With the reload, and without: a link that is gone lets it start after the next one."""
    start(machine)
    provider = connect_to(machine, {"unit": "bot.service"})
    step = proposal(provider.discover(), "host.systemd.mask_units")
    action = provider.actions[step.action]
    carry_out(provider, step)

    for script in (f"rm {LINK}", f"rm {LINK}; systemctl daemon-reload"):
        machine.run(script)
        seen = action.judge(step.target, action.observe(step.target))
        asked = action.probe(step.target)

        assert seen.verdict is Verdict.NOT_CONTAINED
        assert asked is not None
        assert asked.verdict is Verdict.NOT_CONTAINED
        judged, _ = carry_out(provider, step)
        assert judged.verdict is Verdict.CONTAINED
    asked = action.probe(step.target)
    assert asked is not None
    assert (asked.verdict, asked.grade) == (Verdict.CONTAINED, Grade.PLATFORM_EVALUATOR)
    provider.close()


def test_a_link_that_systemd_has_not_read_is_not_contained(machine: Machine) -> None:
    """The file alone stops nothing."""
    start(machine)
    provider = connect_to(machine, {"unit": "bot.service"})
    step = proposal(provider.discover(), "host.systemd.mask_units")
    action = provider.actions[step.action]
    machine.run(f"mkdir -p {os.path.dirname(LINK)}; ln -s /dev/null {LINK}")  # noqa: PTH120 - a path over there
    judged = action.judge(step.target, action.observe(step.target))

    assert judged.verdict is Verdict.NOT_CONTAINED
    assert "has not read it" in judged.reason
    provider.close()


def test_a_systemd_that_cannot_be_asked_for_a_moment_is_asked_again(machine: Machine) -> None:
    """Its sockets are away, as while it is executed anew: the engine may try again; it is never an answer."""
    start(machine)
    provider = connect_to(machine, {"unit": "bot.service"})
    step = proposal(provider.discover(), "host.systemd.mask_units")
    action = provider.actions[step.action]
    machine.run("mv /run/systemd/private /run/p; mv /run/dbus/system_bus_socket /run/b")

    with pytest.raises(Transient, match="could not be asked"):
        action.observe(step.target)

    machine.run("mv /run/p /run/systemd/private; mv /run/b /run/dbus/system_bus_socket")
    judged, _ = carry_out(provider, step)
    assert judged.verdict is Verdict.CONTAINED
    provider.close()


def test_a_process_1_that_hangs_is_an_error_after_a_while_and_no_answer(machine: Machine) -> None:
    """Each question has its time; the engine asks again until the deadline and says unknown then."""
    start(machine)
    provider = connect_to(machine, {"unit": "bot.service"})
    step = proposal(provider.discover(), "host.systemd.mask_units")
    action = provider.actions[step.action]
    os.kill(machine.leader, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(1) as pool:
            began = time.monotonic()
            asked = pool.submit(action.observe, step.target)
            with pytest.raises(ProviderError, match="no answer in 10 s"):
                asked.result(30)
            assert time.monotonic() - began < 20
    finally:
        os.kill(machine.leader, signal.SIGCONT)
    judged, _ = carry_out(provider, step)
    assert judged.verdict is Verdict.CONTAINED
    provider.close()
