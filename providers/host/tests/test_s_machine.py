"""The machine of the tests is real, reached from one place only, and leaves nothing behind."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from breakglass.errors import ProviderError
from breakglass_host import machine_owner, machine_room, procfs
from breakglass_host.machine import Machine, obstacle, start
from breakglass_host.machine_network import Network
from providers.host.tests.machines import fresh
from tests.backends import need

CONNECT = "python3 -c 'import socket; socket.create_connection((\"{}\", {}), timeout=3)'"


@pytest.fixture
def network() -> Iterator[Network]:
    """Give an operator's network that several machines can share."""
    why = obstacle()
    need("systemd", not why, why)
    made = Network()
    yield made
    made.close()


def over_ssh(machine: Machine, command: str) -> str:
    """Run a command through the ssh client that an operator has."""
    argv = ["ssh", "-F", str(machine.ssh_config), machine.name, command]
    return subprocess.run(
        argv, check=True, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
    ).stdout


def traces(id_: str) -> list[str]:
    """Return all that carries an id: mounts, folders, network namespaces, cgroups, processes."""
    found = [line for line in Path("/proc/self/mounts").read_text().splitlines() if id_ in line]
    places = [machine_owner.FOLDER, machine_owner.NETNS, Path("/run/systemd/nspawn/propagate")]
    places += [Path(one.folder("/breakglass-machines")) for one in machine_owner.hierarchies()]
    found += [str(path) for place in places for path in place.glob(f"{id_}*")]
    alive = [one.pid for one in procfs.scan().values() if one.alive]
    return found + [
        f"pid {pid}" for pid in alive if id_.encode() in (procfs.read(f"/proc/{pid}/cgroup") or b"")
    ]


def test_a_machine_boots_and_answers_over_ssh(machine: Machine) -> None:
    """Its systemd runs every unit, and the operator's ssh client is let in with the key made for it."""
    said = over_ssh(machine, "hostname; systemctl is-system-running; systemctl is-active cron atd ssh")

    assert [machine.name, "running", "active", "active", "active"] == said.split()


def test_only_the_operators_network_reaches_a_machine(machine: Machine) -> None:
    """From the network of the machine that runs the tests no connection arrives at it."""
    [server] = machine.listen([(machine.address, 8080)])
    with server, socket.socket() as abroad:
        with machine.network.connect(machine.address, 8080):
            server.accept()[0].close()
        # Something out there may well answer at a private address: a proxy, another network.
        abroad.settimeout(0)
        abroad.connect_ex((machine.address, 8080))
        server.settimeout(0.5)

        with pytest.raises(TimeoutError):
            server.accept()


def test_machines_of_one_network_do_not_see_each_other(network: Network) -> None:
    """Both answer the operator; neither reaches the other, and each has cgroups of its own."""
    with fresh("one", network=network) as one, fresh("two", network=network) as two:
        assert ["one", "two"] == [over_ssh(each, "hostname").strip() for each in (one, two)]

        with pytest.raises(ProviderError, match="unreachable"):
            one.run(CONNECT.format(two.address, 22))

        at = "cd /sys/fs/cgroup/unified 2>/dev/null || cd /sys/fs/cgroup; "
        one.run(at + "echo 1 >system.slice/cgroup.freeze")
        assert "frozen 0" in two.run(at + "cat system.slice/cgroup.events").stdout


def test_a_reboot_is_real_and_keeps_the_files(machine: Machine) -> None:
    """After it there is another boot id and another /run; files, host key and the journal stay."""
    before = machine.run("cat /proc/sys/kernel/random/boot_id; echo kept >/etc/kept; touch /run/lost").stdout

    machine.reboot()

    after, kept = over_ssh(
        machine, "cat /proc/sys/kernel/random/boot_id /etc/kept; ls /run/lost || true"
    ).split()
    assert (before.strip() == after, kept) == (False, "kept")
    assert len(machine.run("journalctl --list-boots --quiet").stdout.splitlines()) == 2


def test_stop_leaves_nothing_whatever_ran(machine: Machine) -> None:
    """A unit, a user's manager and a process that left its session all end with it."""
    machine.run("useradd -m bot; loginctl enable-linger bot; systemd-run sleep 1000; setsid -f sleep 1000")
    assert traces(machine.id)

    machine.stop()
    machine.stop()

    assert [] == traces(machine.id) + traces(machine.network.id)


def test_what_a_killed_run_left_is_cleared_by_the_next(machine: Machine, tmp_path: Path) -> None:
    """A run that was killed cannot clean up; the next one does, and leaves alone what is alive."""
    code = (
        "import time; from breakglass_host.machine import start; m = start();"
        "print(m.id, m.network.id, flush=True); time.sleep(1000)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as other:
        assert other.stdout is not None
        left = other.stdout.readline().split()
        other.kill()
    assert [True, True] == [bool(traces(id_)) for id_ in left]

    with start():
        assert [] == [trace for id_ in left for trace in traces(id_)]

    assert machine.run("true").returncode == 0


def test_a_socket_inside_is_served_from_outside(machine: Machine) -> None:
    """What the tests serve inside needs no process there."""
    [server] = machine.listen([("127.0.0.1", 8080)])
    with server:
        machine.run(CONNECT.format("127.0.0.1", 8080))
        served, _ = server.accept()
        served.close()

    with pytest.raises(ProviderError, match="Cannot assign requested address"):
        machine.listen([("10.1.2.3", 8080)])


def test_a_folder_from_outside_is_shared(tmp_path: Path) -> None:
    """Names with the signs that nspawn gives a meaning to come through."""
    why = obstacle()
    need("systemd", not why, why)
    outside = tmp_path / "with:colon"
    outside.mkdir()
    with start(binds=[(outside, Path("/srv/given"))]) as machine:
        machine.run("echo hello >/srv/given/file")

    assert (outside / "file").read_text() == "hello\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="a root without rights")
def test_without_the_right_to_make_mounts_it_says_so(tmp_path: Path) -> None:
    """A root of a container that may do nothing gets a reason, not a machine."""
    code = "from breakglass_host.machine import obstacle; print(obstacle())"
    argv = ["setpriv", "--bounding-set", "-sys_admin", sys.executable, "-c", code]
    said = subprocess.run(argv, check=True, capture_output=True, text=True, cwd=tmp_path).stdout

    assert said == "this root may not make namespaces and mounts\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_room_is_measured_before_a_machine_boots() -> None:
    """A systemd that gets no inotify instance hangs; a user who has used up its own sees that."""
    child = os.fork()
    if child == 0:
        seen = None
        try:
            os.setresuid(64_321, 64_321, 64_321)
            before = machine_room.room(1)
            while ctypes.CDLL(None).inotify_init1(0) >= 0:
                pass
            seen = (before, machine_room.room(1))
        finally:
            os._exit(seen != (1, 0))

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_machines_that_start_at_once_take_turns(network: Network) -> None:
    """All of them come up, whoever was first."""
    with ThreadPoolExecutor(3) as starters:
        machines = list(starters.map(lambda name: start(name, network=network), ("a", "b", "c")))
    try:
        assert ["a", "b", "c"] == [over_ssh(each, "hostname").strip() for each in machines]
    finally:
        for each in machines:
            each.stop()
