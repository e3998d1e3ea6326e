"""Carries one step of a stop: closes the container in rounds, waits the settle time, and proves it.

A round is: observe, fsync the intent with the prior state of every object that is new in it, apply,
observe. The step is read back when the state is contained, and ready for proof when two complete reads
agree, the second at least one settle time after the last change seen (DESIGN 5).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

from breakglass.canon import Json
from breakglass.errors import Denied, ProviderError, Unsettled
from breakglass.execute.context import StepContext, attempt, state_digest
from breakglass.execute.effects import Effect, Pause, Routine, Turn, Until
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass.model.resource import State, recordable

FREE_ROUNDS = 3
"""So many rounds follow each other at once; later ones wait a little, since somebody is fighting back."""
ROUND_PAUSE_S = 0.05
LONGEST_ROUND_PAUSE_S = 1.0
FIRST_LOOK_S = 0.2
"""While a contained state settles it is looked at after so long, then ever more rarely. Where a change is
seen late, who fights back may undo it until then: only whoever undoes that at once shuts them out."""
PROBE_PAUSE_S = 0.02
PROBE_LONGEST_PAUSE_S = 1.0
MOOT_PATIENCE_S = 2.0
"""Once others have made a step moot it is given so long to be proven all the same."""


@dataclass(slots=True)
class _Progress:
    """What this run of the routine has seen so far."""

    round: int
    known: dict[str, Json]
    seen: dict[str, Json]
    """What was contained when it was first read: if it is changed later, that is what was before the stop."""
    changed_s: float
    agreed: State | None = None
    denied: str = ""
    failures: int = 0
    """Changes that failed one after another."""
    failed: str = ""
    """Why the last one did; empty: it did not."""
    look_s: float = FIRST_LOOK_S
    """How long to wait for the next look at a state that settles."""
    probe_pause_s: float = PROBE_PAUSE_S
    moot_since_s: float | None = None
    got_through: Judgement | None = None
    """A probe that the agent still got through with, and nothing was changed since."""
    settled: bool = False
    """Only of a step that no proof can be had of: two complete reads agreed."""
    last: Judgement = field(default_factory=lambda: Judgement(Verdict.UNKNOWN, "not read yet", Grade.NONE))


def contain(context: StepContext) -> Routine:
    """Run the step to its end; returns without closing it when the run is cancelled."""
    step = context.step
    context.emit("waiting", "")
    for wait in step.after:
        yield Until(lambda n=wait.n: context.board.settled([n]), wait.at_most_ms / 1000)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
    if context.cancelled():
        return
    yield context.write("step.started")
    past = context.past
    progress = _Progress(past.rounds, dict(past.prior), dict(past.seen), context.clock.monotonic_s())
    try:
        judgement = yield from _close(context, progress)
    except ProviderError as error:
        # What was read last stands: a refused call on a door that was seen open is an open door.
        verdict = progress.last.verdict if progress.last.verdict is Verdict.NOT_CONTAINED else Verdict.UNKNOWN
        judgement = Judgement(verdict, error.what, Grade.NONE)
    except Exception as error:  # noqa: BLE001 - a provider's bug makes its step unknown and stops no other
        what = f"bug in the provider: {type(error).__name__}: {error}"
        judgement = Judgement(Verdict.UNKNOWN, what, Grade.NONE)
    if judgement is None:
        return
    yield from _end(context, judgement, settled=progress.settled)


def _end(context: StepContext, judgement: Judgement, *, settled: bool) -> Routine:
    n = context.step.n
    yield context.write(
        "step.closed",
        verdict=judgement.verdict,
        grade=judgement.grade,
        reason=judgement.reason,
        settled=settled,
    )
    if judgement.verdict is Verdict.CONTAINED and judgement.grade is not Grade.NONE:
        context.board.prove(n)
        context.emit("proven", judgement.reason)
        return
    context.board.settle(n)
    if context.board.moot(context.step):
        context.emit("moot", judgement.reason)
    else:
        context.emit("open" if judgement.verdict is Verdict.NOT_CONTAINED else "unknown", judgement.reason)


def _close(context: StepContext, progress: _Progress) -> Generator[Effect, object, Judgement | None]:
    """Loop over rounds until the proof is there, the time is over, or the run is cancelled (None)."""
    action, target = context.action, context.step.target
    turn = Turn.FIRST_LOOK
    while not context.cancelled():
        state = yield from attempt(context, lambda: recordable(action.observe(target)), turn)
        turn = Turn.LATER
        judgement = _judge(context, state)
        progress.last = judgement
        if judgement.verdict is Verdict.CONTAINED:
            final = yield from _settle(context, progress, state, judgement)
            if final is not None:
                return final
            continue
        progress.agreed, progress.look_s = None, FIRST_LOOK_S
        if context.late() or progress.denied:
            why = f"{judgement.reason}; the last change failed: {progress.failed}" if progress.failed else ""
            return Judgement(judgement.verdict, progress.denied or why or judgement.reason, Grade.NONE)
        if _is_moot(context, progress):
            return Judgement(Verdict.UNKNOWN, f"moot: {judgement.reason}", Grade.NONE)
        yield from _round(context, progress, state)
    return None


def _is_moot(context: StepContext, progress: _Progress) -> bool:
    """Return whether others have made this step moot, and its patience is over."""
    if not context.board.moot(context.step):
        return False
    now_s = context.clock.monotonic_s()
    if progress.moot_since_s is None:
        progress.moot_since_s = now_s
    return now_s - progress.moot_since_s >= MOOT_PATIENCE_S


def _judge(context: StepContext, state: State) -> Judgement:
    judgement = context.action.judge(context.step.target, state)
    if not state.complete and judgement.verdict is Verdict.CONTAINED:
        return Judgement(Verdict.UNKNOWN, f"the read was not complete: {state.note}", Grade.NONE)
    return judgement


def _round(context: StepContext, progress: _Progress, state: State) -> Routine:
    """Write the intent, make the change, write what came of it."""
    action, target = context.action, context.step.target
    if progress.round >= context.past.rounds + FREE_ROUNDS:
        yield Pause(ROUND_PAUSE_S)
    new = {
        key: progress.seen.get(key, value)
        for key, value in state.objects.items()
        if key not in progress.known
    }
    token = context.token(progress.round)
    yield context.write(
        "step.intent", round=progress.round, token=token, objects=new, complete=state.complete
    )
    progress.known |= new
    context.emit("calling", f"round {progress.round}")
    try:
        yield from attempt(context, lambda: action.apply(target, state, token), Turn.CHANGE)
    except Denied as error:
        progress.denied = error.what
        yield context.write("step.accepted", round=progress.round, ok=False, detail=error.what)
    except Unsettled as error:
        # Somebody changes it all the time: whoever is slow to look again never finds it as it was read.
        yield context.write("step.accepted", round=progress.round, ok=False, detail=error.what)
        progress.failures, progress.failed = 0, error.what
    except ProviderError as error:
        yield context.write("step.accepted", round=progress.round, ok=False, detail=error.what)
        # A change that keeps failing is tried ever more rarely: each try is two records.
        pause_s = min(LONGEST_ROUND_PAUSE_S, ROUND_PAUSE_S * 2**progress.failures)
        yield Pause(min(pause_s, context.left_s()))
        progress.failures += 1
        progress.failed = error.what
    else:
        yield context.write("step.accepted", round=progress.round, ok=True, detail="")
        progress.failures, progress.failed = 0, ""
    progress.round += 1
    progress.got_through = None
    progress.changed_s = context.clock.monotonic_s()


def _settle(
    context: StepContext, progress: _Progress, state: State, judgement: Judgement
) -> Generator[Effect, object, Judgement | None]:
    """Hold a contained read against the one before it; None: read again."""
    if progress.agreed is None:
        yield _read_back(context, progress, state, judgement)
        context.board.settle(context.step.n)
        context.emit("read_back", judgement.reason)
    elif progress.agreed.objects.keys() != state.objects.keys():
        yield _read_back(context, progress, state, judgement)
        progress.changed_s = context.clock.monotonic_s()
    else:
        left_s = progress.changed_s + context.step.settle_ms / 1000 - context.clock.monotonic_s()
        if left_s <= 0:
            return (yield from _prove(context, progress, judgement))
    left_s = progress.changed_s + context.step.settle_ms / 1000 - context.clock.monotonic_s()
    if context.late():
        if progress.got_through is not None:
            return Judgement(Verdict.NOT_CONTAINED, progress.got_through.reason, Grade.NONE)
        return Judgement(
            Verdict.UNKNOWN, f"deadline before the settle time ended: {judgement.reason}", Grade.NONE
        )
    if left_s > 0:
        context.emit("settling", f"{left_s:.0f} s to go")
        yield Pause(min(left_s, progress.look_s, context.left_s()))
        progress.look_s *= 2
    return None


def _read_back(context: StepContext, progress: _Progress, state: State, judgement: Judgement) -> Effect:
    """Agree with a contained read, and record what is new in it: it was off when it was first seen.

    Who switches it on from now on must not have the restore keep it on.
    """
    known = {*progress.known, *progress.seen}
    new = {key: value for key, value in state.objects.items() if key not in known}
    progress.seen |= new
    progress.agreed = state
    return context.write(
        "step.read_back",
        round=progress.round,
        verdict=judgement.verdict,
        reason=judgement.reason,
        sha256=state_digest(state),
        **({"objects": new} if new else {}),
    )


def _prove(
    context: StepContext, progress: _Progress, judgement: Judgement
) -> Generator[Effect, object, Judgement | None]:
    """Obtain the strongest proof that the step declares; None: the world moved, read again."""
    wanted = context.step.best_grade
    if wanted is Grade.NONE:
        progress.settled = True
        return Judgement(Verdict.UNKNOWN, judgement.reason, Grade.NONE)
    if wanted is Grade.READ_BACK:
        return Judgement(Verdict.CONTAINED, judgement.reason, Grade.READ_BACK)
    action, target = context.action, context.step.target
    while True:
        answer = yield from attempt(context, lambda: action.probe(target))
        if answer is None:
            return Judgement(Verdict.UNKNOWN, f"no proof of grade {wanted} can be had here", Grade.NONE)
        if answer.verdict is Verdict.CONTAINED and answer.grade.strength >= wanted.strength:
            return answer
        if context.late():
            return _unproven(answer, wanted)
        if answer.verdict is Verdict.UNKNOWN and _is_moot(context, progress):
            return Judgement(Verdict.UNKNOWN, f"moot: {answer.reason}", Grade.NONE)
        if context.cancelled():
            return None
        yield Pause(min(progress.probe_pause_s, context.left_s()))
        progress.probe_pause_s = min(PROBE_LONGEST_PAUSE_S, progress.probe_pause_s * 1.5)
        if answer.verdict is Verdict.NOT_CONTAINED:
            progress.last = progress.got_through = answer
            progress.agreed = None
            return None


def _unproven(answer: Judgement, wanted: Grade) -> Judgement:
    if answer.verdict is Verdict.CONTAINED:
        reason = f"only {answer.grade}, where {wanted} can be had: {answer.reason}"
        return Judgement(Verdict.UNKNOWN, reason, Grade.NONE)
    return Judgement(answer.verdict, answer.reason, Grade.NONE)
