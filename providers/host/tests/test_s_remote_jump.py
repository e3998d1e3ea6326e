"""A machine behind a jump host, reached by the operator's own configuration of ssh."""

from __future__ import annotations

from pathlib import Path

from breakglass.errors import BreakglassError
from breakglass_host.machine import Machine
from providers.host.tests.remote_s import connected, refusal


def behind(machine: Machine, folder: Path) -> Path:
    """Write a configuration in which `inner` is an sshd that only the machine itself reaches."""
    config = folder / "ssh_config"
    inner = (
        f"Host inner\n  HostName 127.0.0.1\n  User root\n  ProxyJump {machine.name}\n"
        f"  IdentityFile {machine.place.identity}\n  IdentitiesOnly yes\n\n"
    )
    config.write_text(inner + machine.ssh_config.read_text())
    config.chmod(0o600)
    return config


def test_a_jump_host_of_the_operators_configuration_is_used(machine: Machine, tmp_path: Path) -> None:
    """The runner is sent through it, and the pinned key is that of the machine behind it."""
    reach = {
        "host": "ssh://root@inner",
        "host_key": machine.host_key,
        "ssh_config": str(behind(machine, tmp_path)),
        "user": "daemon",
    }
    provider = connected(tmp_path, reach)

    assert "host ssh://root@inner" == provider.discover().scope
    provider.close()


def test_another_key_behind_a_jump_host_is_refused(machine: Machine, tmp_path: Path) -> None:
    """That the jump host is the right one says nothing of what is behind it."""
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    reach = {
        "host": "ssh://root@inner",
        "host_key": other,
        "ssh_config": str(behind(machine, tmp_path)),
        "user": "daemon",
    }
    refused: BreakglassError = refusal(tmp_path, reach)

    assert "host key" in refused.what
