"""Computes how long each phase took, from the plan and the journal's records alone: pure.

A duration is taken from the monotonic clock where both records were written in the same boot, else from UTC.
What did not happen, or was not proven, has no time: null stays null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from breakglass.clock import Instant
from breakglass.journal.history import Moment, StepHistory, replay
from breakglass.model.action import Phase, Verdict
from breakglass.model.plan import Plan, Step, TimeSource, Verb
from breakglass.model.records import Record


@dataclass(frozen=True, slots=True)
class PhaseTimes:
    """Seconds until the last step of a phase; None where one of them has no such moment."""

    isolate_s: float | None = None
    revoke_s: float | None = None
    preserve_s: float | None = None
    contained_s: float | None = None
    restore_s: float | None = None


def phases(verb: Verb) -> tuple[str, ...]:
    """Name the phases of a run, in the order in which people read them."""
    return ("restore",) if verb is Verb.RESTORE else ("isolate", "revoke", "preserve", "contained")


@dataclass(frozen=True, slots=True)
class SinceAuthorised:
    """The same phases, counted from the last signature that was needed."""

    proven: PhaseTimes
    read_back: PhaseTimes


@dataclass(frozen=True, slots=True)
class Timings:
    """All timings of one run; the phases on top are proven, since the stop was issued."""

    detect_s: float | None
    detect_source: TimeSource | None
    """Whether the times behind `detect_s` were typed by a person or taken from an alert."""
    authorise_s: float | None
    isolate_s: float | None
    revoke_s: float | None
    preserve_s: float | None
    contained_s: float | None
    restore_s: float | None
    read_back: PhaseTimes
    since_authorised: SinceAuthorised

    @property
    def columns(self) -> tuple[PhaseTimes, PhaseTimes, PhaseTimes, PhaseTimes]:
        """Return the table of timings: read back since the stop, since signed; proven, the same two."""
        proven = PhaseTimes(self.isolate_s, self.revoke_s, self.preserve_s, self.contained_s, self.restore_s)
        return self.read_back, self.since_authorised.read_back, proven, self.since_authorised.proven


@dataclass(frozen=True, slots=True)
class Line:
    """The moments that durations are counted from; and each record's place in the journal and its boot."""

    issued: Moment | None
    authorised: Moment | None
    places: Mapping[Moment, tuple[int, str]]

    def between(self, earlier: Moment | None, later: Moment | None) -> float | None:
        """Return the seconds from one moment to another; None when either is unknown."""
        if earlier is None or later is None:
            return None
        boot = self.places[earlier][1]
        if boot and boot == self.places[later][1]:
            return round((later.monotonic_us - earlier.monotonic_us) / 1e6, 3)
        passed_s = later.at.seconds_since(earlier.at)
        return passed_s if passed_s >= 0 else None  # the wall clock was set back: nobody knows

    def last(self, moments: Sequence[Moment | None]) -> Moment | None:
        """Return the latest by its place in the journal, since wall clocks step; None when one is missing."""
        known = [moment for moment in moments if moment is not None]
        if not known or len(known) != len(moments):
            return None
        return max(known, key=lambda moment: self.places[moment])


def line_of(records: Sequence[Record]) -> Line:
    """Find when the stop was issued and authorised, and which boot each record belongs to."""
    places: dict[Moment, tuple[int, str]] = {}
    boot = ""
    issued = signed = authorised = None
    for record in records:
        moment = Moment(record.at, record.monotonic_us)
        if record.type in ("stop.issued", "run.opened", "run.resumed"):
            named = record.body.get("boot")
            boot = named if isinstance(named, str) else ""
        places[moment] = (record.seq, boot)
        if record.type in ("stop.issued", "run.opened") and issued is None:
            issued = moment
        elif record.type == "signature.accepted":
            signed = moment
        elif record.type == "plan.claimed" and authorised is None:
            authorised = signed or moment
    return Line(issued, authorised, places)


def timings(
    plan: Plan, records: Sequence[Record], *, verdict: Verdict, moot: frozenset[int] = frozenset()
) -> Timings:
    """Compute every timing of a run.

    `moot` holds the steps whose own outcome does not matter since others are proven; such a step counts as
    done when the last of those others was. Only a run with the verdict *contained* has a contained time.
    """
    line = line_of(records)
    histories = replay(records)
    proven = {step.n: _proven(histories.get(step.n)) for step in plan.steps}
    read = {step.n: _read_back(histories.get(step.n)) for step in plan.steps}
    done = verdict is Verdict.CONTAINED
    proven_ends = _ends(plan, line, _with_moot(plan, line, proven, moot), done=done)
    read_ends = _ends(plan, line, _with_moot(plan, line, read, moot), done=done)
    ends = _times(line, line.issued, proven_ends)
    return Timings(
        detect_s=_detect(plan),
        detect_source=plan.detection.source if plan.detection else None,
        authorise_s=line.between(line.issued, line.authorised),
        isolate_s=ends.isolate_s,
        revoke_s=ends.revoke_s,
        preserve_s=ends.preserve_s,
        contained_s=ends.contained_s,
        restore_s=ends.restore_s,
        read_back=_times(line, line.issued, read_ends),
        since_authorised=SinceAuthorised(
            proven=_times(line, line.authorised, proven_ends),
            read_back=_times(line, line.authorised, read_ends),
        ),
    )


_Ends = Mapping[str, Moment | None]


def _proven(history: StepHistory | None) -> Moment | None:
    return history.proven if history is not None and history.is_proven else None


def _read_back(history: StepHistory | None) -> Moment | None:
    return history.read_back if history is not None else None


def _with_moot(
    plan: Plan, line: Line, moments: Mapping[int, Moment | None], moot: frozenset[int]
) -> dict[int, Moment | None]:
    """Give a moot step the last moment of the steps that made it moot."""
    return {
        step.n: line.last([moments[other] for other in step.moot_by]) if step.n in moot else moments[step.n]
        for step in plan.steps
    }


def _ends(plan: Plan, line: Line, moments: Mapping[int, Moment | None], *, done: bool) -> _Ends:
    """Find the last moment of each phase; a restore has one phase only, and `done` asks for the verdict."""
    whole = line.last([moments[step.n] for step in plan.steps]) if done else None
    if plan.verb is Verb.RESTORE:
        return {"restore_s": whole}
    ends = {f"{phase}_s": line.last([moments[n] for n in _counted(plan.steps, phase)]) for phase in Phase}
    return {**ends, "contained_s": whole}


def _counted(steps: Sequence[Step], phase: Phase) -> tuple[int, ...]:
    """Name the steps of a phase: in revoke not those that only withhold what stays valid at its issuer."""
    return tuple(
        step.n
        for step in steps
        if step.capability.phase is phase and not (phase is Phase.REVOKE and step.withholds_only)
    )


def _times(line: Line, start: Moment | None, ends: _Ends) -> PhaseTimes:
    return PhaseTimes(**{name: line.between(start, end) for name, end in ends.items()})


def _detect(plan: Plan) -> float | None:
    detection = plan.detection
    if detection is None or detection.started_at is None or detection.detected_at is None:
        return None
    return detection.detected_at.seconds_since(detection.started_at)


def instant(moment: Moment | None) -> Instant | None:
    """Return the wall clock of a moment."""
    return moment.at if moment is not None else None
