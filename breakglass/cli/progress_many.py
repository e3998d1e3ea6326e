"""Tells of a run of many steps in few lines: a bar a phase, counts, and how long it may still take."""

from __future__ import annotations

from collections.abc import Mapping

from breakglass.model.action import Phase
from breakglass.model.plan import Plan
from breakglass.report.typeset import Row, Tone, cut, pad, seconds

MANY = 100
"""More steps than this get no line each, unless they went wrong."""
EVERY_S = 5.0
"""So often a run that nobody can watch being drawn says how far it is."""
BAR_COLUMNS = 30
_WORTH = {"calling": 0.4, "retry": 0.0, "read_back": 0.6, "settling": 0.6}
"""Which share of its calls a step has behind it: observe and apply, observe, observe again and probe."""
_ENDED = {"proven", "moot", "open", "unknown"}
_SURE = 0.05
"""Below this share of the work the plan's own estimate says more than the pace so far."""


def share_done(plan: Plan, stages: Mapping[int, str]) -> float:
    """Return how much of all the calls is behind us, from 0 to 1."""
    if not plan.steps:
        return 1.0
    worth = sum(1.0 if stage in _ENDED else _WORTH.get(stage, 0.0) for stage in stages.values())
    return worth / len(plan.steps)


def left_s(plan: Plan, share: float, elapsed_s: float) -> float:
    """Return how long the rest takes at the pace so far; at the beginning, what the plan says."""
    takes_s = max((reach.takes_s for reach in plan.reaches), default=0)
    if share < _SURE:
        return max(0.0, takes_s - elapsed_s)
    return elapsed_s * (1 - share) / share


def counts(plan: Plan, stages: Mapping[int, str]) -> tuple[tuple[Phase, int, int, int, int], ...]:
    """Return for each phase: steps, changed, ended well, ended otherwise."""
    found: list[tuple[Phase, int, int, int, int]] = []
    for phase in Phase:
        steps = [stages.get(step.n, "") for step in plan.steps if step.capability.phase is phase]
        if steps:
            changed = sum(stage not in {"", "waiting", "calling", "retry"} for stage in steps)
            good = sum(stage in {"proven", "moot"} for stage in steps)
            bad = sum(stage in {"open", "unknown"} for stage in steps)
            found.append((phase, len(steps), changed, good, bad))
    return tuple(found)


def words(plan: Plan, stages: Mapping[int, str], elapsed_s: float) -> str:
    """Return how far a run is, in one line."""
    parts = []
    for phase, steps, changed, good, bad in counts(plan, stages):
        wrong = f", {bad} not" if bad else ""
        parts.append(f"{phase.value} {changed} read back, {good} proven{wrong} of {steps}")
    return " · ".join([*parts, _left(plan, stages, elapsed_s)])


def bars(plan: Plan, stages: Mapping[int, str], elapsed_s: float, columns: int) -> tuple[Row, ...]:
    """Return a bar for each phase: # is proven, = is read back, - is to come."""
    lines = [Row(cut(f"{'':10}{_left(plan, stages, elapsed_s)}", columns), Tone.FAINT)]
    for phase, steps, changed, good, bad in counts(plan, stages):
        full, half = (BAR_COLUMNS * count // steps for count in (good + bad, max(changed, good + bad)))
        bar = "#" * full + "=" * (half - full) + "-" * (BAR_COLUMNS - half)
        said = f"{good}/{steps} proven" + (f", {bad} not" if bad else "")
        lines.append(Row(cut(f"{'':10}{pad(phase.value, 10)}{bar}  {said}", columns), Tone.PLAIN))
    return tuple(lines)


def _left(plan: Plan, stages: Mapping[int, str], elapsed_s: float) -> str:
    share = share_done(plan, stages)
    if share >= 1:
        return "all steps ended"
    return f"about {seconds(max(1.0, round(left_s(plan, share, elapsed_s))))} left"
