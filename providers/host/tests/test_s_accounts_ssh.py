"""The key files that sshd really reads are set aside byte for byte, whatever the agent puts in the way."""

from __future__ import annotations

import time

import pytest

from breakglass_host.accounts import sshd
from breakglass_host.accounts.account import Account
from breakglass_host.machine import Machine
from providers.host.tests.accounts_s import ALICE, BOT, call, listing, prepare, ssh

KEYS = "ssh_keys"
HOME = "/home/bot/.ssh"
FILE = f"{HOME}/authorized_keys"


@pytest.fixture
def host(machine: Machine) -> Machine:
    """Give a machine with two accounts."""
    prepare(machine)
    return machine


def test_a_key_works_before_is_refused_after_and_works_once_restored(host: Machine) -> None:
    """Bytes, mode, owner, times and inode are the same; the neighbour is not touched."""
    host.run(f"chmod 640 {FILE}; touch -d '2020-02-02 02:02:02.123456789' {FILE}")
    before = listing(host, HOME) + host.run(f"stat -c %i {FILE}").stdout
    assert (True, True) == (ssh(host, BOT), ssh(host, ALICE))
    stopped = call(host, "stop", KEYS)

    assert "contained" == stopped["verdict"]
    assert [FILE, f"{FILE}2"] == stopped["targets"][0]["paths"]
    assert (False, True) == (ssh(host, BOT), ssh(host, ALICE))
    done = call(host, "restore", KEYS)
    assert {"restored", "already"} == set(done["first"].values())
    assert before == listing(host, HOME) + host.run(f"stat -c %i {FILE}").stdout
    assert ssh(host, BOT)


def test_sshd_is_asked_where_it_looks(host: Machine) -> None:
    """A pattern of its own, a Match block for this user, and one for an address that nobody asked about."""
    host.run(
        "mkdir -p /etc/ssh/keys && cp /root/key-bot.pub /etc/ssh/keys/bot"
        " && cp /root/key-alice.pub /etc/ssh/all && printf 'AuthorizedKeysFile /etc/ssh/all\\n"
        "Match User bot\\nAuthorizedKeysFile /etc/ssh/keys/%%u\\n"
        "Match Address 10.9.8.0/24\\nAuthorizedKeysFile %%h/else/%%U\\n' > /etc/ssh/sshd_config.d/x.conf"
    )
    seen = call(host, "propose", KEYS)
    uid = host.run("id -u bot").stdout.strip()

    assert ["/etc/ssh/keys/bot", f"/home/bot/else/{uid}"] == seen["targets"][0]["paths"]
    assert ["keys for every account in /etc/ssh/all"] == [door[0] for door in seen["doors"]]
    assert ["lock:bot"] == seen["doors"][0][2]


def test_where_sshd_cannot_be_asked_its_defaults_stand_in_and_it_is_said(host: Machine) -> None:
    """A configuration that does not parse."""
    host.run("echo Nonsense yes >> /etc/ssh/sshd_config")
    seen = call(host, "propose", KEYS)

    assert [FILE, f"{FILE}2"] == seen["targets"][0]["paths"]
    assert ["key files of sshd"] == [door[0] for door in seen["doors"]]


def test_other_ways_in_and_private_keys_are_said(host: Machine) -> None:
    """A certificate authority is refused by the lock; a private key opens other hosts."""
    host.run(f"echo 'TrustedUserCAKeys /etc/ssh/ca' > /etc/ssh/sshd_config.d/x.conf; touch {HOME}/id_ed25519")
    said = [name for name, _ in call(host, "propose", KEYS)["not_touched"]]

    assert ["sshd: trustedusercakeys /etc/ssh/ca", f"{HOME}/id_ed25519"] == said


@pytest.mark.parametrize(
    "trick",
    [
        "ln -sf /etc/shadow authorized_keys",
        "rm -f authorized_keys; mkfifo authorized_keys",
        "rm -f authorized_keys; mkdir authorized_keys",
        "cd ..; mv .ssh elsewhere; ln -s elsewhere .ssh",
        "cd ..; mv .ssh elsewhere; ln -s /root/.ssh .ssh",
        "cd ..; mv .ssh elsewhere; mkfifo .ssh",
    ],
)
def test_what_the_agent_puts_in_the_way_is_moved_itself_and_never_followed(host: Machine, trick: str) -> None:
    """No hang, nothing of anybody else's touched, and the agent's own things back where they were."""
    others = ("/etc/shadow", "/root/.ssh", "/home/alice")
    host.run(f"su -s /bin/sh bot -c 'cd {HOME} && {trick}'")
    theirs, own = listing(host, *others), listing(host, "/home/bot")
    began = time.monotonic()
    stopped = call(host, "stop", KEYS)

    assert "contained" == stopped["verdict"], stopped
    assert time.monotonic() - began < 30
    assert not ssh(host, BOT)
    assert theirs == listing(host, *others)
    call(host, "restore", KEYS)
    assert (theirs, own) == (listing(host, *others), listing(host, "/home/bot"))


