"""Starts a real Linux machine for tests and drills: systemd, journald, logind, cron, atd and sshd.

It is a container by systemd-nspawn(1), over a Debian tree that is built once (`machine_tree`), in a v2 cgroup
of its own, reached over ssh from a network namespace of its own (`machine_network`), never from the main one.

    python -m breakglass_host.machine --build      only builds the tree
    python -m breakglass_host.machine              starts one and says how to reach it, until Enter
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from breakglass.errors import ProviderError, Unsupported
from breakglass_host import (
    cgroup,
    machine_inside,
    machine_owner,
    machine_place,
    machine_programs,
    machine_room,
    machine_tree,
    procfs,
)
from breakglass_host.machine_network import Address, Network, open_sockets
from breakglass_host.machine_place import Place
from breakglass_host.machine_tree import Recipe

_BOOT_S = 60.0
_TURN_S = 60.0
_DOWN_S = 30.0
_ADMIN_CAPABILITIES = 1 << 21 | 1 << 12
"""CAP_SYS_ADMIN and CAP_NET_ADMIN (capability.h)."""


def obstacle() -> str:
    """Say why such a machine cannot be started here; empty: it can."""
    if sys.platform != "linux":
        return "not Linux"
    if os.geteuid() != 0:
        return "needs root"
    held = int((procfs.status(os.getpid()) or {}).get("CapEff", "0"), 16)
    if held & _ADMIN_CAPABILITIES != _ADMIN_CAPABILITIES:
        return "this root may not make namespaces and mounts"
    missing = [name for name in machine_programs.NEEDED if not machine_programs.path(name)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if cgroup.writable() is None:
        return "no cgroup v2 that can be written to"
    tree = machine_tree.cached(Recipe(), machine_tree.cache_folder())
    if tree is None and not machine_programs.path("debootstrap"):
        return "no debootstrap to build its file tree with"
    return ""


@dataclass(slots=True)
class Machine:
    """One machine that runs, or ran."""

    id: str
    name: str
    address: str
    host_key: str
    """Its public host key, as an inventory pins it."""
    network: Network
    namespace: str
    place: Place
    binds: tuple[tuple[Path, Path], ...] = ()
    _owns_network: bool = False
    _nspawn: subprocess.Popen[bytes] | None = None
    _leader: int = 0
    _owner: int = field(default_factory=os.getpid)

    @property
    def url(self) -> str:
        """Return how an inventory names it."""
        return f"ssh://root@{self.name}"

    @property
    def ssh_config(self) -> Path:
        """Return the ssh client's configuration that knows the way to it."""
        return self.place.ssh_config

    @property
    def root(self) -> Path:
        """Return its file tree as seen from outside; /run, /tmp, /proc and /sys inside are others."""
        return self.place.root

    @property
    def leader(self) -> int:
        """Return the pid of its process 1, as seen from outside."""
        return self._leader

    def run(
        self, script: str, *, check: bool = True, timeout_s: float = 20
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell script inside as root, in the cgroup of its process 1.

        Raises:
            ProviderError: with `check`, it failed; its last words are in the text.
        """
        done = machine_inside.run(self._leader, script, timeout_s)
        if check and done.returncode != 0:
            said = (done.stderr or done.stdout).strip()[-400:]
            raise ProviderError(f"{self.name}: exit {done.returncode}: {said}")
        return done

    def listen(self, addresses: Sequence[Address]) -> tuple[socket.socket, ...]:
        """Open listening sockets in its network, to be served from outside.

        Raises:
            ProviderError: an address cannot be had.
        """
        return open_sockets(self.namespace, listen=addresses)

    def reboot(self) -> None:
        """Shut it down from inside and start it again on the same files.

        Raises:
            ProviderError: it did not go down, or not come up again.
        """
        if self._nspawn is None:
            raise ProviderError(f"{self.name} does not run")
        self.run("systemctl --no-block reboot")
        try:
            # With --keep-unit, nspawn leaves the second start to whoever started it (exit status 133).
            self._nspawn.wait(_DOWN_S)
        except subprocess.TimeoutExpired:
            raise ProviderError(f"{self.name} did not shut down within {_DOWN_S:.0f} s") from None
        self.boot()

    def boot(self) -> None:
        """Start it and wait until its systemd is up and its sshd answers.

        Raises:
            ProviderError: it did not come up.
        """
        with machine_room.turn(within_s=_TURN_S):
            until = time.monotonic() + _BOOT_S
            self._nspawn = self._launch()
            self._leader = self._await_leader(self._nspawn, until)
            self._await_systemd(self._nspawn, until)
        with self.network.connect(self.address, 22, within_s=max(0.0, until - time.monotonic())) as sshd:
            sshd.settimeout(10.0)
            if not sshd.recv(4).startswith(b"SSH-"):
                raise self._failed("its sshd does not answer")

    def _launch(self) -> subprocess.Popen[bytes]:
        places = []
        for one in machine_owner.hierarchies():
            one.create(machine_owner.cgroup_path(self.id))
            places.append(f"{one.folder(machine_owner.cgroup_path(self.id))}/cgroup.procs")
        command = machine_place.nspawn(self.place, self.id, self.name, self.namespace, self.binds)
        with self.place.console.open("ab") as console:
            return subprocess.Popen(  # noqa: S603 - our own list
                machine_inside.joining(places, command),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                env={"PATH": machine_inside.PATH},
            )

    def _await_leader(self, nspawn: subprocess.Popen[bytes], until: float) -> int:
        while time.monotonic() < until and nspawn.poll() is None:
            for one in procfs.scan().values():
                if one.ppid == nspawn.pid and one.name == "systemd":
                    return one.pid
            time.sleep(0.02)
        raise self._failed("its process 1 did not start")

    def _await_systemd(self, nspawn: subprocess.Popen[bytes], until: float) -> None:
        state = ""
        while time.monotonic() < until and nspawn.poll() is None:
            try:
                state = self.run("systemctl is-system-running", check=False, timeout_s=5).stdout.strip()
            except (subprocess.TimeoutExpired, ProviderError):
                continue  # it is busy, or it died: then nspawn ends
            if state in ("running", "degraded"):
                return
            time.sleep(0.03)
        raise self._failed(f"its systemd did not come up: {state or 'no answer'}")

    def _failed(self, what: str) -> ProviderError:
        said = self.place.console.read_text(errors="replace")[-600:] if self.place.console.exists() else ""
        return ProviderError(f"machine {self.name}: {what}. Its console ends: {said.strip()}")

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    def stop(self) -> None:
        """End all that runs in it and remove all that was made for it; safe to repeat."""
        atexit.unregister(self.stop)
        if os.getpid() != self._owner:
            return  # a child that was forked must not take its parent's machine away
        if self._nspawn is not None:
            # Without its process 1 nspawn ends by itself, and takes its own traces away.
            leader = procfs.process(self._leader) if self._leader else None
            if leader is not None and leader.ppid == self._nspawn.pid:
                procfs.send(leader, signal.SIGKILL)
            try:
                self._nspawn.wait(2.0)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait()
        self._nspawn, self._leader = None, 0
        machine_owner.clear(self.id)
        if self._owns_network:
            self.network.close()


def start(
    name: str = "",
    *,
    network: Network | None = None,
    binds: Sequence[tuple[Path, Path]] = (),
    say: machine_tree.Say = lambda _: None,
) -> Machine:
    """Start a fresh machine; build its tree first where there is none. `binds` are (outside, inside).

    Raises:
        Unsupported: such a machine cannot be started here.
        ProviderError: it did not come up; nothing is left of it.
    """
    if why := obstacle():
        raise Unsupported(f"cannot start a machine: {why}")
    machine_owner.sweep()
    tree = machine_tree.ensure(Recipe(), machine_tree.cache_folder(), say)
    id_ = machine_owner.new_id()
    name = name or f"m-{id_[-6:]}"
    own = network is None
    net = network or Network()
    try:
        namespace, address = net.attach(id_)
        place = machine_place.make(id_, tree)
        key = machine_place.furnish(place, name, address, net.proxy_command())
        machine = Machine(id_, name, address, key, net, namespace, place, tuple(binds), _owns_network=own)
    except BaseException:
        machine_owner.clear(id_)
        if own:
            net.close()
        raise
    atexit.register(machine.stop)
    try:
        machine.boot()
    except BaseException:
        machine.stop()
        raise
    return machine
