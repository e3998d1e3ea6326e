"""Reads every proven step once more before a run is sealed: what somebody undid meanwhile is not contained.

The proof of an early step may be minutes old when the last one ends, or from before a crash. A later read
can only make the verdict worse, never better.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from breakglass.errors import ProviderError
from breakglass.journal.history import StepHistory
from breakglass.journal.port import JournalPort
from breakglass.model.action import Grade, Judgement, Phase, Verdict
from breakglass.model.plan import Plan, Step
from breakglass.plan.readable import line
from breakglass.provider import Provider
from breakglass.usecases.side_by_side import side_by_side
from breakglass.verify.judge import proven

LAST_READ_S = 25.0
TRIES = 3
PAUSE_S = 0.3


def read_once_more(
    plan: Plan,
    histories: Mapping[int, StepHistory],
    journal: JournalPort,
    providers: Mapping[int, Provider],
) -> None:
    """Observe and judge each step that was proven; record those that are not contained any more.

    Evidence is not read again: it lies in the incident's folder, with its digest. Nor is what a later step
    took the ground from: the network rules of a cgroup that went with its last process.
    """
    steps = [
        step
        for step in plan.steps
        if proven(histories.get(step.n))
        and step.capability.phase is not Phase.PRESERVE
        and not _is_overtaken(plan, step, histories)
    ]
    by_reach = {n: [step for step in steps if step.reach == n] for n in providers}
    calls: dict[int, Callable[[], dict[int, Judgement]]] = {
        n: _reader(providers[n], found) for n, found in by_reach.items() if found
    }
    answers = side_by_side(calls, within_s=LAST_READ_S)
    for step in steps:
        answer = answers.get(step.reach)
        read = answer.get(step.n) if isinstance(answer, dict) else None
        if read is None:
            read = Judgement(Verdict.UNKNOWN, "could not be read again before the end", Grade.NONE)
        if read.verdict is not Verdict.CONTAINED:
            _record(journal, step, read)


def _is_overtaken(plan: Plan, step: Step, histories: Mapping[int, StepHistory]) -> bool:
    """Return whether nothing hangs on the step any more: what makes it moot is proven, and is read."""
    if not step.moot_by or any(step.n in door.closed_by for door in plan.doors):
        return False
    # Only by what is read itself: two steps that make each other moot would both go unread.
    others = [plan.steps[n] for n in step.moot_by]
    is_read = [not one.moot_by and one.capability.phase is not Phase.PRESERVE for one in others]
    return all(is_read) and all(proven(histories.get(one.n)) for one in others)


def _reader(provider: Provider, steps: Sequence[Step]) -> Callable[[], dict[int, Judgement]]:
    def read() -> dict[int, Judgement]:
        return {step.n: _read(provider, step) for step in steps}

    return read


def _read(provider: Provider, step: Step) -> Judgement:
    """Read one step, a few times where the answer is not clear."""
    last = Judgement(Verdict.UNKNOWN, "not read", Grade.NONE)
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE_S)
        action = provider.actions[step.action]
        try:
            state = action.observe(step.target)
            last = action.judge(step.target, state)
            if not state.complete and last.verdict is Verdict.CONTAINED:
                last = Judgement(Verdict.UNKNOWN, f"the read was not complete: {state.note}", Grade.NONE)
        except ProviderError as error:
            last = Judgement(Verdict.UNKNOWN, error.what, Grade.NONE)
        except Exception as error:  # noqa: BLE001 - a provider's bug makes its own step unknown
            last = Judgement(Verdict.UNKNOWN, f"bug in the provider: {type(error).__name__}", Grade.NONE)
        if last.verdict is Verdict.CONTAINED:
            return last
    return last


def _record(journal: JournalPort, step: Step, read: Judgement) -> None:
    reason = line(f"was proven, and is not so any more: {read.reason}")
    journal.append(
        "step.closed",
        {"step": step.n, "verdict": read.verdict.value, "grade": Grade.NONE.value, "reason": reason},
    )
