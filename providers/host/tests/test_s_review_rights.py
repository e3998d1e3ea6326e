"""What the agent did as somebody else is none of its processes: what lets it is a door that stays open."""

from __future__ import annotations

import pytest

from breakglass.canon import Json
from breakglass.model.action import Verdict
from breakglass_host.accounts import root_rights
from breakglass_host.machine import Machine
from providers.host.tests.machines import connect_to

_SETTLE = """set -e
useradd -m -s /bin/bash bot; useradd -m -s /bin/bash eve
printf '[Service]\\nUser=bot\\nExecStart=/bin/sleep 1000\\n' >/etc/systemd/system/bot.service
systemctl daemon-reload; systemctl start bot.service
"""
_SETTINGS: dict[str, Json] = {"user": "bot", "unit": "bot.service"}


@pytest.fixture
def host(machine: Machine) -> Machine:
    """Give a machine with an agent that is a unit, and a neighbour."""
    machine.run(_SETTLE)
    return machine


def doors(host: Machine, **settings: Json) -> list[str]:
    """Return the doors of a plan that stay open whatever it does."""
    provider = connect_to(host, {**_SETTINGS, **settings})
    try:
        found = provider.discover()
        assert {one.door.verdict for one in found.doors} <= {Verdict.UNKNOWN, Verdict.NOT_CONTAINED}
        return [one.door.name for one in found.doors if not one.closed_by]
    finally:
        provider.close()


def test_an_agent_with_one_narrow_rule_has_no_open_door(host: Machine) -> None:
    """A rule for one program with fixed words, and files of its own that only it runs, open nothing."""
    host.run(
        "printf 'bot ALL=(root) NOPASSWD: /bin/systemctl start bot.service\\n' >/etc/sudoers.d/bot;"
        "chmod 440 /etc/sudoers.d/bot; echo '* * * * * bot /home/bot/x' >/etc/cron.d/bot;"
        "echo '#!/bin/sh' >/home/bot/x; chown bot: /home/bot/x"
    )

    assert [] == doors(host)


def test_a_rule_without_limits_stays_open(host: Machine) -> None:
    """What the agent started as root by sudo is nobody's to find: the plan says so, before anybody signs."""
    host.run("printf 'bot ALL=(ALL) NOPASSWD: ALL\\n' >/etc/sudoers.d/bot; chmod 440 /etc/sudoers.d/bot")
    host.run("su -s /bin/sh bot -c 'sudo -n systemd-run --quiet sleep 1000'")

    assert ["account bot can act as others: sudo lets it run ALL as ALL on " + host.name] == doors(host)


def test_a_program_in_a_rule_that_the_agent_can_write_stays_open(host: Machine) -> None:
    """Who owns the folder that a permitted program lies in chooses what root runs."""
    host.run(
        "mkdir /opt/bot; chown bot: /opt/bot; printf '#!/bin/sh\\n' >/opt/bot/tool; chmod 755 /opt/bot/tool;"
        "printf 'bot ALL=(root) NOPASSWD: /opt/bot/tool --fixed\\n' >/etc/sudoers.d/bot;"
        "chmod 440 /etc/sudoers.d/bot"
    )

    assert 1 == len([one for one in doors(host) if "sudo lets it run /opt/bot/tool --fixed as root" in one])


def test_what_root_s_jobs_and_units_run_of_the_agent_s_files_stays_open(host: Machine) -> None:
    """A table of cron, a script that it names, a shell profile and a unit; the agent's own unit does not."""
    host.run(
        "printf '#!/bin/sh\\n' >/home/bot/job; chmod 755 /home/bot/job; chown bot: /home/bot/job;"
        "echo '* * * * * root /home/bot/job' >/etc/cron.d/one;"
        "printf '#!/bin/sh\\n/home/bot/job\\n' >/usr/local/bin/two; chmod 755 /usr/local/bin/two;"
        "echo '* * * * * root /usr/local/bin/two' >/etc/cron.d/two;"
        "echo '. /home/bot/job' >>/root/.profile;"
        "printf '[Service]\\nExecStart=/home/bot/job\\n' >/etc/systemd/system/four.service;"
        "printf '[Service]\\nUser=bot\\nExecStart=/home/bot/job\\n' >/etc/systemd/system/own.service"
    )
    found = [one.split(" leads to ")[0] for one in doors(host) if " leads to " in one]

    assert [
        "/etc/cron.d/one",
        "/etc/cron.d/two",
        "/root/.profile",
        "/etc/systemd/system/four.service",
    ] == found


