"""Says which lines of a container's log an answer holds; pure.

Kubernetes API reference, Pod v1 core, "Read Log": tailLines, sinceTime, sinceSeconds, limitBytes, timestamps.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log, and when it was written."""

    at: dt.datetime
    text: str


def default(namespace: str, pod: str, container: str, *, previous: bool) -> list[str]:
    """Return the lines of a container that nobody wrote lines for."""
    run = " (previous run)" if previous else ""
    return [f"{namespace}/{pod} {container}{run}: line {number}" for number in (1, 2, 3)]


def dated(lines: Sequence[str], began: dt.datetime) -> list[Line]:
    """Say that one line was written each second."""
    return [Line(began + dt.timedelta(seconds=number), text) for number, text in enumerate(lines)]


def answered(lines: Sequence[Line], asked: Mapping[str, str], now: dt.datetime) -> bytes:
    """Return what was asked for.

    Raises:
        ValueError: what was asked makes no sense.
    """
    kept = list(lines)
    since = None
    if "sinceTime" in asked:
        since = dt.datetime.fromisoformat(asked["sinceTime"])
    elif "sinceSeconds" in asked:
        since = now - dt.timedelta(seconds=int(asked["sinceSeconds"]))
    if since is not None:
        kept = [line for line in kept if line.at >= since]
    if "tailLines" in asked:
        tail = int(asked["tailLines"])
        kept = kept[-tail:] if tail else []
    stamped = asked.get("timestamps") == "true"
    text = "".join(
        f"{line.at.strftime('%Y-%m-%dT%H:%M:%S.%f000Z')} {line.text}\n" if stamped else f"{line.text}\n"
        for line in kept
    )
    data = text.encode()
    return data[: int(asked["limitBytes"])] if "limitBytes" in asked else data
