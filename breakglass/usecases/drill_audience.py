"""What a drill tells while it goes: its stages, the plan, and every step of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from breakglass.model.plan import Plan
from breakglass.report.build import Report
from breakglass.usecases.contain import Observer


class Audience(Protocol):
    """Whoever watches a drill; a screen, in the end."""

    def begin(self, title: str, doing: str) -> None:
        """Hear that a stage begins, which may take a moment."""
        ...

    def say(self, title: str, what: str) -> None:
        """Hear what came of a stage."""
        ...

    def show_plan(self, plan: Plan) -> None:
        """See the plan before anybody signs it."""
        ...

    def observer(self, plan: Plan) -> Observer:
        """Return what follows the run of a plan."""
        ...

    def restored(self, report: Report, differing: Sequence[str], machine: str) -> None:
        """Hear what the restore came to, and which of the agent's files are not as they were.

        `machine`: the other machine whose files were compared too; empty: there was none.
        """
        ...

    def note(self, what: str) -> None:
        """Hear what this sandbox cannot show."""
        ...
