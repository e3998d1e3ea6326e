"""What a step's routine asks its runner for.

A routine is a generator: it decides, yields one of these effects, and is sent the answer. So the same
routine runs on threads against a cloud, and under a virtual clock with a seeded scheduler in simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import IntEnum

from breakglass.canon import JsonObject


class Turn(IntEnum):
    """Who goes first where a service's rate makes calls queue."""

    CHANGE = 0
    """A change: nothing is more urgent."""
    FIRST_LOOK = 1
    """The read before a step's first change."""
    LATER = 2
    """Read-backs and proof: every step makes its change before any is read again."""


@dataclass(frozen=True, slots=True)
class Call:
    """Call a provider; its answer is sent back, its `ProviderError` is thrown in."""

    run: Callable[[], object]
    bucket: str
    """The rate bucket that this call draws from."""
    turn: Turn = Turn.LATER


@dataclass(frozen=True, slots=True)
class Write:
    """Append a record; the routine goes on when it is durable."""

    type: str
    body: JsonObject


@dataclass(frozen=True, slots=True)
class Pause:
    """Go on after some seconds, or at once when the run is cancelled."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Until:
    """Go on when `ready` answers true, or after `at_most_s`."""

    ready: Callable[[], bool]
    at_most_s: float


Effect = Call | Write | Pause | Until
Routine = Generator[Effect, object, None]
