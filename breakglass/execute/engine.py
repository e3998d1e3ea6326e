"""Executes an authorised plan: the thin shell around the routines of `contain` and `restore`."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from breakglass.canon import Json
from breakglass.clock import Clock
from breakglass.execute.board import Board
from breakglass.execute.bucket import Buckets
from breakglass.execute.contain import contain
from breakglass.execute.context import StepContext, StepEvent
from breakglass.execute.effects import Routine
from breakglass.execute.restore import restore
from breakglass.execute.runner import Task, ThreadRunner
from breakglass.journal.history import StepHistory
from breakglass.journal.port import JournalPort
from breakglass.model.action import Grade, Verdict
from breakglass.model.authorised import AuthorisedPlan
from breakglass.model.plan import Step, Verb
from breakglass.provider import Action, Budget, Provider

HANG_GRACE_S = 2.0
"""A call that has not returned so long after its step's deadline is given up."""
LOST = "a call to the provider did not return in time, or its turn at the service's rate did not come"
CANCEL_GRACE_S = 10.0
"""After Ctrl-C the calls that run have so long to settle."""


class Runner(Protocol):
    """Drives tasks; threads in life, a seeded scheduler in simulation."""

    def run(self, tasks: Sequence[Task], *, until_s: float, cancel_grace_s: float) -> tuple[int, ...]:
        """Drive the tasks and return the numbers of those that did not end."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What a run needs of the world."""

    clock: Clock
    journal: JournalPort
    observer: Callable[[StepEvent], None]
    cancelled: Callable[[], bool]
    rng: random.Random


RunnerFactory = Callable[[Ports, Board, Buckets], Runner]


def threads(ports: Ports, board: Board, buckets: Buckets) -> Runner:
    """Return the runner of real life."""
    return ThreadRunner(
        clock=ports.clock, journal=ports.journal, board=board, buckets=buckets, cancelled=ports.cancelled
    )


def execute(  # noqa: PLR0913 - each comes from another hand
    authorised: AuthorisedPlan,
    providers: Mapping[int, Provider],
    ports: Ports,
    *,
    history: Mapping[int, StepHistory] | None = None,
    prior: Mapping[int, Mapping[str, Json]] | None = None,
    only: frozenset[int] | None = None,
    runner: RunnerFactory = threads,
) -> bool:
    """Run every step that is not proven yet, or `only` these; return False when the run was cancelled.

    `providers` by reach number; one that could not be connected is absent, and its steps end unknown.
    `history` is what a resumed journal says. `prior`, for a restore, is what the stop recorded, by step.

    Raises:
        BreakglassError: the journal could not be written; nothing more was changed after that.
    """
    past = history or {}
    board = Board(past)
    clock = ports.clock
    started_s = clock.monotonic_s()
    tasks: list[Task] = []
    deadline_s = started_s
    for step in authorised.plan.steps:
        if _done(past.get(step.n)) or (only is not None and step.n not in only):
            continue
        action = _action(providers, step)
        if action is None:
            _close_unknown(ports, step, f"provider of {step.action} is not connected")
            board.settle(step.n)
            continue
        ends_s = started_s + step.deadline_ms / 1000
        deadline_s = max(deadline_s, ends_s)
        context = StepContext(
            step=step,
            action=action,
            digest=authorised.digest,
            bucket=_bucket(step, action),
            clock=clock,
            board=board,
            started_s=started_s,
            deadline_s=ends_s,
            cancelled=ports.cancelled,
            observer=ports.observer,
            past=past.get(step.n, StepHistory(step.n)),
            rng=random.Random(ports.rng.random()),  # noqa: S311 - jitter, not a secret
        )
        tasks.append(Task(step.n, step.reach, _routine(authorised, context, prior or {})))
    buckets = Buckets(_budgets(providers), started_s)
    lost = runner(ports, board, buckets).run(
        tasks, until_s=deadline_s + HANG_GRACE_S, cancel_grace_s=CANCEL_GRACE_S
    )
    if ports.cancelled():
        return False
    for n in lost:
        _close_unknown(ports, authorised.plan.steps[n], LOST)
    return True


def _routine(
    authorised: AuthorisedPlan, context: StepContext, prior: Mapping[int, Mapping[str, Json]]
) -> Routine:
    if authorised.plan.verb is Verb.RESTORE:
        return restore(context, prior.get(context.step.n, {}))
    return contain(context)


def _done(past: StepHistory | None) -> bool:
    return past is not None and past.closed and past.verdict is Verdict.CONTAINED


def _action(providers: Mapping[int, Provider], step: Step) -> Action | None:
    provider = providers.get(step.reach)
    try:
        return None if provider is None else provider.actions.get(step.action)
    except Exception:  # noqa: BLE001 - a provider's bug makes its steps unknown and stops no other
        return None


def _bucket(step: Step, action: Action) -> str:
    return f"{step.reach}:{action.spec.service}"


def _budgets(providers: Mapping[int, Provider]) -> dict[str, Budget]:
    return {
        f"{reach}:{service}": budget
        for reach, provider in providers.items()
        for service, budget in provider.budgets.items()
    }


def _close_unknown(ports: Ports, step: Step, reason: str) -> None:
    ports.journal.append(
        "step.closed",
        {"step": step.n, "verdict": Verdict.UNKNOWN.value, "grade": Grade.NONE.value, "reason": reason},
    )
    ports.observer(StepEvent(step.n, "unknown", reason, 0.0))
