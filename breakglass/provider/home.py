"""Where a drill's agent lives: a place that a provider makes and takes down again."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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


class AgentMachine(Protocol):
    """A whole machine that a drill's agent settles on; nobody else is on it."""

    @property
    def name(self) -> str:
        """Return its bare name, which no machine of the world can have."""
        ...

    @property
    def reach(self) -> Mapping[str, str]:
        """Return how an inventory names it."""
        ...

    @property
    def root(self) -> Path:
        """Return its file tree, as seen from outside."""
        ...

    def run(self, script: str, *, timeout_s: float) -> str:
        """Run a shell script there as root; return what it printed. Raises ProviderError: it failed."""
        ...

    def listen(self, addresses: Sequence[tuple[str, int]]) -> tuple[socket.socket, ...]:
        """Open sockets that listen there, to be served from outside. Raises ProviderError."""
        ...

    def stop(self) -> None:
        """End what still runs and remove what was made; safe to repeat."""
        ...


class MakeMachine(Protocol):
    """Starts a whole machine for a drill's agent; `say` hears how it goes, where that takes a while."""

    def __call__(self, name: str, *, say: Callable[[str], None]) -> AgentMachine:
        """Start it. Raises Unsupported: not here, and the remedy says what is missing; ProviderError."""
        ...


@dataclass(frozen=True, slots=True)
class CloudEffect:
    """What the sandbox's own record says of one way in which the agent acts there."""

    channel: str
    count: int
    """How many were allowed."""
    last_at_ms: int
    """Of the last one that was allowed: Unix time in milliseconds."""
    last_monotonic_us: int
    """The same on CLOCK_MONOTONIC, which all processes of one machine share."""


class AgentCloud(Protocol):
    """A cloud's sandbox that a drill's agent lives on too; nobody else is in it."""

    @property
    def name(self) -> str:
        """Return what the drill calls it, e.g. ``aws``."""
        ...

    @property
    def summary(self) -> str:
        """Return what the agent is there, in words."""
        ...

    @property
    def reach(self) -> Mapping[str, object]:
        """Return how an inventory names the agent there."""
        ...

    @property
    def credentials(self) -> Mapping[str, bytes]:
        """Return the executor's own secrets there, by the names that the reach gives them."""
        ...

    @property
    def expected(self) -> tuple[str, ...]:
        """Return the channels that must work before the drill begins."""
        ...

    def settle(self) -> None:
        """Let the agent settle and work. Raises ProviderError."""
        ...

    def effects(self) -> Sequence[CloudEffect]:
        """Return what the record says, channel by channel. Raises ProviderError."""
        ...

    def listing(self) -> Mapping[str, str]:
        """Return what a restore must bring back, byte for byte: a digest by name. Raises ProviderError."""
        ...

    def alive(self) -> Sequence[str]:
        """Return what still acts as the agent there, in words. Raises ProviderError."""
        ...

    def retire(self) -> None:
        """End the agent itself; what it is in the cloud stays, to be put back. Raises ProviderError."""
        ...

    def stop(self) -> None:
        """End it; safe to repeat."""
        ...


class MakeCloud(Protocol):
    """Starts a cloud's sandbox for a drill's agent; `say` hears how it goes, where that takes a while."""

    def __call__(self, folder: Path, *, say: Callable[[str], None]) -> AgentCloud:
        """Start it; `folder` is open to the operator alone. Raises Unsupported or ProviderError."""
        ...
