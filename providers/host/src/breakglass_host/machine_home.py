"""Gives a drill's agent a whole machine: `machine`, under a name that only a drill's plan may hold."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from breakglass.errors import MalformedInput, ProviderError, Unsupported
from breakglass_host import machine
from breakglass_host.remote.address import SANDBOX

_INSTALL = "apt-get install debootstrap systemd-container openssh-client"
_NOT_THERE = ("not installed", "no debootstrap")


class MachineHome:
    """One machine that one drill made, and the sockets that it serves there."""

    def __init__(self, name: str, *, say: Callable[[str], None]) -> None:
        """Start it; `say` hears how its file tree is built, where that was never done before.

        Raises:
            Unsupported: no such machine can be started here.
            ProviderError: it did not come up; nothing is left of it.
        """
        if not name.endswith(SANDBOX):
            raise MalformedInput(f"expected a name that ends in {SANDBOX}, found {name[:80]!r}")
        if why := machine.obstacle():
            raise Unsupported(why, remedy=_INSTALL if why.startswith(_NOT_THERE) else "")
        self._machine = machine.start(name, say=say)
        self._listeners: list[socket.socket] = []

    @property
    def name(self) -> str:
        """Return its bare name."""
        return self._machine.name

    @property
    def reach(self) -> Mapping[str, str]:
        """Return how an inventory names it."""
        made = self._machine
        return {"host": made.url, "host_key": made.host_key, "ssh_config": str(made.ssh_config)}

    @property
    def root(self) -> Path:
        """Return its file tree, as seen from outside."""
        return self._machine.root

    def run(self, script: str, *, timeout_s: float) -> str:
        """Run a shell script there as root; return what it printed. Raises ProviderError: it failed."""
        try:
            return self._machine.run(script, timeout_s=timeout_s).stdout
        except subprocess.TimeoutExpired as error:
            raise ProviderError(f"{self.name} did not answer within {timeout_s:.0f} s") from error

    def listen(self, addresses: Sequence[tuple[str, int]]) -> tuple[socket.socket, ...]:
        """Open sockets that listen there; they are closed when it stops. Raises ProviderError."""
        made = self._machine.listen(addresses)
        self._listeners.extend(made)
        return made

    def stop(self) -> None:
        """End all that runs there and remove all that was made for it; safe to repeat."""
        for one in self._listeners:
            one.close()
        self._listeners.clear()
        self._machine.stop()
