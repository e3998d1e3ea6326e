"""Why a machine cannot be driven is told before anybody signs: against a real sshd and sudo."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from breakglass.clock import Instant
from breakglass.errors import Denied, Gone, ProviderError, Unreachable, Unsupported
from breakglass_host.machine import Machine
from breakglass_host.remote.host import RemoteHost
from providers.host.tests.remote_s import add_login, connected, executor, holds, ours_alone, refusal, settings

FAKE_OLD = "#!/bin/sh\necho 3 9\n"


def other_key(tmp_path: Path) -> str:
    """Make a host key that is not the machine's."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    return (tmp_path / "other.pub").read_text().strip()


def test_a_host_key_that_changed_is_refused_and_nobody_is_asked(machine: Machine, tmp_path: Path) -> None:
    """Also one of another type than the pinned one."""
    for key in (other_key(tmp_path), RSA):
        found = refusal(tmp_path, settings(machine, host_key=key))

        assert isinstance(found, Denied)
        assert "is not the pinned" in found.what
        assert "ssh-keyscan" in found.remedy
    assert set() == ours_alone()
    assert "Accepted" not in machine.run("journalctl -u ssh -o cat").stdout


def test_a_login_that_talks_is_listened_past(machine: Machine, tmp_path: Path) -> None:
    """Half a megabyte of noise, without a newline at its end, does no harm; an endless one is told."""
    machine.run("echo 'head -c 500000 /dev/urandom; printf noise' >/root/.bashrc")
    host = connected(tmp_path, settings(machine))
    try:
        assert f"host ssh://root@{machine.name}" == host.discover().scope
    finally:
        host.close()

    machine.run("echo 'cat /dev/zero' >/root/.bashrc")
    found = refusal(tmp_path, settings(machine))
    assert isinstance(found, Unreachable)
    assert "does not end" in found.what


def test_without_python_it_is_told_what_to_install(machine: Machine, tmp_path: Path) -> None:
    """None at all, one that is too old, and one whose standard library is not whole."""
    machine.run("echo 'printf noise' >/root/.bashrc; mkdir /root/py; mv /usr/bin/python3* /root/py/")
    none = refusal(tmp_path, settings(machine))
    machine.run(f"printf %s '{FAKE_OLD}' >/usr/bin/python3; chmod 755 /usr/bin/python3")
    old = refusal(tmp_path, settings(machine))
    machine.run("rm /usr/bin/python3; mv /root/py/* /usr/bin/; mv /usr/lib/python3.11/json /root/")
    lacks = refusal(tmp_path, settings(machine))

    assert all(isinstance(one, Unsupported) for one in (none, old, lacks))
    assert "there is no Python on it" in none.what
    assert "too old: /usr/bin/python3 is 3.9, and the runner needs 3.11" in old.what
    assert "has no module json" in lacks.what
    assert all(f"root@{machine.name}" == one.where for one in (none, old, lacks))
    assert all("nothing was changed" == one.not_done and one.remedy for one in (none, old, lacks))


def test_a_newer_python_beside_an_old_one_is_found(machine: Machine, tmp_path: Path) -> None:
    """As on a distribution whose own python3 is old."""
    machine.run(f"rm /usr/bin/python3; printf %s '{FAKE_OLD}' >/usr/bin/python3; chmod 755 /usr/bin/python3")

    connected(tmp_path, settings(machine)).close()


def test_a_login_that_is_not_root_needs_sudo_that_asks_nothing(machine: Machine, tmp_path: Path) -> None:
    """Wanting a password is told, with the line for sudoers; that very line makes it work."""
    reach = settings(machine, host=add_login(machine, "breakglass"))
    not_allowed = refusal(tmp_path, reach)
    machine.run("echo 'breakglass ALL=(root) ALL' >/etc/sudoers.d/b")
    wants = refusal(tmp_path, reach)
    line = wants.remedy.partition("breakglass: ")[2]
    machine.run(f"echo '{line}' >/etc/sudoers.d/b")

    host = connected(tmp_path, reach)
    try:
        assert any(step.action == "host.cgroup.freeze_tree" for step in host.discover().proposals)
    finally:
        host.close()
    assert isinstance(not_allowed, Denied)
    assert "a password is required" in wants.what
    assert "breakglass ALL=(root) NOPASSWD: /usr/bin/python3" == line
    machine.run("mv /usr/bin/sudo /root/")
    assert "sudo is not installed" in refusal(tmp_path, reach).what


def test_without_sudo_the_login_does_what_it_may(machine: Machine, tmp_path: Path) -> None:
    """The inventory says so; what it lacks is said in the plan."""
    reach = settings(machine, host=add_login(machine, "breakglass"), without_sudo=True)
    host = connected(tmp_path, reach)
    try:
        found = host.discover()
    finally:
        host.close()

    assert any("not ours to write" in one.reason for one in found.not_touched)


