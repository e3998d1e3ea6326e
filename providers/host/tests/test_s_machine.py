"""The machine of the tests is real, reached from one place only, and leaves nothing behind."""

from __future__ import annotations

import subprocess

from breakglass_host.machine import Machine


def over_ssh(machine: Machine, command: str) -> str:
    """Run a command through the ssh client that an operator has."""
    argv = ["ssh", "-F", str(machine.ssh_config), machine.name, command]
    return subprocess.run(
        argv, check=True, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
    ).stdout


def test_a_machine_boots_and_answers_over_ssh(machine: Machine) -> None:
    """Its systemd runs every unit, and the operator's ssh client is let in with the key made for it."""
    said = over_ssh(machine, "hostname; systemctl is-system-running; systemctl is-active cron atd ssh")

    assert [machine.name, "running", "active", "active", "active"] == said.split()
