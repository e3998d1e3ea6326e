"""Reads the API server's audit log (Kubernetes documentation, "Auditing")."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

_QUIET_S = 0.03
_LONGEST_S = 1.0


def read(log: Path, since: int = 0) -> list[dict[str, Any]]:
    """Return the events after the first `since` ones, in the order in which they were written.

    A long answer reaches its client some instants before its line reaches the log: the log is read when it
    has not grown for a moment, or after a second.
    """
    size, until = -1, time.monotonic() + _LONGEST_S
    while time.monotonic() < until:
        found = log.stat().st_size if log.exists() else 0
        if found == size:
            break
        size = found
        time.sleep(_QUIET_S)
    if not log.exists():
        return []
    lines = log.read_bytes().split(b"\n")
    # What follows the last line's end is a line that is being written.
    return [json.loads(line) for line in lines[since:-1]]
