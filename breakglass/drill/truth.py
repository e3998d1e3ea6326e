"""Holds what the downstream system saw: one stamped line an arrival, and the last effect of each channel.

The drill's truth comes from here and not from breakglass: a report that claims an instant earlier than
the last allowed effect fails (DESIGN 9). The monotonic stamp is CLOCK_MONOTONIC, the same for every
process of a machine, so that it compares with the journal's.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from breakglass.clock import Instant
from breakglass.errors import RecordDamaged


@dataclass(frozen=True, slots=True)
class Arrival:
    """One effect that reached the downstream system, honoured or not."""

    channel: str
    at: Instant
    monotonic_us: int
    allowed: bool
    who: str
    """The client that the token belongs to; empty when the token is unknown."""
    by: str
    """What the caller says of itself; never trusted, only printed."""

    def to_line(self) -> bytes:
        """Return the line of arrivals.jsonl, with its newline."""
        body = {
            "allowed": self.allowed,
            "at": str(self.at),
            "by": self.by,
            "channel": self.channel,
            "monotonic_us": self.monotonic_us,
            "who": self.who,
        }
        return json.dumps(body, sort_keys=True, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes, where: str) -> Arrival:
        """Read a line.

        Raises:
            RecordDamaged: the line is not an arrival, so it proves nothing.
        """
        try:
            body = json.loads(line)
            return cls(
                channel=str(body["channel"]),
                at=Instant.parse(body["at"], where),
                monotonic_us=int(body["monotonic_us"]),
                allowed=body["allowed"] is True,
                who=str(body["who"]),
                by=str(body["by"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise RecordDamaged("not an arrival of the sink", where=where) from error


@dataclass(frozen=True, slots=True)
class ChannelTruth:
    """The last effect that was honoured on one channel, and how many there were."""

    channel: str
    last_effect_at: Instant
    monotonic_us: int
    count: int


class ArrivalLog:
    """Appends arrivals to a file, one write a line; the caller serialises."""

    def __init__(self, path: Path) -> None:
        """Open the file for appending; it is readable by its owner only."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)

    def stamp(self, channel: str, *, allowed: bool, who: str, by: str) -> Arrival:
        """Write an arrival with the time that it is now."""
        at = Instant(time.time_ns() // 1_000_000)
        arrival = Arrival(channel, at, time.monotonic_ns() // 1000, allowed, who, by)
        os.write(self._fd, arrival.to_line())
        return arrival

    def close(self) -> None:
        """Make the lines durable and close."""
        os.fsync(self._fd)
        os.close(self._fd)


def read_arrivals(path: Path) -> tuple[Arrival, ...]:
    """Read every whole line; a torn last one is left out, since it was never answered.

    Raises:
        RecordDamaged: a whole line is not an arrival.
    """
    lines = path.read_bytes().split(b"\n")[:-1]
    return tuple(Arrival.from_line(line, f"{path}:{n}") for n, line in enumerate(lines, start=1))


def last_effects(path: Path) -> tuple[ChannelTruth, ...]:
    """Return the last honoured effect of each channel, in the order of the channels' names.

    Raises:
        RecordDamaged: a line of the file is not an arrival.
    """
    last: dict[str, Arrival] = {}
    count: dict[str, int] = {}
    for arrival in read_arrivals(path):
        if arrival.allowed:
            last[arrival.channel] = arrival
            count[arrival.channel] = count.get(arrival.channel, 0) + 1
    return tuple(
        ChannelTruth(name, last[name].at, last[name].monotonic_us, count[name]) for name in sorted(last)
    )