def test_an_agent_that_swaps_the_folder_all_the_time_gets_nothing_followed(host: Machine) -> None:
    """Rounds go on until the engine's deadline; what belongs to root and to the neighbour stays whole."""
    theirs = listing(host, "/etc/shadow", "/root/.ssh", "/home/alice")
    race = (
        "while :; do mv .ssh .a 2>/dev/null; ln -s /root/.ssh .ssh 2>/dev/null; rm -f .ssh; mkdir -p .a;"
        " cp /root/nothing .a/authorized_keys 2>/dev/null; : > .a/authorized_keys; mv -T .a .ssh; done"
    )
    host.run(f"systemd-run -q --unit racer --uid bot -p WorkingDirectory=/home/bot sh -c '{race}'")
    for _ in range(6):
        call(host, "stop", KEYS, rounds=20)

    assert theirs == listing(host, "/etc/shadow", "/root/.ssh", "/home/alice")
    host.run("systemctl kill -s KILL racer; systemctl stop racer", check=False)
    assert "contained" == call(host, "stop", KEYS, rounds=20)["verdict"]


def test_a_file_that_is_made_again_is_moved_too_and_only_the_first_comes_back(host: Machine) -> None:
    """Also when the run was killed between recording and moving."""
    before = listing(host, FILE)
    call(host, "stop", KEYS, rounds=1)
    host.run(f"install -o bot -g bot -m 600 /root/key-alice.pub {FILE}")
    assert "contained" == call(host, "stop", KEYS)["verdict"]
    call(host, "restore", KEYS)

    assert before == listing(host, FILE)


@pytest.mark.parametrize("remains", ["id_ed25519", "id_ed25519.pub", "id_other"])
def test_a_key_of_the_agent_s_that_opens_another_account_is_a_door(host: Machine, remains: str) -> None:
    """A copy of it may be anywhere; its public half stands in the private one, passphrase or not."""
    kept = f"{HOME}/.k/{remains.replace('other', 'ed25519')}"
    host.run(
        f"ssh-keygen -q -t ed25519 -N secret -f {HOME}/id_ed25519 && cat {HOME}/id_ed25519.pub >>"
        " /home/alice/.ssh/authorized_keys"
        f" && mkdir -p {HOME}/.k && mv {HOME}/id_* {HOME}/.k/ && cp {kept}"
        f" {HOME}/{remains} && rm -r {HOME}/.k && chown -R bot: {HOME}"
    )
    doors = call(host, "propose", KEYS)["doors"]

    assert [f"ssh key {remains} opens account alice"] == [door[0] for door in doors]


def test_a_key_file_of_somebody_else_that_never_answers_delays_no_plan(host: Machine) -> None:
    """It is said that it was not read."""
    host.run(f"cp /root/key-bot {HOME}/id_ed25519; chown bot: {HOME}/id_ed25519")
    host.run("cd /home/alice/.ssh; rm authorized_keys; mkfifo authorized_keys")
    began = time.monotonic()
    said = [name for name, _ in call(host, "propose", KEYS)["not_touched"]]

    assert "/home/alice/.ssh/authorized_keys" in said
    assert time.monotonic() - began < 30


def test_a_host_without_sshd_says_so_once(host: Machine) -> None:
    """And proposes nothing."""
    host.run("mv /usr/sbin/sshd /usr/sbin/sshd.away")
    seen = call(host, "propose", KEYS)

    assert ([], [["keys for ssh", "no sshd is installed here"]]) == (seen["keys"], seen["not_touched"])


def test_patterns_expand_as_sshd_does_it() -> None:
    """The home, the name, the uid and a percent sign; a path that begins nowhere begins at home."""
    bot = Account("bot", 1001, 1001, (1001,), "/home/bot")

    assert "/k/bot/1001/%/x" == sshd.expand("/k/%u/%U/%%/x", bot)
    assert "/home/bot/.ssh/k" == sshd.expand("%h/.ssh/k", bot)
    assert "/home/bot/k" == sshd.expand("k", bot)
