"""What a drill shows while it goes: its stages, the plan, a line a step."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from breakglass.cli.plan_view import plan_rows
from breakglass.cli.progress_view import ProgressView
from breakglass.cli.session import Session
from breakglass.report.typeset import Row, Tone, labelled

if TYPE_CHECKING:
    from breakglass.model.plan import Plan
    from breakglass.usecases.drill_ground import Stage


class Game:
    """The screen of one drill; leaving it takes the live part down."""

    def __init__(self, here: Session) -> None:
        """Show it on stderr."""
        self._here = here
        self._live = ExitStack()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End whatever is drawn."""
        self._live.close()

    def tell(self, stage: Stage) -> None:
        """Say that a stage begins."""
        self._live.close()
        self._here.say(*labelled(stage.title, stage.detail, indent=0, column=10))

    def show_plan(self, plan: Plan) -> None:
        """Show the plan as the persons of a real stop would see it."""
        from breakglass.model.plan import plan_digest

        screen = plan_rows(plan, digest=plan_digest(plan.to_bytes()))
        self._here.say(Row(), *screen, Row("", Tone.PLAIN))

    def observer(self, plan: Plan) -> ProgressView:
        """Return what follows the run of a plan."""
        self._live.close()
        started_s = self._here.clock.monotonic_s()
        view = ProgressView(plan, self._here.talk, lambda: self._here.clock.monotonic_s() - started_s)
        self._live.enter_context(view.running())
        return view
