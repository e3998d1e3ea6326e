"""Where a drill's agent lives: a place that a provider makes and takes down again."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol


class Started(Protocol):
    """What runs in a drill's sandbox."""

    @property
    def listeners(self) -> tuple[socket.socket, ...]:
        """Return the sockets that listen inside, to be served from outside, in the order asked for."""
        ...


class AgentHome(Protocol):
    """A place where a drill's agent lives, made by a provider; nobody else is in it."""

    @property
    def uid(self) -> int:
        """Return the user that the agent runs as."""
        ...

    @property
    def reach(self) -> Mapping[str, str]:
        """Return how an inventory names what runs here."""
        ...

    def start(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        listen: Sequence[tuple[str, int]] = (),
        output: Path | None = None,
    ) -> Started:
        """Start the agent. Raises Unsupported: the kernel refused."""
        ...

    def stop(self) -> None:
        """End what still runs and remove what was made; safe to repeat."""
        ...


class MakeHome(Protocol):
    """Makes a place for a drill's agent; `privileged`: with root's means, else as an ordinary user."""

    def __call__(self, name: str, folder: Path, *, privileged: bool) -> AgentHome:
        """Make it. Raises Unsupported: it cannot be made here."""
        ...
