"""Names a few of many things in one line."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 5


def some(keys: Iterable[str]) -> str:
    """Return the first few, and how many more."""
    listed = sorted(keys)
    more = f" and {len(listed) - MOST} more" if len(listed) > MOST else ""
    return ", ".join(listed[:MOST]) + more
