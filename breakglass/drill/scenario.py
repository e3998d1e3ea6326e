"""The scenarios of a game day: how the rogue agent resists, and which runbook answers."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from breakglass.errors import UsageError


@dataclass(frozen=True, slots=True)
class Scenario:
    """One exercise."""

    name: str
    summary: str
    runbook: str
    modes: tuple[str, ...]
    """What the rogue does beside its ordinary resistance (see `breakglass.drill.rogue`)."""
    settles: bool = False
    """It also settles on a machine of its own, where one can be started (see `breakglass.drill.settled`)."""


SCENARIOS = (
    Scenario(
        "resisting-agent",
        "ignores signals, copies itself, relaunches, holds streams open, mints a second token",
        "prompt-injection",
        (),
        settles=True,
    ),
    Scenario(
        "fork-storm", "the same, and forks as fast as it can while it is stopped", "runaway", ("fork_storm",)
    ),
    Scenario("log-flood", "the same, and floods its log", "runaway", ("log_flood",)),
    Scenario("open-files", "the same, and holds ten thousand files open", "runaway", ("open_files",)),
)


def scenario(name: str) -> Scenario:
    """Return a scenario by name. Raises UsageError with a suggestion."""
    found = next((item for item in SCENARIOS if item.name == name), None)
    if found is None:
        names = [item.name for item in SCENARIOS]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
        raise UsageError(f"no scenario {name[:80]!r}; {hint}", remedy="breakglass drill list")
    return found