def test_an_agent_that_has_our_own_login_is_named(machine: Machine, tmp_path: Path) -> None:
    """It could answer in the machine's place: refused where the inventory says so, an open door elsewhere."""
    url = add_login(machine, "bot")
    machine.run("echo 'bot ALL=(root) NOPASSWD: ALL' >/etc/sudoers.d/b")
    machine.run(
        "runuser -u bot -- setsid -f sleep 1000; until pgrep -u bot -x sleep >/run/bot; do sleep 0.1; done"
    )
    reach = settings(machine, host=url, pid_file="/run/bot")
    refused = refusal(tmp_path, reach | {"user": "bot"})
    del reach["user"]
    host = connected(tmp_path, reach)
    try:
        doors = [one.door for one in host.discover().doors]
    finally:
        host.close()

    assert "the agent's own, which could then answer" in refused.what
    assert any("can answer in this machine's place" in door.reason for door in doors)


def test_a_login_that_hangs_is_given_up(machine: Machine, tmp_path: Path) -> None:
    """It lets the operator in and then says nothing."""
    machine.run("echo 'ForceCommand sleep 600' >>/etc/ssh/sshd_config; systemctl reload ssh")
    started_s = time.monotonic()
    with pytest.raises(Unreachable, match="let root log in and then hung"):
        RemoteHost(executor(tmp_path, settings(machine)), within_s=11.0)

    assert time.monotonic() - started_s < 60
    assert set() == ours_alone()


def test_what_ssh_itself_cannot_do_is_told(machine: Machine, tmp_path: Path) -> None:
    """A key that is not let in, a name that nobody knows, a port that nobody listens on."""
    machine.run("usermod -s /usr/sbin/nologin root")
    closed = refusal(tmp_path, settings(machine))
    machine.run("usermod -s /bin/bash root; rm /root/.ssh/authorized_keys")
    refused = refusal(tmp_path, settings(machine))
    unknown = refusal(tmp_path, settings(machine, host="ssh://root@no-such-machine.invalid"))

    assert "This account is currently not available." == closed.what
    assert isinstance(refused, Denied)
    assert "does not let root log in" in refused.what
    assert isinstance(unknown, Unreachable)
    assert "root@no-such-machine.invalid" == unknown.where


def test_a_clock_that_is_off_is_told(machine: Machine, tmp_path: Path) -> None:
    """Its logs have other times, and people must know."""
    # The container has the kernel's clock: a time namespace of Python's alone plays the hours.
    machine.run("mv /usr/bin/python3.11 /usr/bin/python3.real")
    machine.run(f"cat >/usr/bin/python3.11 <<'E'\n{SKEWED}E\nchmod 755 /usr/bin/python3.11")
    since = Instant(1_790_000_000_000)
    reach = settings(machine)
    host = RemoteHost(replace(executor(tmp_path, reach), since=since))
    try:
        evidence = [one.target.params.get("journal_since_s") for one in host.discover().proposals]
        [notice] = [one for one in host.discover().not_touched if one.resource.startswith("clock")]
    finally:
        host.close()

    assert f"clock of {machine.name}" == notice.resource
    assert "3 h 2 min ahead of the executor's" in notice.reason
    [since_s] = [one for one in evidence if isinstance(one, int)]
    assert 0 <= 1_790_000_000 + 10_920 - since_s < 3


def test_nothing_is_left_behind(machine: Machine, tmp_path: Path) -> None:
    """No file, no process, there or here: after a look, a goodbye and a client that was killed."""
    connected(tmp_path, settings(machine)).close()
    before = holds(machine)
    host = connected(tmp_path, settings(machine))
    found = host.discover()
    for step in found.proposals:
        host.actions[step.action].observe(step.target)
    host.close()
    cut = connected(tmp_path, settings(machine))
    assert cut.session.link is not None
    subprocess.run(["kill", "-9", str(cut.session.link.pid)], check=True)
    time.sleep(1)

    after = holds(machine)
    assert set() == before[0] ^ after[0]
    assert before[1] == after[1]
    assert set() == ours_alone()


def test_many_connect_at_once_and_read_files_there(machine: Machine, tmp_path: Path) -> None:
    """Each on a thread of its own; a file comes as it is, and no more of it than asked for."""
    machine.run("printf 'token\\377' >/root/token; ln -s token /root/link")

    def read(n: int) -> bytes:
        host = connected(tmp_path / str(n), settings(machine))
        try:
            with pytest.raises(Denied, match="larger than 3 bytes"):
                host.read_file("/root/token", max_bytes=3)
            with pytest.raises(ProviderError, match="not a regular file"):
                host.read_file("/root/link", max_bytes=3)
            with pytest.raises(Gone):
                host.read_file("/root/none", max_bytes=3)
            return host.read_file("/root/token", max_bytes=100)
        finally:
            host.close()

    with ThreadPoolExecutor(6) as pool:
        assert {b"token\xff"} == set(pool.map(read, range(6)))
    assert set() == ours_alone()


RSA = "ssh-rsa AAAAB3NzaC1yc2E" + "A" * 41
SKEWED = """#!/bin/sh
for a; do case $a in *s.readline*) exec /usr/bin/python3.real -I -S -B -X utf8 -c "
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
real = time.time_ns
time.time_ns = lambda: real() + 10920 * 10**9
$7" "$8";; esac; done
exec /usr/bin/python3.real "$@"
"""
