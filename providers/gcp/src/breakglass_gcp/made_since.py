"""Decides whether something was made since the harm began: no restore gives such a thing back."""

from __future__ import annotations

from datetime import datetime

from breakglass.clock import Instant

_CUT_MS = 999
"""A moment without a fraction may have been cut to whole seconds."""


def made_since(at: datetime | str, since: Instant | None) -> bool:
    """Return whether a moment that Google tells lies in the harm; one that cannot be read might."""
    if since is None:
        return False
    try:
        moment = datetime.fromisoformat(at) if isinstance(at, str) else at
        if moment.tzinfo is None:
            return True
        return moment.timestamp() * 1000 + (0 if moment.microsecond else _CUT_MS) >= since.epoch_ms
    except (ValueError, OverflowError):
        return True
