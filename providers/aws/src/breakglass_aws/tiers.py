"""Names what nobody has run on a real account yet: such an action says so wherever it shows."""

from __future__ import annotations

from breakglass.model.action import Authority, Source

UNVERIFIED = "unverified on a real account"


def label(text: str) -> str:
    """Return a target's label that says it."""
    return f"{text} ({UNVERIFIED})"


def source(what: str) -> Source:
    """Return the source of an action whose effect only the service's model and our sandbox show."""
    return Source("effect", Authority.UNVERIFIED, f"{UNVERIFIED}: {what}")
