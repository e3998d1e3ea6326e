"""Reads every proven step once more before a run is sealed: what somebody undid meanwhile is not contained.

The proof of an early step may be minutes old when the last one ends, or from before a crash. A later read
can only make the verdict worse, never better.
"""

from __future__ import annotations

import time
from collections import Counter
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
READERS = 8
"""At most so many threads a reach, one for each `STEPS_A_READER` steps: a thousand are not read in turn."""
STEPS_A_READER = 20
TRIES = 3
PAUSE_S = 0.3


def read_once_more(
    plan: Plan,
    histories: Mapping[int, StepHistory],
    journal: JournalPort,
    providers: Mapping[int, Provider],
) -> frozenset[int]:
    """Observe and judge each step that was proven; record those that are not contained any more.

    Returns those that somebody has undone; what could not be read is recorded as unknown and not among them.

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
    answers: dict[int, Judgement] = {}
    readers = [
        _reader(providers[n], share, answers) for n, found in by_reach.items() for share in _shares(found)
    ]
    longest_s = max((_rate_s(providers[n], found) for n, found in by_reach.items()), default=0.0)
    side_by_side(dict(enumerate(readers)), within_s=LAST_READ_S + 2 * longest_s)
    told = dict(answers)  # what one reads from now on is late
    undone: set[int] = set()
    for step in steps:
        read = told.get(step.n)
        if read is None:
            read = Judgement(Verdict.UNKNOWN, "could not be read again before the end", Grade.NONE)
        if read.verdict is not Verdict.CONTAINED:
            _record(journal, step, read)
        if read.verdict is Verdict.NOT_CONTAINED:
            undone.add(step.n)
    return frozenset(undone)


def _is_overtaken(plan: Plan, step: Step, histories: Mapping[int, StepHistory]) -> bool:
    """Return whether nothing hangs on the step any more: what makes it moot is proven, and is read."""
    if not step.moot_by or any(step.n in door.closed_by for door in plan.doors):
        return False
    # Only by what is read itself: two steps that make each other moot would both go unread.
    others = [plan.steps[n] for n in step.moot_by]
    is_read = [not one.moot_by and one.capability.phase is not Phase.PRESERVE for one in others]
    return all(is_read) and all(proven(histories.get(one.n)) for one in others)


def _shares(steps: Sequence[Step]) -> list[Sequence[Step]]:
    """Deal the steps of a reach out to its readers."""
    readers = min(READERS, -(-len(steps) // STEPS_A_READER))
    return [steps[n::readers] for n in range(readers)]


def _rate_s(provider: Provider, steps: Sequence[Step]) -> float:
    """Return how long one read of each step takes at the rates of the provider's services."""
    try:
        services = Counter(provider.actions[step.action].spec.service for step in steps)
        budgets = provider.budgets
        waits_s = [count / budgets[name].per_s for name, count in services.items() if name in budgets]
    except Exception:  # noqa: BLE001 - a provider's bug is told of by the read itself
        return 0.0
    return max(waits_s, default=0.0)


def _reader(provider: Provider, steps: Sequence[Step], answers: dict[int, Judgement]) -> Callable[[], None]:
    def read() -> None:
        for step in steps:
            answers[step.n] = _read(provider, step)

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
