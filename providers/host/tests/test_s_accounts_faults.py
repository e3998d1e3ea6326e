"""The lock of an account through faults: killed at any instant, a read-only root, what a host lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from breakglass.canon import Json
from breakglass_host.actions import account_lock, linger, login_sessions, ssh_keys, sudo_drop_ins
from breakglass_host.machine import Machine
from breakglass_host.systemd import systemctl
from providers.host.tests.accounts_s import call, listing, prepare
from providers.host.tests.rig_b import connection

LOCK = "account_lock"


@pytest.fixture
def host(machine: Machine) -> Machine:
    """Give a machine with two accounts."""
    prepare(machine)
    return machine


def killed(host: Machine, verb: str, after_s: float) -> None:
    """Run a verb and kill it in the middle, its children too."""
    call(host, "propose", LOCK)
    host.run(f'sed -i \'s/"propose"/"{verb}"/\' /root/asked.json')
    host.run(
        "cd / && PYTHONPATH=/opt/breakglass-test timeout -s KILL"
        f" {after_s} python3 /opt/breakglass-test/driver.py < /root/asked.json",
        check=False,
    )


def test_killed_at_any_instant_it_ends_the_same(host: Machine) -> None:
    """The file is whole at each of them, and byte for byte the old one at the end."""
    before, others = listing(host, "/etc/shadow"), host.run("grep -v ^bot: /etc/shadow").stdout
    for verb in ("stop", "restore"):
        for n in range(12):
            killed(host, verb, 0.1 + 0.03 * n)
            assert others == host.run("grep -v ^bot: /etc/shadow").stdout
            assert "1" == host.run("grep -c ^bot: /etc/shadow").stdout.strip()
        if verb == "stop":
            assert "contained" == call(host, "stop", LOCK)["proof"][0]
    call(host, "restore", LOCK)

    assert before == listing(host, "/etc/shadow")
    assert "" == host.run("ls -d /etc/.breakglass*", check=False).stdout


def test_a_read_only_root_is_reported_as_the_kernel_says_it(host: Machine) -> None:
    """And nothing was changed."""
    host.run("mount --bind /etc /etc && mount -o remount,bind,ro /etc")
    before = listing(host, "/etc/shadow")
    with pytest.raises(Exception, match="Read-only file system"):
        call(host, "stop", LOCK)

    assert before == listing(host, "/etc/shadow")


def test_a_hash_in_the_passwd_file_itself_is_a_door(host: Machine) -> None:
    """Then PAM never reads the shadow line, so that locking it would prove nothing."""
    host.run('hash=$(grep ^bot: /etc/shadow | cut -d: -f2); sed -i "s|^bot:x:|bot:$hash:|" /etc/passwd')
    seen = call(host, "propose", LOCK)

    assert ([], True) == (seen["keys"], "stands in /etc/passwd" in seen["doors"][0][1])


def test_a_host_without_shadow_has_a_door_and_no_step(host: Machine) -> None:
    """Nothing here says who may log in."""
    host.run("rm /etc/shadow")
    seen = call(host, "propose", LOCK)

    assert ([], ["logins of account bot"]) == (seen["keys"], [door[0] for door in seen["doors"]])


def test_without_pam_the_lock_is_read_back_alone(host: Machine) -> None:
    """The step's best proof says so before anybody signs, and no door is closed by it."""
    host.run("rm /lib/x86_64-linux-gnu/libpam.so.0* /usr/lib/*/libpam.so.0*", check=False)

    assert ["read_back"] == call(host, "propose", LOCK)["grades"]


@pytest.mark.skipif(systemctl.absent() == "", reason="systemd runs here")
def test_where_systemd_is_not_process_1_it_is_said_once(tmp_path: Path) -> None:
    """Nothing is proposed for sessions and lingering."""
    settings: dict[str, Json] = {"host": "local", "user": "games"}
    where = connection(tmp_path / "incident", settings)
    found = [part.propose(where, None, "kill") for part in (linger, login_sessions)]

    assert [(), ()] == [one.proposals for one in found]
    assert [1, 0] == [len(one.not_touched) for one in found]


def test_an_account_that_no_file_of_the_host_holds_lives_elsewhere(host: Machine) -> None:
    """As nsswitch.conf says where; systemd lends some to a service alone."""
    host.run("sed -i 's/^passwd:.*/passwd: files sss/' /etc/nsswitch.conf")
    script = (
        "from breakglass_host.accounts.account import Account, lives_in;"
        " ids = {'bot': 1000, 'far': 5000, 'dyn': 61200};"
        " print([lives_in(Account(name, uid, uid, (), '/')) for name, uid in ids.items()])"
    )
    said = host.run(f'PYTHONPATH=/opt/breakglass-test python3 -c "{script}"').stdout.strip()

    assert str(["", "a directory (sss)", "systemd (DynamicUser)"]) == said


def test_an_inventory_that_names_no_user_is_told_so_once(tmp_path: Path) -> None:
    """By one part, in one line."""
    where = connection(tmp_path / "incident", {"host": "local", "pid_file": "/run/none.pid"})
    parts = (account_lock, ssh_keys, sudo_drop_ins, linger, login_sessions)
    found = [part.propose(where, None, "kill") for part in parts]

    assert [1, 0, 0, 0, 0] == [len(one.not_touched) for one in found]
    assert not any(one.proposals or one.doors for one in found)
