"""The only reader of time: UTC for people, monotonic for durations."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from breakglass.errors import MalformedInput

_ISO = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{3}))?Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - UTC without saying so: isoformat adds no offset, and pads years


@dataclass(frozen=True, slots=True, order=True)
class Instant:
    """A moment in UTC, in whole milliseconds since 1970."""

    epoch_ms: int

    def __str__(self) -> str:
        """Return RFC 3339 with milliseconds and ``Z``: the only form that breakglass writes."""
        seconds, ms = divmod(self.epoch_ms, 1000)
        return f"{(_EPOCH + timedelta(seconds=seconds)).isoformat(timespec='seconds')}.{ms:03d}Z"

    def plus(self, seconds: float) -> Instant:
        """Return the moment `seconds` later."""
        return Instant(self.epoch_ms + round(seconds * 1000))

    def seconds_since(self, earlier: Instant) -> float:
        """Return the seconds from `earlier` to this moment; negative when it lies after."""
        return (self.epoch_ms - earlier.epoch_ms) / 1000

    @classmethod
    def parse(cls, text: str, where: str = "") -> Instant:
        """Read ``YYYY-MM-DDTHH:MM:SS[.mmm]Z``.

        Raises:
            MalformedInput: the text is not such a moment.
        """
        match = _ISO.fullmatch(text)
        if match is None:
            raise MalformedInput("not a UTC time like 2026-01-31T03:12:08Z", where=where)
        try:
            whole = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
        except ValueError as error:
            raise MalformedInput(f"no such time: {error}", where=where) from error
        return cls(round(whole.timestamp()) * 1000 + int(match[2] or "0"))


class Clock(Protocol):
    """What the rest of the program may know of time."""

    def now(self) -> Instant:
        """Return the wall clock in UTC."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds of a clock that never steps (CLOCK_MONOTONIC: the same in every process)."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> Instant:
        """Return the wall clock in UTC."""
        return Instant(time.time_ns() // 1_000_000)

    def monotonic_s(self) -> float:
        """Return CLOCK_MONOTONIC in seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(max(0.0, seconds))
