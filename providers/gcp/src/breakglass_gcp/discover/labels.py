"""Decides what carries the agent's label.

Keys and values of Google's labels have lowercase letters, digits, ``_`` and ``-`` only ("Requirements for
labels", Resource Manager documentation): ``breakglass.dev/agent=<name>`` is ``breakglass_dev_agent=<name>``
here, and whatever else a name has becomes ``_``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from breakglass_gcp.discover.things import Thing

LABEL = "breakglass_dev_agent"
LONGEST = 63


def value_of(agent: str) -> str:
    """Return an agent's name as a label's value can hold it."""
    return re.sub(r"[^a-z0-9_-]", "_", agent.lower())[:LONGEST]


def origin_of(agent: str) -> str:
    """Return in words why a labelled thing counts as the agent's; a name that is not the label's is said."""
    value = value_of(agent)
    return f"labelled {LABEL}={value}" + (f" (for {agent})" if value != agent else "")


def labelled(things: Iterable[Thing], agent: str) -> Iterator[Thing]:
    """Yield what carries the agent's label."""
    value = value_of(agent)
    return (one for one in things if one.labels.get(LABEL) == value)
