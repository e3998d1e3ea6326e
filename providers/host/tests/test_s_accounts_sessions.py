"""Login sessions, the lingering manager and all that it started end, and none of it comes back."""

from __future__ import annotations

import pytest

from breakglass_host.machine import Machine
from providers.host.tests.accounts_s import call, listing, prepare

LINGER, SESSIONS = "linger", "login_sessions"
_UNITS = """
d=/home/bot/.config/systemd/user; mkdir -p $d/default.target.wants $d/timers.target.wants
printf '[Service]\\nExecStart=sleep infinity\\nRestart=always\\nRestartSec=0\\n' > $d/w.service
echo 'ExecStopPost=touch /tmp/hook' >> $d/w.service
printf '[Service]\\nType=oneshot\\nExecStart=sh -c "date +%%s >> /tmp/ticks"\\n' > $d/t.service
printf '[Timer]\\nOnActiveSec=0\\nOnUnitActiveSec=1\\nAccuracySec=100ms\\n' > $d/t.timer
ln -s ../w.service $d/default.target.wants/; ln -s ../t.timer $d/timers.target.wants/
chown -R bot: /home/bot/.config; loginctl enable-linger bot
"""
_PLACES = ("/var/lib/systemd/linger", "/etc/systemd", "/home/bot")


@pytest.fixture
def host(machine: Machine) -> Machine:
    """Give a machine where the agent lingers, with a service that restarts itself and a timer."""
    prepare(machine)
    machine.run(_UNITS)
    assert machine.run(_wait("pgrep -u bot -f 'sleep infinity'")).stdout
    return machine


def _wait(test: str) -> str:
    return f"for n in $(seq 60); do {test} && exit 0; sleep 0.1; done; exit 1"


def log_in(host: Machine, user: str) -> None:
    """Open a session over ssh that stays."""
    host.run(
        f"systemd-run -q --unit login-{user} ssh -tt -n -o BatchMode=yes -o StrictHostKeyChecking=no"
        f" -o UserKnownHostsFile=/dev/null -i /root/key-{user} {user}@127.0.0.1"
        " 'trap \\\"\\\" TERM HUP; sleep 1001'"
    )
    host.run(_wait(f"pgrep -u {user} -f 'sleep 1001' && loginctl list-sessions | grep -q ' {user} '"))


def sessions(host: Machine, user: str) -> int:
    """Count the sessions of a user as logind tells them."""
    return host.run("loginctl list-sessions --no-legend").stdout.count(f" {user} ")


def processes(host: Machine, user: str) -> str:
    """Return what runs as a user."""
    return host.run(f"pgrep -a -u {user}", check=False).stdout


def test_all_of_it_ends_and_a_reboot_does_not_bring_it_back(host: Machine) -> None:
    """The neighbour's session goes on; restored, the same linger file brings manager and units back."""
    before = listing(host, *_PLACES)
    log_in(host, "bot")
    log_in(host, "alice")
    assert (1, 1) == (sessions(host, "bot"), sessions(host, "alice"))
    assert "contained" == call(host, "stop", LINGER)["verdict"]
    stopped = call(host, "stop", SESSIONS)

    assert "contained" == stopped["verdict"], stopped
    assert (0, 1) == (sessions(host, "bot"), sessions(host, "alice"))
    assert ("", True) == (processes(host, "bot"), "sleep 1001" in processes(host, "alice"))
    assert 0 != host.run("test -e /tmp/hook", check=False).returncode
    assert 0 != host.run("systemctl start user@$(id -u bot).service", check=False).returncode
    host.reboot()
    host.run("sleep 2")
    assert "" == processes(host, "bot")
    assert ["contained"] * 2 == [call(host, "look", part)["verdict"] for part in (LINGER, SESSIONS)]
    done = call(host, "restore", SESSIONS)
    assert {"ended"} == set(done["first"].values())
    done = call(host, "restore", LINGER)
    assert {"restored"} == set(done["first"].values())
    assert {"already"} == set(done["again"].values())
    assert before == listing(host, *_PLACES)
    assert host.run(_wait("pgrep -u bot -f 'sleep infinity'")).stdout


