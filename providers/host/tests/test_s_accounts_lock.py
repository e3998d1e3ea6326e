"""A locked account is refused by sshd, su, sudo, cron and PAM, and gets its line back byte for byte."""

from __future__ import annotations

import time

import pytest

from breakglass_host.machine import Machine
from providers.host.tests.accounts_s import ALICE, BOT, call, listing, prepare, ssh, su

LOCK = "account_lock"


@pytest.fixture
def host(machine: Machine) -> Machine:
    """Give a machine with two accounts."""
    prepare(machine)
    return machine


def test_a_locked_account_is_refused_by_ssh_su_and_sudo_and_is_whole_again(host: Machine) -> None:
    """The neighbour's logins work all the while, and the shadow file is the old one to the nanosecond."""
    host.run(
        "echo 'bot ALL=(ALL) NOPASSWD: /usr/bin/true' > /etc/sudoers.d/bot; chmod 440 /etc/sudoers.d/bot"
    )
    before = listing(host, "/etc/shadow")
    as_bot = "setpriv --reuid bot --regid bot --init-groups sudo -n /usr/bin/true"
    assert (True, True) == (ssh(host, BOT), ssh(host, ALICE))
    assert "I-AM-bot" in su(host, BOT)
    assert 0 == host.run(as_bot).returncode
    assert ["not_contained", "not_contained"] == [
        (seen := call(host, "look", LOCK))["verdict"],
        seen["proof"][0],
    ]
    stopped = call(host, "stop", LOCK)

    assert ("contained", "contained", "platform_evaluator") == (
        stopped["verdict"],
        stopped["proof"][0],
        stopped["proof"][2],
    )
    assert {"sshd", "su", "sudo", "cron", "atd", "login"} <= set(stopped["targets"][0]["services"])
    assert (False, True) == (ssh(host, BOT), ssh(host, ALICE))
    assert "I-AM-bot" not in su(host, BOT)
    assert "I-AM-alice" in su(host, ALICE)
    assert 0 != host.run(as_bot, check=False).returncode
    done = call(host, "restore", LOCK)
    assert (["restored"], ["already"]) == (list(done["first"].values()), list(done["again"].values()))
    assert before == listing(host, "/etc/shadow")
    assert (True, "I-AM-bot" in su(host, BOT)) == (ssh(host, BOT), True)


def test_no_hash_stands_in_what_is_recorded(host: Machine) -> None:
    """The line lies in the sealed store alone."""
    hashed = host.run("grep ^bot: /etc/shadow | cut -d: -f2").stdout.strip()
    seen = call(host, "look", LOCK)

    assert len(hashed) > 20
    assert hashed not in str(seen)


def test_what_somebody_else_changes_during_the_stop_survives_the_restore(host: Machine) -> None:
    """Another user's new password, and the agent's own other fields."""
    call(host, "stop", LOCK)
    host.run("echo alice:new-one | chpasswd; useradd -m carol; chage -M 30 bot")
    others = host.run("grep -v ^bot: /etc/shadow").stdout
    done = call(host, "restore", LOCK)

    assert ["restored"] == list(done["first"].values())
    assert others == host.run("grep -v ^bot: /etc/shadow").stdout
    assert "30" == host.run("grep ^bot: /etc/shadow | cut -d: -f5").stdout.strip()
    assert ssh(host, BOT)


def test_an_account_that_somebody_touched_since_is_left_alone(host: Machine) -> None:
    """A new password during the stop is a person's decision."""
    call(host, "stop", LOCK)
    host.run("echo bot:another | chpasswd")
    line = host.run("grep ^bot: /etc/shadow").stdout
    done = call(host, "restore", LOCK)

    assert ["drifted"] == list(done["first"].values())
    assert line == host.run("grep ^bot: /etc/shadow").stdout


def test_an_account_that_was_locked_before_stays_locked(host: Machine) -> None:
    """Restore never revives what was off."""
    host.run("usermod -L -e 1970-01-02 bot")
    before = listing(host, "/etc/shadow")
    assert "contained" == call(host, "stop", LOCK)["verdict"]
    assert before == listing(host, "/etc/shadow")


def test_cron_runs_nothing_for_an_expired_account(host: Machine) -> None:
    """The neighbour's job of the same minute runs."""
    for name in (BOT, ALICE):
        host.run(f"echo '* * * * * touch /tmp/ran-{name}' | crontab -u {name} -")
    host.run("echo '* * * * * bot touch /tmp/ran-bot-too' > /etc/cron.d/theirs")
    doors = call(host, "propose", "scheduled_jobs")["doors"]
    assert [["system job in /etc/cron.d/theirs", ["lock:bot"]]] == [[door[0], door[2]] for door in doors]
    call(host, "stop", LOCK)
    until = time.monotonic() + 75
    while time.monotonic() < until and host.run("test -e /tmp/ran-alice", check=False).returncode != 0:
        time.sleep(1)

    assert 0 == host.run("test -e /tmp/ran-alice", check=False).returncode
    assert "ran-alice" == host.run("sleep 2; cd /tmp; ls -d ran-*").stdout.strip()


