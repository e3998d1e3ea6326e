"""Carries one step of a restore: compare-and-set back to the prior state that the stop recorded.

Proof is a second revert that finds nothing left to do; what drifted is left alone and stays open.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping

from breakglass.canon import Json
from breakglass.errors import InDoubt, ProviderError, Unsettled
from breakglass.execute.context import StepContext, attempt
from breakglass.execute.effects import Effect, Routine, Until
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass.model.resource import State, recordable
from breakglass.provider import Outcome, Reversal

MAX_ROUNDS = 5


def restore(context: StepContext, prior: Mapping[str, Json]) -> Routine:
    """Put back `prior`, the union of what the stop saw before it changed anything."""
    for wait in context.step.after:
        yield Until(lambda n=wait.n: context.board.settled([n]), wait.at_most_ms / 1000)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
    if context.cancelled():
        return
    yield context.write("step.started")
    try:
        judgement = yield from _rounds(context, State(prior))
    except ProviderError as error:
        judgement = Judgement(Verdict.UNKNOWN, error.what, Grade.NONE)
    except Exception as error:  # noqa: BLE001 - a provider's bug makes its step unknown and stops no other
        what = f"bug in the provider: {type(error).__name__}: {error}"
        judgement = Judgement(Verdict.UNKNOWN, what, Grade.NONE)
    if judgement is None:
        return
    yield context.write(
        "step.closed", verdict=judgement.verdict, grade=judgement.grade, reason=judgement.reason
    )
    if judgement.verdict is Verdict.CONTAINED:
        context.board.prove(context.step.n)
        context.emit("proven", judgement.reason)
    else:
        context.board.settle(context.step.n)
        context.emit("open" if judgement.verdict is Verdict.NOT_CONTAINED else "unknown", judgement.reason)


def _rounds(context: StepContext, before: State) -> Generator[Effect, object, Judgement | None]:
    action, target = context.action, context.step.target
    outcomes: dict[str, Outcome] = {}
    round_, changing = context.past.rounds - 1, 0
    while True:
        round_ += 1
        if context.cancelled():
            return None
        now = yield from attempt(context, lambda: recordable(action.observe(target)))
        yield context.write(
            "step.intent",
            round=round_,
            token=context.token(round_),
            objects=now.objects,
            complete=now.complete,
        )
        context.emit("calling", f"round {round_}")
        try:
            done = yield from attempt(context, _reverting(context, before, now))
        except InDoubt as error:
            # What was read before it is not what is there now: the next round reads again, then decides.
            # A connection may be cut any number of times: the step's own time alone bounds that.
            context.emit("retry", error.what)
            if context.late():
                return Judgement(Verdict.UNKNOWN, error.what, Grade.NONE)
            continue
        changing += 1
        first = not outcomes
        # The first answer tells what was done; later ones only that nothing is left to do.
        outcomes = {**done.objects, **outcomes}
        yield context.write("step.reverted", objects=dict(done.objects), reason=done.reason)
        if first:
            context.board.settle(context.step.n)
            context.emit("read_back", done.reason)
        if all(outcome is not Outcome.RESTORED for outcome in done.objects.values()):
            return _judge(before, done, outcomes)
        if changing >= MAX_ROUNDS or context.late():
            return Judgement(Verdict.UNKNOWN, f"still changing after {changing} rounds", Grade.NONE)


def _reverting(context: StepContext, before: State, now: State) -> Callable[[], Reversal]:
    """Return the revert; after an Unsettled it reads anew: what was still on its way may have arrived."""
    action, target, reads = context.action, context.step.target, [now]

    def revert() -> Reversal:
        if not reads:
            reads.append(recordable(action.observe(target)))
        try:
            return action.revert(target, before, reads[0])
        except Unsettled:
            reads.clear()
            raise

    return revert


def _judge(before: State, last: Reversal, outcomes: Mapping[str, Outcome]) -> Judgement:
    if before.objects and not outcomes:
        return Judgement(
            Verdict.UNKNOWN, f"nothing is known of what was to be put back: {last.reason}", Grade.NONE
        )
    drifted = sorted(key for key, outcome in last.objects.items() if outcome is Outcome.DRIFTED)
    if drifted:
        return Judgement(
            Verdict.NOT_CONTAINED, f"left alone, changed since the stop: {', '.join(drifted[:5])}", Grade.NONE
        )
    lost = sorted(key for key, outcome in outcomes.items() if outcome is Outcome.CANNOT)
    if lost:
        reason = f"cannot be put back: {', '.join(lost[:5])} ({last.reason})"
        return Judgement(Verdict.UNKNOWN, reason, Grade.NONE)
    counts = {outcome: sum(1 for found in outcomes.values() if found is outcome) for outcome in Outcome}
    words = ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items() if count)
    ended = f" ({last.reason})" if counts[Outcome.ENDED] else ""
    return Judgement(Verdict.CONTAINED, (words or "nothing to put back") + ended, Grade.READ_BACK)
