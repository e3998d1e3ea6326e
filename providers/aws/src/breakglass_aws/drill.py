"""Where a drill's agent lives in AWS: the sandbox, and what the agent is, uses and is driven by in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from breakglass.errors import Unsupported
from breakglass.provider import AgentCloud


def start(folder: Path, *, say: Callable[[str], None]) -> AgentCloud:  # noqa: ARG001 - comes with the resident
    """Start it."""
    raise Unsupported("the AWS sandbox has no agent yet")
