"""What really happened because of an agent: marks that tests and drills measure by."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

MOST = 200_000


@dataclass(slots=True)
class Effects:
    """Marks in the order in which they were made."""

    _marks: list[dict[str, Any]] = field(default_factory=list)
    _n: int = 0

    def mark(self, channel: str, *, project: str = "", **told: object) -> None:
        """Note that a channel (``scheduler``, ``push``, ``egress``, ``api`` ...) had an effect just now."""
        self._n += 1
        self._marks.append(
            {
                "n": self._n,
                "channel": channel,
                "project": project,
                "at_ms": time.time_ns() // 1_000_000,
                "monotonic_us": time.monotonic_ns() // 1000,
                **told,
            }
        )
        if len(self._marks) > MOST:
            del self._marks[: MOST // 2]

    def told(self, project: str = "", channel: str = "", since: int = 0) -> list[dict[str, Any]]:
        """Return the marks of a project, or all; of one channel, or all; numbered above `since`."""
        return [
            one
            for one in self._marks
            if one["n"] > since and project in ("", one["project"]) and channel in ("", one["channel"])
        ]

    def clear(self) -> None:
        """Forget all."""
        self._marks.clear()
