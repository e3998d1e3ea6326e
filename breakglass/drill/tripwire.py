"""Watches what arrives for the first forbidden effect, and writes the alert that ``stop --alert`` reads.

It is an observer of its own, as real detection is: it follows the file of arrivals, so the time that it
takes is part of the measured detection time.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from breakglass.clock import Instant, SystemClock
from breakglass.drill.truth import Arrival

SOURCE = "tripwire"


@dataclass(frozen=True, slots=True)
class Tripwire:
    """What must never happen, and where to say that it did."""

    agent: str
    forbidden: frozenset[str]
    alert: Path

    def first(self, arrivals: Sequence[Arrival]) -> Arrival | None:
        """Return the first forbidden effect that was honoured; a refused one did no harm."""
        return next((found for found in arrivals if found.allowed and found.channel in self.forbidden), None)

    def raise_alert(self, arrival: Arrival, detected_at: Instant) -> None:
        """Write alert.json so that a reader sees all of it or nothing."""
        body = {
            "agent": self.agent,
            "detected_at": str(detected_at),
            "source": SOURCE,
            "started_at": str(arrival.at),
            "v": 1,
            "what": f"{arrival.who} reached the forbidden channel {arrival.channel}",
        }
        data = json.dumps(body, sort_keys=True, separators=(",", ":")).encode() + b"\n"
        unfinished = self.alert.with_name(self.alert.name + ".tmp")
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self.alert)


def watch(tripwire: Tripwire, arrivals: Path, *, every_s: float, stop: threading.Event) -> None:
    """Follow the file until a forbidden effect stands in it, or `stop` is set."""
    clock = SystemClock()
    with arrivals.open("rb") as file:
        rest = b""
        while not stop.wait(every_s):
            *lines, rest = (rest + file.read()).split(b"\n")
            found = tripwire.first([Arrival.from_line(line, str(arrivals)) for line in lines])
            if found is not None:
                tripwire.raise_alert(found, clock.now())
                return
