"""Shows a run while it goes: a line for each step that ends, and on a terminal what still runs below it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from breakglass.cli.render import Screen
from breakglass.model.action import Phase
from breakglass.model.plan import Plan, Step
from breakglass.report.typeset import Row, Tone, pad, rows, seconds, visible, width

ENDED = {"proven": Tone.GOOD, "open": Tone.BAD, "unknown": Tone.UNKNOWN, "moot": Tone.FAINT}
"""The stages after which no more is heard of a step."""
_SHOWN = {"open": "OPEN", "unknown": "UNKNOWN", "read_back": "read back"}
LIVE_STEPS = 8


class StepEvent(Protocol):
    """What the engine tells of a step."""

    @property
    def n(self) -> int:
        """Return the step's number."""
        ...

    @property
    def stage(self) -> str:
        """Return how far it is."""
        ...

    @property
    def detail(self) -> str:
        """Return what there is to say."""
        ...

    @property
    def elapsed_s(self) -> float:
        """Return the seconds since the run began."""
        ...


class ProgressView:
    """An observer for the engine; its workers may call it from any thread."""

    def __init__(self, plan: Plan, screen: Screen, since_s: Callable[[], float]) -> None:
        """Show the run of `plan`; `since_s` says how long it has been running."""
        self._plan = plan
        self._screen = screen
        self._since_s = since_s
        self._lock = threading.Lock()
        self._latest: dict[int, StepEvent] = {}

    def running(self) -> AbstractContextManager[object]:
        """Keep the live part on the screen while the run goes."""
        return self._screen.live(self._region)

    def __call__(self, event: StepEvent) -> None:
        """Take an event: a terminal gets a line when a step ends, anything else one a change."""
        with self._lock:
            before = self._latest.get(event.n)
            self._latest[event.n] = event
            repeated = before is not None and before.stage == event.stage
            if event.stage in ENDED or (not self._screen.animates and not repeated):
                self._screen.show(self._lines(event))

    def _lines(self, event: StepEvent) -> tuple[Row, ...]:
        step = self._plan.steps[event.n]
        lead = f"{pad(seconds(event.elapsed_s), 8, right=True)}  {pad(_shown(event.stage), 9)} "
        detail = f": {event.detail}" if event.detail else ""
        return rows(
            f"{self._name(step)}{detail}",
            first=lead,
            rest=" " * (width(lead) + 2),
            tone=ENDED.get(event.stage, Tone.PLAIN),
        )

    def _name(self, step: Step) -> str:
        scope = self._plan.reaches[step.reach].scope
        return f"{scope}  {step.action}  {visible(step.target.label)}"

    def _region(self) -> tuple[Row, ...]:
        """Return the timer with the totals, and the steps that are under way."""
        with self._lock:
            latest = dict(self._latest)
        under_way = [event for event in latest.values() if event.stage not in ENDED | {"waiting": Tone.PLAIN}]
        under_way.sort(key=lambda event: event.elapsed_s)
        lines = [Row(f"{pad(seconds(self._since_s()), 8, right=True)}  {self._totals(latest)}", Tone.HEAD)]
        lines += [self._under_way(event) for event in under_way[:LIVE_STEPS]]
        if len(under_way) > LIVE_STEPS:
            lines.append(Row(f"{'':10}and {len(under_way) - LIVE_STEPS} more under way", Tone.FAINT))
        return tuple(lines)

    def _under_way(self, event: StepEvent) -> Row:
        step = self._plan.steps[event.n]
        detail = f"  {event.detail}" if event.detail else ""
        return Row(f"{'':10}{pad(_shown(event.stage), 9)} {self._name(step)}{detail}", Tone.FAINT)

    def _totals(self, latest: dict[int, StepEvent]) -> str:
        parts = []
        for phase in Phase:
            steps = [step for step in self._plan.steps if step.capability.phase is phase]
            done = sum(step.n in latest and latest[step.n].stage in ("proven", "moot") for step in steps)
            if steps:
                parts.append(f"{phase.value} {done}/{len(steps)}")
        return "   ".join(parts)


def _shown(stage: str) -> str:
    return _SHOWN.get(stage, stage)
