"""Builds the plan of a restore from the plan and the journal of the stop: the world is not asked.

The order is that of the stop, backwards: where a step waited for another, the other now waits for it, so
that a guard goes immediately before the layer that it blocks. A step that never changed anything has
nothing to put back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from breakglass.clock import Instant
from breakglass.journal.history import StepHistory
from breakglass.model.action import Grade, Reversibility
from breakglass.model.plan import NotTouched, Pin, Plan, Step, Verb, Wait
from breakglass.plan.undo_choices import check_choices, undo_wait_ms, with_choices

RESTORE_WAIT_MS = 60_000
MAX_RUN_S = 86_400
"""The most that a plan may say (`model.plan.Plan`)."""


@dataclass(frozen=True, slots=True)
class RestoreHeader:
    """All of a restore plan that does not come from the stop."""

    plan_id: str
    reason: str
    requested_by: str
    issued_at: Instant
    expires: Instant
    nonce: str
    roster: Pin
    parent: str
    """sha256 of the checkpoint of the run that is undone."""
    chosen: Mapping[str, str] = field(default_factory=dict)
    """What the operator chose of what steps offer (`plan.undo_choices`)."""


def build_restore(
    stop: Plan, histories: Mapping[int, StepHistory], header: RestoreHeader
) -> tuple[Plan, tuple[int, ...]]:
    """Return the restore plan, and for each of its steps the number of the stop's step that it undoes.

    Raises:
        UsageError: something was chosen that no step offers.
    """
    changed = [step for step in stop.steps if histories.get(step.n, StepHistory(step.n)).applied]
    undone = [step for step in reversed(changed) if step.reversibility is not Reversibility.NONE]
    check_choices(undone, header.chosen)
    undone = [with_choices(step, histories.get(step.n), header.chosen) for step in undone]
    numbers = {step.n: n for n, step in enumerate(undone)}
    plan = replace(
        stop,
        plan_id=header.plan_id,
        verb=Verb.RESTORE,
        reason=header.reason,
        requested_by=header.requested_by,
        issued_at=header.issued_at,
        detection=None,
        roster=header.roster,
        nonce=header.nonce,
        not_before=header.issued_at,
        expires=header.expires,
        parent=header.parent,
        max_run_s=min(MAX_RUN_S, stop.max_run_s + max(map(undo_wait_ms, undone), default=0) // 1000),
        steps=tuple(_reversed(n, step, stop, numbers) for n, step in enumerate(undone)),
        doors=(),
        not_touched=(
            *(
                NotTouched(f"{step.action} {step.target.label}", f"cannot be undone: {step.undo}")
                for step in changed
                if step.reversibility is Reversibility.NONE
            ),
            *(
                NotTouched(f"{step.action} {step.target.label}", f"it was so already; to undo: {step.undo}")
                for step in stop.steps
                if step not in changed
            ),
        ),
        not_planned=(),
    )
    return plan, tuple(step.n for step in undone)


def _reversed(n: int, step: Step, stop: Plan, numbers: Mapping[int, int]) -> Step:
    """Turn a step of the stop round: it waits for those that had waited for it."""
    waits = tuple(
        Wait(numbers[other.n], RESTORE_WAIT_MS + undo_wait_ms(other))
        for other in stop.steps
        if other.n in numbers and numbers[other.n] < n and any(wait.n == step.n for wait in other.after)
    )
    return replace(
        step,
        n=n,
        after=waits,
        best_grade=Grade.READ_BACK,
        window_s=None,
        moot_by=(),
        deadline_ms=step.deadline_ms
        + undo_wait_ms(step)
        + max((wait.at_most_ms for wait in waits), default=0),
    )
