"""What a drill shows while it goes: its stages with a timer, the plan in short, a line a step."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from breakglass.cli.plan_view import plan_rows, summary_rows
from breakglass.cli.progress_view import ProgressView
from breakglass.cli.session import Session
from breakglass.model.plan import Verb
from breakglass.provider import Outcome
from breakglass.report.typeset import Row, Tone, pad, rows, seconds

if TYPE_CHECKING:
    from breakglass.model.plan import Plan
    from breakglass.report.build import Report

COLUMN = 12
_TURNING = "|/-\\"


class Game:
    """The screen of one drill, on stderr; leaving it takes the live part down."""

    def __init__(self, here: Session, *, whole_plan: bool) -> None:
        """Show it; `whole_plan`: every step and what it breaks, as the persons of a real stop see it."""
        self._here = here
        self._whole_plan = whole_plan
        self._live = ExitStack()
        self._started_s = self._stage_s = here.clock.monotonic_s()
        self._doing = ""
        self._title = ""
        self._view: ProgressView | None = None

    def __enter__(self) -> Self:
        """Begin: a terminal gets a last line that moves."""
        self._live.enter_context(self._here.talk.live(self._region))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End whatever is drawn."""
        self._live.close()

    def begin(self, title: str, doing: str) -> None:
        """Draw a stage with its timer; what is no terminal hears of it when something came of it."""
        self._view = None
        self._title, self._doing, self._stage_s = title, doing, self._here.clock.monotonic_s()

    def say(self, title: str, what: str) -> None:
        """Leave a line."""
        self._here.say(*rows(what, first=pad(title, COLUMN)))

    def show_plan(self, plan: Plan) -> None:
        """Show the plan in short, or as the persons of a real stop would see it."""
        from breakglass.model.plan import plan_digest

        if self._whole_plan:
            self._here.say(Row(), *plan_rows(plan, digest=plan_digest(plan.to_bytes())), Row())
        else:
            hint = Row(f"{'':{COLUMN}}every step of it: --show-plan, or plan.json in the folder", Tone.FAINT)
            self._here.say(*summary_rows(plan, column=COLUMN), hint)

    def observer(self, plan: Plan) -> ProgressView:
        """Return what follows the run of a plan; of a restore it says only what did not work."""
        started_s = self._here.clock.monotonic_s()
        quiet = plan.verb is Verb.RESTORE and self._here.talk.animates
        self._view = ProgressView(
            plan, self._here.talk, lambda: self._here.clock.monotonic_s() - started_s, quiet=quiet
        )
        return self._view

    def restored(self, report: Report, differing: Sequence[str], machine: str) -> None:
        """Say what came back, and what cannot, each in its own words."""
        from breakglass.report.text import HEADLINES, TONES

        files = (
            f"{len(differing)} files differ"
            if differing
            else "the agent's files are as before, byte for byte"
        )
        if machine and not differing:
            files += f"; so are its home, jobs and all of /etc on {machine}"
        text = f"{HEADLINES[report.verb, report.verdict]}: {files}"
        found = [*rows(text, first=pad("restore", COLUMN), tone=TONES[report.verdict])]
        found += [row for item in report.open for row in _under(f"open: {item.name}: {item.reason}")]
        for step in report.steps:
            if Outcome.ENDED.value in step.reason:
                found += _under(f"{step.action}: {step.reason}")
        for left in report.not_touched:
            found += _under(f"{left.resource}: {left.reason}")
        self._here.say(*found)

    def note(self, what: str) -> None:
        """Say what this sandbox cannot show."""
        self._here.say(*rows(what, first=pad("note", COLUMN), tone=Tone.FAINT))

    def _region(self) -> Sequence[Row]:
        """Return the last lines of the terminal: what goes on now."""
        now_s = self._here.clock.monotonic_s()
        turning = _TURNING[int(now_s * 8) % len(_TURNING)]
        for_s = seconds(now_s - self._stage_s)
        head = Row(f"{pad(self._title, COLUMN)}{turning} {self._doing}  {for_s}", Tone.HEAD)
        view = self._view
        return [head] if view is None else [head, *view.region()]


def _under(text: str) -> tuple[Row, ...]:
    return rows(text, first=" " * COLUMN, rest=" " * (COLUMN + 2))
