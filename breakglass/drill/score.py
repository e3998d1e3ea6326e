"""Holds the report against the truth: what the downstream system itself saw last, channel by channel.

A report that calls the agent isolated before its last effect arrived has lied, and the drill has failed.
Both clocks are CLOCK_MONOTONIC of one machine, so the comparison needs no synchronised wall clocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from breakglass.drill.truth import ChannelTruth
from breakglass.journal.history import Moment, StepHistory
from breakglass.model.action import Grade, Phase, Verdict
from breakglass.model.plan import Plan


@dataclass(frozen=True, slots=True)
class ScoredChannel:
    """One channel: its last effect, and the instant from which the report says that there is none."""

    truth: ChannelTruth
    proven: Moment | None

    @property
    def honest(self) -> bool:
        """Return whether no effect arrived after the instant that the report calls proven."""
        return self.proven is None or self.truth.monotonic_us <= self.proven.monotonic_us


def score(
    plan: Plan,
    histories: Mapping[int, StepHistory],
    moot: frozenset[int],
    truths: Sequence[ChannelTruth],
    *,
    phases: Sequence[Phase] = (Phase.ISOLATE,),
) -> tuple[ScoredChannel, ...]:
    """Compare every channel with the instant at which the last step of these phases was proven.

    A machine is isolated, and what happens on it ends; an identity of a cloud acts until it is revoked.
    """
    isolating = [
        histories.get(step.n) for step in plan.steps if step.capability.phase in phases and step.n not in moot
    ]
    proven = [history.proven for history in isolating if history is not None and _proven(history)]
    moments = [moment for moment in proven if moment is not None]
    claimed = max(moments, key=lambda moment: moment.monotonic_us) if moments else None
    complete = bool(isolating) and len(moments) == len(isolating)
    return tuple(ScoredChannel(truth, claimed if complete else None) for truth in truths)


def _proven(history: StepHistory) -> bool:
    return history.closed and history.verdict is Verdict.CONTAINED and history.grade is not Grade.NONE