def test_a_login_during_the_stop_starts_no_manager(host: Machine) -> None:
    """Even while the account is not locked."""
    call(host, "stop", LINGER)
    call(host, "stop", SESSIONS)
    log_in(host, "bot")

    assert "systemd --user" not in processes(host, "bot")
    assert "not_contained" == call(host, "look", SESSIONS)["verdict"]
    assert "contained" == call(host, "stop", SESSIONS)["verdict"]
    assert "" == processes(host, "bot")


def test_a_root_shell_in_the_agent_s_session_ends_with_it(host: Machine) -> None:
    """It got there by sudo, and no longer runs as the agent."""
    log_in(host, "bot")
    host.run(
        "systemd-run -q --unit stray /usr/bin/env sleep 1002;"
        " id=$(loginctl list-sessions --no-legend | awk '$3==\"bot\"{print $1}');"
        ' for f in $(find /sys/fs/cgroup -path "*session-$id.scope/cgroup.procs"); do'
        " systemctl show -P MainPID stray > $f; done"
    )
    assert "contained" == call(host, "stop", SESSIONS)["verdict"]
    assert (0, 1) == (sessions(host, "bot"), host.run("pgrep -f '[s]leep 1002'", check=False).returncode)


def test_the_manager_of_an_account_that_did_not_linger_is_not_started_at_restore(host: Machine) -> None:
    """It ran because somebody was logged in."""
    host.run("loginctl disable-linger bot; systemctl stop user@$(id -u bot).service")
    log_in(host, "bot")
    host.run(_wait("systemctl is-active -q user@$(id -u bot).service"))
    call(host, "stop", LINGER)
    call(host, "stop", SESSIONS)
    call(host, "restore", LINGER)

    assert 0 != host.run("systemctl is-active -q user@$(id -u bot).service", check=False).returncode
    assert "" == host.run("ls -A /var/lib/systemd/linger").stdout


def test_a_manager_that_ended_before_it_was_first_looked_at_comes_back_too(host: Machine) -> None:
    """The end of the tree may be faster; what counts is what ran when it was planned."""
    call(host, "look", LINGER)
    host.run("systemctl kill -s KILL user@$(id -u bot).service; sleep 0.3")
    call(host, "stop", LINGER)
    call(host, "restore", LINGER)

    assert host.run(_wait("pgrep -u bot -f 'sleep infinity'")).stdout


def test_while_the_account_is_locked_the_restore_waits_for_it(host: Machine) -> None:
    """PAM refuses the manager; unlocked, the same call goes through."""
    known = "loginctl show-user bot -p Linger -p State; stat -c '%y %i' /var/lib/systemd/linger/bot"
    before = host.run(known).stdout
    for part in ("account_lock", LINGER, SESSIONS):
        assert "contained" == call(host, "stop", part)["verdict"]
    with pytest.raises(Exception, match="does not start"):
        call(host, "restore", LINGER)
    call(host, "restore", "account_lock")
    call(host, "restore", LINGER)

    assert before == host.run(known).stdout
    assert host.run(_wait("pgrep -u bot -f 'sleep infinity'")).stdout


def test_a_kill_between_the_mask_and_the_move_is_mended(host: Machine) -> None:
    """And what was so before the stop is what comes back."""
    before = listing(host, *_PLACES)
    call(host, "stop", LINGER, rounds=1)
    host.run(
        "cd /var/lib/systemd/linger && mv .breakglass-aside/*.0 bot"
        " && rm /etc/systemd/system.control/user@* && systemctl daemon-reload"
    )
    assert "contained" == call(host, "stop", LINGER)["verdict"]
    call(host, "restore", LINGER)

    assert before == listing(host, *_PLACES)


def test_the_executor_s_own_login_is_never_ended(host: Machine) -> None:
    """An account that the executor came through is not the agent's alone."""
    seen = call(host, "propose", SESSIONS, user="root")

    assert [] == seen["keys"]
