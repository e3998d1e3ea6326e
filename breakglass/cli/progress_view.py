"""Shows a run while it goes: a line for each step that ends, and on a terminal what still runs below it.

A terminal gets one line of its own width for a step that went well, since the report has every word; what
went wrong is never shortened. Of many steps only those that went wrong get a line, and the rest are counted.
What is no terminal gets one whole line, unbroken, so that it can be searched.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from breakglass.cli.progress_many import EVERY_S, MANY, bars, words
from breakglass.cli.render import Screen
from breakglass.model.action import Phase
from breakglass.model.plan import Plan, Step
from breakglass.report.typeset import Row, Tone, cut, pad, rows, seconds, visible, width

ENDED = {"proven": Tone.GOOD, "open": Tone.BAD, "unknown": Tone.UNKNOWN, "moot": Tone.FAINT}
"""The stages after which no more is heard of a step."""
_SHOWN = {"open": "OPEN", "unknown": "UNKNOWN", "read_back": "read back", "moot": "overtaken"}
_TOLD = frozenset({*ENDED, "retry", "settling"})
"""What is said, once a step, where nothing can be drawn again."""
_WRONG = ("open", "unknown")
LIVE_STEPS = 8
NAME_COLUMNS = 34


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

    def __init__(
        self, plan: Plan, screen: Screen, since_s: Callable[[], float], *, quiet: bool = False
    ) -> None:
        """Show the run of `plan`; `since_s` says how long it runs. `quiet`: only what went wrong."""
        self._plan = plan
        self._screen = screen
        self._since_s = since_s
        self._quiet = quiet
        self._lock = threading.Lock()
        self._latest: dict[int, StepEvent] = {}
        self._said: set[tuple[int, str]] = set()
        self._many = len(plan.steps) > MANY
        self._told_s = 0.0
        self._alike = Counter(step.action for step in plan.steps)
        self._names = {step.n: self._short(step) for step in plan.steps}
        self._column = min(NAME_COLUMNS, max((width(name) for name in self._names.values()), default=0))

    def running(self) -> AbstractContextManager[object]:
        """Keep the live part on the screen while the run goes."""
        return self._screen.live(self.region)

    def __call__(self, event: StepEvent) -> None:
        """Take an event; a step that ended gets its line."""
        with self._lock:
            self._latest[event.n] = event
            if self._many and event.stage not in _WRONG:
                self._tell_now_and_then(event.elapsed_s)
                return
            once = (event.n, event.stage)
            if once in self._said or event.stage not in (ENDED if self._screen.animates else _TOLD):
                return
            self._said.add(once)
            if event.stage in _WRONG or not self._quiet:
                self._screen.show(self._lines(event))

    def _tell_now_and_then(self, elapsed_s: float) -> None:
        """Say how far a run of many steps is, where no bar can be drawn."""
        if self._screen.animates or self._quiet or elapsed_s - self._told_s < EVERY_S:
            return
        self._told_s = elapsed_s
        text = words(self._plan, {n: event.stage for n, event in self._latest.items()}, elapsed_s)
        self._screen.show((Row(f"{pad(seconds(elapsed_s), 8, right=True)}  {pad('so far', 9)} {text}"),))

    def _lines(self, event: StepEvent) -> tuple[Row, ...]:
        step = self._plan.steps[event.n]
        lead = f"{pad(seconds(event.elapsed_s), 8, right=True)}  {pad(_shown(event.stage), 9)} "
        tone, detail = ENDED.get(event.stage, Tone.PLAIN), self._detail(step, event)
        if self._screen.animates and event.stage not in _WRONG:
            text = f"{lead}{pad(self._names[step.n], self._column)}  {detail}"
            return (Row(cut(text.rstrip(), self._screen.columns), tone),)
        text = f"{self._name(step)}{detail and f': {detail}'}"
        if self._screen.animates:
            return rows(text, first=lead, rest=" " * (width(lead) + 2), tone=tone)
        return (Row(f"{lead}{visible(text)}", tone),)

    def _detail(self, step: Step, event: StepEvent) -> str:
        if event.stage != "moot":
            return event.detail
        others = ", ".join(self._names[n] for n in step.moot_by)
        return f"not needed any more, proven: {others} ({event.detail.removeprefix('moot: ')})"

    def _name(self, step: Step) -> str:
        """Return the whole name of a step."""
        scope = self._plan.reaches[step.reach].scope
        return f"{scope}  {step.action}  {visible(step.target.label)}"

    def _short(self, step: Step) -> str:
        """Return the name of a step in as few words as tell it from the others."""
        plan = self._plan
        provider, _, words = step.action.partition(".")
        scopes = {reach.scope for reach in plan.reaches if reach.provider == provider}
        parts = [provider] if len(scopes) == 1 else [plan.reaches[step.reach].scope]
        parts += [words.replace(".", " ").replace("_", " ")]
        parts += [step.target.label] if self._alike[step.action] > 1 else []
        return visible("  ".join(parts))

    def region(self) -> tuple[Row, ...]:
        """Return the timer with the totals, and the steps that are under way."""
        with self._lock:
            latest = dict(self._latest)
        under_way = [event for event in latest.values() if event.stage not in ENDED | {"waiting": Tone.PLAIN}]
        under_way.sort(key=lambda event: event.elapsed_s)
        lines = [Row(f"{pad(seconds(self._since_s()), 8, right=True)}  {self._totals(latest)}", Tone.HEAD)]
        if self._many:
            stages = {n: event.stage for n, event in latest.items()}
            return (*lines, *bars(self._plan, stages, self._since_s(), self._screen.columns))
        lines += [self._under_way(event) for event in under_way[:LIVE_STEPS]]
        if len(under_way) > LIVE_STEPS:
            lines.append(Row(f"{'':10}and {len(under_way) - LIVE_STEPS} more under way", Tone.FAINT))
        return tuple(lines)

    def _under_way(self, event: StepEvent) -> Row:
        name = pad(self._names[event.n], self._column)
        text = f"{'':10}{pad(_shown(event.stage), 9)} {name}  {event.detail}"
        return Row(cut(text.rstrip(), self._screen.columns), Tone.FAINT)

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
