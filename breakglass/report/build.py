"""Builds the report of one run: the JSON that is the contract, and what the other formats are set from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from breakglass.clock import Instant
from breakglass.journal.history import StepHistory, replay, text_of
from breakglass.model.action import Capability, Grade, Verdict
from breakglass.model.plan import NotTouched, Plan, Step, TwoPersonRule, Verb
from breakglass.model.records import Record
from breakglass.report.timeline import Timings, instant, timings
from breakglass.shape import Digest, encode


class OpenItem(Protocol):
    """One thing that is still open, as the judge says it."""

    @property
    def kind(self) -> str:
        """Return the kind of door."""
        ...

    @property
    def name(self) -> str:
        """Return what is open."""
        ...

    @property
    def reason(self) -> str:
        """Return why."""
        ...

    @property
    def remedy(self) -> str:
        """Return what a person can do."""
        ...

    @property
    def owner(self) -> str:
        """Return who can."""
        ...

    @property
    def verdict(self) -> Verdict:
        """Return what it does to the verdict."""
        ...


class Assessed(Protocol):
    """What the judge decided of a run."""

    @property
    def verdict(self) -> Verdict:
        """Return the verdict."""
        ...

    @property
    def open(self) -> Sequence[OpenItem]:
        """Return what keeps it from being better, worst first."""
        ...

    @property
    def moot(self) -> frozenset[int]:
        """Return the steps whose own outcome does not matter any more."""
        ...


@dataclass(frozen=True, slots=True)
class Signer:
    """A person whose signature was accepted, and when it was."""

    person: str
    key_fingerprint: str
    signed_at: Instant


@dataclass(frozen=True, slots=True)
class Target:
    """The exact resource of a step."""

    kind: str
    id: str
    label: str


@dataclass(frozen=True, slots=True)
class ReportedStep:
    """One step with its four instants; null where it did not get that far."""

    number: int
    provider: str
    capability: Capability
    action: str
    target: Target
    verdict: Verdict
    grade: Grade
    reason: str
    requested_at: Instant | None
    accepted_at: Instant | None
    read_back_at: Instant | None
    proven_at: Instant | None


@dataclass(frozen=True, slots=True)
class StillOpen:
    """Something that is open, or not known to be closed."""

    kind: str
    name: str
    reason: str
    remedy: str
    owner: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class FoundNotSigned:
    """A principal that appeared after the plan was signed; it was not touched."""

    provider: str
    scope: str
    kind: str
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Truth:
    """What the downstream system itself saw, per channel; only a drill can ask it."""

    channel: str
    last_effect_at: Instant | None
    proven_at: Instant | None


@dataclass(frozen=True, slots=True)
class Report:
    """What happened in one run. Its JSON is described by docs/report.schema.json."""

    incident: str
    agent: str
    verb: Verb
    drill: bool
    verdict: Verdict
    two_person_rule: TwoPersonRule
    signers: tuple[Signer, ...]
    timings: Timings
    steps: tuple[ReportedStep, ...]
    open: tuple[StillOpen, ...]
    found_not_signed: tuple[FoundNotSigned, ...]
    not_touched: tuple[NotTouched, ...]
    plan_sha256: Digest
    journal: str
    truth: tuple[Truth, ...]

    def to_json(self) -> bytes:
        """Return the report as indented ASCII JSON, so that no name in it can act on a terminal."""
        text = json.dumps(_plain(self), indent=2, ensure_ascii=True, allow_nan=False)
        return (text.replace("\x7f", "\\u007f") + "\n").encode("ascii")


def build(
    plan: Plan,
    records: Sequence[Record],
    assessment: Assessed,
    *,
    digest: str,
    journal: str,
    truth: Sequence[Truth] = (),
) -> Report:
    """Build the report of a run from its plan, its records and the judge's assessment."""
    histories = replay(records)
    return Report(
        incident=plan.incident,
        agent=plan.agent,
        verb=plan.verb,
        drill=plan.drill,
        verdict=assessment.verdict,
        two_person_rule=plan.two_person_rule,
        signers=_signers(records),
        timings=timings(plan, records, verdict=assessment.verdict, moot=assessment.moot),
        steps=tuple(
            _step(plan, step, histories.get(step.n, StepHistory(step.n)), assessment.moot)
            for step in plan.steps
        ),
        open=tuple(
            StillOpen(item.kind, item.name, item.reason, item.remedy, item.owner, item.verdict)
            for item in assessment.open
        ),
        found_not_signed=tuple(_found(record) for record in records if record.type == "found.not_signed"),
        not_touched=plan.not_touched,
        plan_sha256=digest,
        journal=journal,
        truth=tuple(truth),
    )


def _signers(records: Sequence[Record]) -> tuple[Signer, ...]:
    """Take the persons in the order in which their signatures were accepted, each once."""
    found: dict[str, Signer] = {}
    for record in records:
        if record.type == "signature.accepted":
            person = text_of(record.body, "person")
            found.setdefault(person, Signer(person, text_of(record.body, "key"), record.at))
    return tuple(found.values())


def _step(plan: Plan, step: Step, history: StepHistory, moot: frozenset[int]) -> ReportedStep:
    reason = history.reason
    if step.n in moot:
        others = ", ".join(str(n) for n in step.moot_by)
        reason = f"does not matter any more: step {others} proven; {reason.removeprefix('moot: ')}"
    return ReportedStep(
        number=step.n,
        provider=plan.reaches[step.reach].provider,
        capability=step.capability,
        action=step.action,
        target=Target(step.target.kind, step.target.id, step.target.label),
        verdict=_verdict(history),
        grade=history.grade,
        reason=reason,
        requested_at=instant(history.requested),
        accepted_at=instant(history.accepted),
        read_back_at=instant(history.read_back),
        proven_at=instant(history.proven) if history.is_proven else None,
    )


def _verdict(history: StepHistory) -> Verdict:
    """Say contained only of what was proven."""
    if history.verdict is Verdict.CONTAINED and not history.is_proven:
        return Verdict.UNKNOWN
    return history.verdict


def _found(record: Record) -> FoundNotSigned:
    names = ("provider", "scope", "kind", "id", "reason")
    return FoundNotSigned(**{name: text_of(record.body, name) for name in names})


def _plain(value: object) -> object:
    """Add seconds to what `shape.encode` knows: only the report may hold numbers that are not whole."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, Instant):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return encode(value)
