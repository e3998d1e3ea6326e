"""The network between an executor and one machine: a relay of bytes that can be cut like a real one."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from breakglass_host.machine import Machine

_SSHD = 22
_TURN_MS = 200
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: close sends a reset (socket(7))."""
_LONGEST_OPENING = 250_000
"""About so many bytes go over the wire until a runner is up and has answered a few calls."""


class Kind(StrEnum):
    """How a connection is cut."""

    CLOSED = "closed on both sides"
    SILENT = "black hole"
    NEAR = "closed towards the executor alone"
    FAR = "closed towards the machine alone"
    REFUSED = "closed, then refused for a while"
    AGAIN = "closed, and so are the next ones"


@dataclass(slots=True)
class _Pair:
    """One connection: the socket of the ssh client and the one of sshd."""

    near: socket.socket
    far: socket.socket
    budget: int = -1
    """It is closed after so many bytes; negative: never."""
    held: bool = False
    """Nothing is relayed any more, and what is still open stays so."""

    def relay(self) -> None:
        """Move bytes until either side ends, or it is cut."""
        waiting, across = select.poll(), {self.near.fileno(): self.far, self.far.fileno(): self.near}
        for one in (self.near, self.far):
            waiting.register(one, select.POLLIN)
        with contextlib.suppress(OSError):
            while not self.held:
                for number, _ in waiting.poll(_TURN_MS):
                    data = socket.socket.recv(self.near if number == self.near.fileno() else self.far, 65536)
                    if self.held:
                        return
                    if not data or self._is_spent(len(data)):
                        self.close()
                        return
                    across[number].sendall(data)
        if not self.held:
            self.close()

    def _is_spent(self, size: int) -> bool:
        if self.budget < 0:
            return False
        self.budget -= size
        return self.budget < 0

    def hold(self, *ends: socket.socket) -> None:
        """Stop relaying, and close some of the ends."""
        self.held = True
        for one in ends:
            _close(one)

    def close(self) -> None:
        """Close both ends."""
        self.hold(self.near, self.far)


@dataclass(slots=True)
class Wire:
    """All connections to one machine that are made with `config`."""

    machine: Machine
    config: Path
    _listener: socket.socket
    _pairs: list[_Pair] = field(default_factory=list)
    _budgets: list[int] = field(default_factory=list)
    _refused_until_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def cut(self, kind: Kind, chance: random.Random, *, refused_s: float | None = None) -> None:
        """Cut what is there now; what comes next depends on the kind."""
        with self._lock:
            pairs = [pair for pair in self._pairs if not pair.held]
            if kind is Kind.REFUSED:
                wait_s = refused_s if refused_s is not None else chance.uniform(0.5, 5.0)
                self._refused_until_s = time.monotonic() + wait_s
            if kind is Kind.AGAIN:
                self._budgets = [chance.randrange(_LONGEST_OPENING) for _ in range(chance.randint(1, 3))]
            for pair in pairs:
                ends = {Kind.SILENT: (), Kind.NEAR: (pair.near,), Kind.FAR: (pair.far,)}
                pair.hold(*ends.get(kind, (pair.near, pair.far)))

    def release(self) -> None:
        """Let everything go that a cut left open, as a network that forgets a connection at last."""
        with self._lock:
            self._budgets = []
            self._refused_until_s = 0.0
            for pair in self._pairs:
                if pair.held:
                    pair.close()
            self._pairs = [pair for pair in self._pairs if not pair.held]

    def serve(self) -> None:
        """Take connections until the listener is closed."""
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._take, args=(near,), daemon=True).start()

    def _take(self, near: socket.socket) -> None:
        if time.monotonic() < self._refused_until_s:
            near.close()
            return
        try:
            far = self.machine.network.connect(self.machine.address, _SSHD)
        except Exception:  # noqa: BLE001 - the machine is going down: the client sees the connection close
            near.close()
            return
        with self._lock:
            pair = _Pair(near, far, self._budgets.pop(0) if self._budgets else -1)
            self._pairs.append(pair)
        pair.relay()


@contextmanager
def wire(machine: Machine) -> Iterator[Wire]:
    """Lay a wire to a machine; its `config` is that machine's own but for the way there."""
    folder = machine.place.folder / "wire"
    folder.mkdir()
    connect = folder / "connect.py"
    connect.write_text(_CONNECT)
    lines = [
        line
        for line in machine.ssh_config.read_text().splitlines()
        if not line.strip().startswith(("ProxyCommand", "ProxyUseFdpass"))
    ]
    way = f"  ProxyCommand {sys.executable} -I -S {connect} {folder / 'listener'}"
    config = folder / "ssh_config"
    config.write_text("\n".join([*lines, "  ProxyUseFdpass yes", way]) + "\n")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "listener"))
    listener.listen(64)
    laid = Wire(machine, config, listener)
    threading.Thread(target=laid.serve, daemon=True).start()
    try:
        yield laid
    finally:
        _close(listener)
        laid.cut(Kind.CLOSED, random.Random())
        laid.release()


_CONNECT = """
import socket, sys
one = socket.socket(socket.AF_UNIX)
one.connect(sys.argv[1])
with socket.socket(fileno=1) as out:
    socket.send_fds(out, [b"\\0"], [one.fileno()])
"""


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        if one.family == socket.AF_INET:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        one.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        one.close()