def test_a_service_whose_stack_checks_no_expiry_is_named_and_never_contained(host: Machine) -> None:
    """A PAM file with pam_permit alone lets everybody in."""
    host.run("printf 'auth required pam_unix.so\\naccount required pam_permit.so\\n' > /etc/pam.d/su")
    stopped = call(host, "stop", LOCK)

    assert "not_contained" == stopped["proof"][0]
    assert "through su (success)" in stopped["proof"][1]


def test_while_a_nologin_file_refuses_everybody_pam_proves_nothing(host: Machine) -> None:
    """Its answer would be the same for an account that is open."""
    host.run("touch /etc/nologin")

    assert "unknown" == call(host, "stop", LOCK)["proof"][0]


def test_an_sshd_that_does_not_ask_pam_refuses_all_the_same(host: Machine) -> None:
    """It reads the shadow line itself, so PAM is not asked for it."""
    host.run("sed -i 's/^UsePAM yes/UsePAM no/' /etc/ssh/sshd_config && systemctl restart ssh")
    assert ssh(host, BOT)
    stopped = call(host, "stop", LOCK)

    assert "contained" == stopped["proof"][0]
    assert "sshd" not in stopped["targets"][0]["services"]
    assert (False, True) == (ssh(host, BOT), ssh(host, ALICE))


def test_the_attributes_of_the_file_stay_and_an_immutable_one_is_edited(host: Machine) -> None:
    """Owner, mode, extended attributes and flags are those of before."""
    host.run(
        "setfattr -n user.note -v mine /etc/shadow; chmod 600 /etc/shadow; chattr +i /etc/shadow", check=False
    )
    about = "stat -c '%a %U %G' /etc/shadow; lsattr /etc/shadow; getfattr -d /etc/shadow"
    before = host.run(about, check=False).stdout
    assert "contained" == call(host, "stop", LOCK)["verdict"]
    assert before == host.run(about, check=False).stdout
    call(host, "restore", LOCK)

    assert before == host.run(about, check=False).stdout
    host.run("chattr -i /etc/shadow", check=False)


def test_a_full_disk_leaves_the_old_file_whole(host: Machine) -> None:
    """And nothing half-written beside it."""
    host.run(
        "mkdir /root/etc && cp -a /etc/. /root/etc"
        " && mount -t tmpfs -o size=4m none /etc && cp -a /root/etc/. /etc"
    )
    before = host.run("sha256sum /etc/shadow; ls -A /etc").stdout
    host.run("dd if=/dev/zero of=/etc/full bs=4k 2>/dev/null", check=False)
    try:
        with pytest.raises(Exception, match="No space left"):
            call(host, "stop", LOCK)
    finally:
        host.run("rm -f /etc/full")

    assert before == host.run("sha256sum /etc/shadow; ls -A /etc").stdout
    assert "contained" == call(host, "stop", LOCK)["verdict"]


_HOLDS = (
    "import fcntl,os,sys,time; f=open('/etc/.pwd.lock','w'); os.setresuid(int(sys.argv[1]),0,0);"
    " fcntl.lockf(f,fcntl.LOCK_EX); print('held',flush=True); time.sleep(60)"
)


def test_an_agent_that_sits_on_the_lock_of_the_account_files_delays_nothing(host: Machine) -> None:
    """It can start passwd(1), a set-id program, and stop it; whoever else holds the lock is waited for."""
    (host.root / "root" / "holds.py").write_text(_HOLDS.replace("; ", "\n").replace(";", "\n"))
    host.run("systemd-run -q --unit holder python3 /root/holds.py $(id -u bot); sleep 0.7")
    began = time.monotonic()
    assert "contained" == call(host, "stop", LOCK)["verdict"]
    assert time.monotonic() - began < 10
    host.run("systemctl stop holder; systemd-run -q --unit other python3 /root/holds.py 0; sleep 0.7")
    with pytest.raises(Exception, match="holds the lock of the account files"):
        call(host, "restore", LOCK)


def test_a_kill_in_the_middle_of_writing_is_mended_by_the_next_run(host: Machine) -> None:
    """What a killed run left under its one name is replaced; the file itself is always whole."""
    before = listing(host, "/etc/shadow")
    host.run("cp /etc/shadow /etc/.breakglass-shadow")
    call(host, "stop", LOCK, rounds=1)
    assert "contained" == call(host, "stop", LOCK)["verdict"]
    call(host, "restore", LOCK)

    assert before == listing(host, "/etc/shadow")
    assert "" == host.run("ls /etc/.breakglass* 2>/dev/null", check=False).stdout


def test_an_account_without_a_line_here_is_a_door(host: Machine) -> None:
    """Its lock must be turned where it lives."""
    host.run("sed -i /^bot:/d /etc/shadow")
    seen = call(host, "propose", LOCK)

    assert ([], True) == (seen["keys"], "/etc/shadow has no line" in seen["doors"][0][1])


def test_a_second_name_of_the_same_uid_is_a_door(host: Machine) -> None:
    """It has a login of its own."""
    host.run("useradd -o -u $(id -u bot) -g bot twin")

    assert ["account twin"] == [door[0] for door in call(host, "propose", LOCK)["doors"]]


def test_root_is_never_locked(host: Machine) -> None:
    """Nor an account that the executor came through."""
    seen = call(host, "propose", LOCK, user="root")

    assert ([], 1) == (seen["keys"], len(seen["not_touched"]))