def test_a_unit_file_that_the_agent_can_write_stays_open(host: Machine) -> None:
    """Masked or not: once the mask is away systemd runs, as whoever it says there, what it says there."""
    host.run(
        "install -d -o bot /home/bot/u; cp /etc/systemd/system/bot.service /home/bot/u/mine.service;"
        "chown bot: /home/bot/u/mine.service; systemctl link /home/bot/u/mine.service"
    )
    found = doors(host, units=["mine.service"])

    assert ["/etc/systemd/system/mine.service can be written by the agent on " + host.name] == found


def test_a_home_that_is_root_s_own_folder_makes_nothing_the_agent_s(host: Machine) -> None:
    """Some accounts of a system live in /usr/sbin: what lies there is not theirs."""
    host.run(
        "systemctl stop bot.service; usermod -d /usr/sbin bot; systemctl start bot.service;"
        "echo '* * * * * root /usr/sbin/cron-job' >/etc/cron.d/one"
    )

    assert [] == doors(host)


def test_what_the_plan_pauses_is_no_door(host: Machine) -> None:
    """A deployer's table that the inventory names is set aside: it runs nothing meanwhile."""
    host.run("touch /home/bot/job; echo '* * * * * root /home/bot/job' >/etc/cron.d/one")

    assert [] == doors(host, deployers=["cron:/etc/cron.d/one"])


def test_polkit_doas_and_an_engine_s_socket_stay_open(host: Machine) -> None:
    """Each lets whoever runs as the account start something as root, without sudo."""
    host.run(
        "mkdir -p /etc/polkit-1/rules.d; echo 'if (subject.user == \"bot\") { return polkit.Result.YES; }'"
        " >/etc/polkit-1/rules.d/50-bot.rules; echo 'permit nopass bot' >/etc/doas.conf;"
        "groupadd docker; usermod -aG docker bot; systemctl restart bot.service;"
        "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"/run/docker.sock\")';"
        "chgrp docker /run/docker.sock; chmod 660 /run/docker.sock"
    )
    said = "\n".join(doors(host))

    for words in ("50-bot.rules names it", "doas.conf names it", "container socket /run/docker.sock"):
        assert words in said, said


def test_a_key_counts_by_what_is_in_it_and_not_by_its_name(host: Machine) -> None:
    """The agent chooses what its key is called; that it opens another account is told all the same."""
    host.run(
        "install -d -m 700 -o bot /home/bot/.ssh; install -d -m 700 -o eve /home/eve/.ssh;"
        "ssh-keygen -q -t ed25519 -N '' -f /home/bot/.ssh/work; rm /home/bot/.ssh/work.pub;"
        "ssh-keygen -y -f /home/bot/.ssh/work >/home/eve/.ssh/authorized_keys; chown -R bot: /home/bot/.ssh"
    )

    assert any("ssh key work opens account eve" in one for one in doors(host))


@pytest.mark.parametrize(
    ("rule", "is_free"),
    [
        ("    (ALL : ALL) ALL", True),
        ("    (root) NOPASSWD: SETENV: ALL", True),
        ("    (www-data) NOPASSWD: ALL", True),
        ("    (bot) NOPASSWD: ALL", False),
        ("    (root) /bin/ls, /usr/bin/vim", True),
        ("    (root) /bin/systemctl start bot.service", False),
        ("    (root) /usr/bin/python3 /opt/fixed.py", False),
        ("    (root) /usr/bin/python3 /opt/*", True),
        ("    (root) /usr/local/bin/*", True),
        ("    (root) /opt/tools/", True),
        ("    (root) sudoedit /etc/motd", True),
    ],
)
def test_a_rule_is_free_where_the_agent_chooses_what_is_run(rule: str, *, is_free: bool) -> None:
    """By its program, by arguments that are left open, by a whole folder."""
    assert is_free is bool(list(root_rights.unlimited(f"User bot may run:\n{rule}\n", "bot")))
