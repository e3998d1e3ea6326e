"""A login into its own account makes nobody an agent's neighbour; what others run as its user does."""

from __future__ import annotations

import pytest

from breakglass_host.machine import Machine
from providers.host.tests.accounts_s import call, prepare
from providers.host.tests.test_s_accounts_sessions import log_in

_UNIT = "[Service]\\nUser=bot\\nExecStart=sleep 999\\n"


@pytest.fixture
def host(machine: Machine) -> Machine:
    """Give a machine where the agent is a unit, and has an account."""
    prepare(machine)
    machine.run(f"printf '{_UNIT}' > /etc/systemd/system/agent.service; systemctl daemon-reload")
    machine.run("systemctl start agent; loginctl enable-linger bot")
    return machine


def is_alone(host: Machine) -> bool:
    """Say whether the account counts as the agent's alone, beside its unit."""
    keys: list[str] = call(host, "propose", "account_lock", unit="agent.service")["keys"]
    return keys == ["lock:bot"]


def test_a_key_into_its_own_account_does_not_make_it_look_shared(host: Machine) -> None:
    """With and without a session that logind knows."""
    assert is_alone(host)
    log_in(host, "bot")
    assert is_alone(host)
    host.run("systemctl stop login-bot; sed -i /pam_systemd/d /etc/pam.d/common-session; sleep 0.3")
    host.run(
        "systemd-run -q --unit again ssh -tt -n -o BatchMode=yes -o StrictHostKeyChecking=no"
        " -o UserKnownHostsFile=/dev/null -i /root/key-bot bot@127.0.0.1 sleep 1003; sleep 0.7"
    )

    assert host.run("pgrep -u bot -f '[s]leep 1003'").stdout
    assert is_alone(host)


def test_a_set_id_program_in_between_does_not_make_it_look_shared(host: Machine) -> None:
    """Sudo to itself, from a session, whose shell has ended."""
    host.run("printf 'bot ALL=(bot) NOPASSWD: ALL\\n' > /etc/sudoers.d/bot; chmod 440 /etc/sudoers.d/bot")
    host.run(
        "ssh -n -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i /root/key-bot"
        " bot@127.0.0.1 'setsid -f sudo -n -u bot sleep 1004 </dev/null >/dev/null 2>&1'; sleep 0.5"
    )

    assert host.run("pgrep -u bot -f '[s]leep 1004'").stdout
    assert is_alone(host)


def test_a_key_into_an_account_that_nobody_named_is_said(host: Machine) -> None:
    """The unit alone is named, and it runs as an account that a key opens."""
    said = call(host, "propose", "ssh_keys", unit="agent.service", user="")["doors"]
    assert ["logins of account bot"] == [door[0] for door in said]
    host.run("rm /home/bot/.ssh/authorized_keys")

    assert [] == call(host, "propose", "ssh_keys", unit="agent.service", user="")["doors"]


def test_what_a_neighbour_runs_as_the_agent_s_user_makes_it_shared(host: Machine) -> None:
    """By sudo from a login of its own, or as a service."""
    host.run("printf 'alice ALL=(bot) NOPASSWD: ALL\\n' > /etc/sudoers.d/a; chmod 440 /etc/sudoers.d/a")
    host.run(
        "systemd-run -q --unit theirs ssh -tt -n -o BatchMode=yes -o StrictHostKeyChecking=no"
        " -o UserKnownHostsFile=/dev/null -i /root/key-alice alice@127.0.0.1 sudo -n -u bot sleep 1005;"
        " sleep 0.7"
    )
    assert host.run("pgrep -u bot -f '[s]leep 1005'").stdout
    assert not is_alone(host)
    host.run("systemctl stop theirs; sleep 0.5; systemd-run -q --unit other --uid bot sleep 1006")

    assert not is_alone(host)
