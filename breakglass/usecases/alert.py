"""Reads an alert file: when harm began and when it was noticed, as a detector saw it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from breakglass.canon import parse
from breakglass.clock import Instant
from breakglass.errors import MalformedInput, UsageError
from breakglass.journal.durable import read_given
from breakglass.model.plan import Detection, TimeSource
from breakglass.shape import Line, Name, decode

MAX_ALERT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Alert:
    """The content of an alert file (docs/alert.md)."""

    v: int
    agent: Name
    source: Name
    started_at: Instant | None
    detected_at: Instant
    what: Line


def read_alert(path: Path, agent: str) -> tuple[Detection, str]:
    """Return the times, marked as observed, and what happened in words.

    Raises:
        MalformedInput: it is not an alert.
        UsageError: it is about another agent.
    """
    where = str(path)
    data = read_given(path, max_bytes=MAX_ALERT_BYTES)
    alert = decode(Alert, parse(data, where=where, max_bytes=MAX_ALERT_BYTES), where=where)
    if alert.v != 1:
        raise MalformedInput(f"an alert of version {alert.v}; this breakglass reads version 1", where=where)
    if alert.agent != agent:
        raise UsageError(f"the alert is about {alert.agent!r}, not about {agent!r}", where=where)
    return Detection(alert.started_at, alert.detected_at, TimeSource.OBSERVED, alert.source), alert.what


def stated(detected_at: str | None, started_at: str | None, by: str) -> Detection | None:
    """Return times that a person typed, marked as stated; None when none was."""
    if detected_at is None and started_at is None:
        return None
    return Detection(
        Instant.parse(started_at, "--started-at") if started_at else None,
        Instant.parse(detected_at, "--detected-at") if detected_at else None,
        TimeSource.STATED,
        by,
    )
