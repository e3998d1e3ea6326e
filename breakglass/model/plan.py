"""The plan: ordered steps, what stays open, what is not touched. Its canonical JSON is what people sign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from breakglass.canon import Json, canonical, parse_canonical, sha256
from breakglass.clock import Instant
from breakglass.errors import MalformedInput
from breakglass.model.action import Capability, Grade, Reversibility, Verdict
from breakglass.model.resource import Resource
from breakglass.shape import Between, Count, Digest, Line, Match, Name, decode, encode

MAX_PLAN_BYTES = 16 * 1024 * 1024
MAX_SIGNATURES_BYTES = 256 * 1024

Nonce = Annotated[str, Match(r"[A-Za-z0-9+/]{22}==", "16 random bytes in base64")]


class Verb(StrEnum):
    """What a plan is for; each has its rule in the roster."""

    CONTAIN = "contain"
    RESTORE = "restore"


class Mode(StrEnum):
    """An ordinary plan, or one that was signed ahead."""

    EXECUTE = "execute"
    STANDING = "standing"


class Activation(StrEnum):
    """Who starts it."""

    PERSON = "person"
    EXECUTOR = "executor"


class TwoPersonRule(StrEnum):
    """Whether the platform, and not only our code, keeps one person from acting alone."""

    ENFORCED = "enforced"
    ADVISORY = "advisory"


class TimeSource(StrEnum):
    """Where a time comes from: typed by a person, or taken from an alert."""

    STATED = "stated"
    OBSERVED = "observed"


class DoorKind(StrEnum):
    """Why something stays open."""

    CREDENTIAL_WITHHELD = "credential_withheld"
    TOOL = "tool"
    CAN_MINT = "can_mint"
    PRIVILEGED = "privileged"
    NO_STEP = "no_step"


@dataclass(frozen=True, slots=True)
class Pin:
    """A document that the plan was built from: its name, version and digest."""

    name: Name
    version: Count
    sha256: Digest


@dataclass(frozen=True, slots=True)
class Detection:
    """When harm began and when it was noticed; either may be unknown."""

    started_at: Instant | None
    detected_at: Instant | None
    source: TimeSource
    by: Line


@dataclass(frozen=True, slots=True)
class PlannedReach:
    """One connection that `execute` opens, from the plan alone."""

    n: Count
    provider: Name
    distribution: Line
    """``name version`` of the package that provides it, so that another cannot slip in."""
    scope: Line
    """The account, host or cluster in the operator's words, e.g. ``host local``."""
    endpoints: tuple[Line, ...]
    """Sandbox endpoints; allowed only in a drill."""
    settings: Mapping[str, Json]
    """As `pack_settings` makes them."""
    runner: Annotated[str, Match(r"([0-9a-f]{64})?", "a sha256, or nothing")] = ""
    """Of the program that is sent to that machine and acts there; empty: none is sent."""
    takes_s: Count = 0
    """How long its steps take at the rates of its services, when nothing fails: an estimate, no limit."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Start after step `n` was read back or gave up, and after `at_most_ms` in any case."""

    n: Count
    at_most_ms: Count


@dataclass(frozen=True, slots=True)
class Step:
    """One action on one exact resource."""

    n: Count
    reach: Count
    capability: Capability
    action: Name
    target: Resource
    after: tuple[Wait, ...]
    settle_ms: Count
    deadline_ms: Count
    best_grade: Grade
    window_s: Count | None
    """Residual window of a step whose best grade is none; null: it does not end by itself."""
    moot_by: tuple[Count, ...]
    """Once all of these are proven, what this step leaves open does not matter any more."""
    reversibility: Reversibility
    undo: Line
    blast_radius: Line
    destroys_evidence: Line
    affects: tuple[Line, ...]
    """Neighbours that this step breaks, found when planning."""
    withholds_only: bool
    observed: Digest
    """Of the canonical state at planning; the state itself is in observations.json."""


@dataclass(frozen=True, slots=True)
class Door:
    """Something that stays open after the plan ran, unless all steps of `closed_by` are proven."""

    kind: DoorKind
    name: Line
    reason: Line
    remedy: Line
    owner: Line
    closed_by: tuple[Count, ...]
    verdict: Verdict
    """What an open door does to the verdict: not_contained, unknown, or contained for one only listed."""


@dataclass(frozen=True, slots=True)
class NotTouched:
    """A resource that the plan leaves alone, and why."""

    resource: Line
    reason: Line


@dataclass(frozen=True, slots=True)
class NotPlanned:
    """A reach that could not be read when planning: it is open, and the verdict at best unknown."""

    provider: Name
    scope: Line
    reason: Line


@dataclass(frozen=True, slots=True)
class Plan:
    """What two people sign."""

    v: int
    type: str
    org: Name
    plan_id: Name
    incident: Name
    agent: Name
    verb: Verb
    mode: Mode
    activation: Activation
    drill: bool
    reason: Line
    requested_by: Line
    issued_at: Instant
    detection: Detection | None
    runbook: Pin
    kit: Pin
    roster: Pin
    executors: tuple[Name, ...]
    two_person_rule: TwoPersonRule
    nonce: Nonce
    not_before: Instant
    expires: Instant
    max_run_s: Annotated[int, Between(1, 86_400)]
    parent: Digest | None
    """sha256 of the checkpoint of the run that this one follows (restore); null for a stop."""
    observations_sha256: Digest
    reaches: tuple[PlannedReach, ...]
    steps: tuple[Step, ...]
    doors: tuple[Door, ...]
    not_touched: tuple[NotTouched, ...]
    not_planned: tuple[NotPlanned, ...]

    @property
    def since(self) -> Instant | None:
        """Return when the harm began; None: unknown."""
        return self.detection.started_at if self.detection else None

    def to_bytes(self) -> bytes:
        """Return the canonical bytes: the ones that are signed and written to plan.json."""
        return canonical(encode(self))

    @classmethod
    def from_bytes(cls, data: bytes, *, where: str) -> Plan:
        """Read a plan.

        Raises:
            MalformedInput: not canonical, a field missing, unknown or wrong, or numbers that do not fit.
        """
        plan = decode(cls, parse_canonical(data, where=where, max_bytes=MAX_PLAN_BYTES), where=where)
        if (plan.v, plan.type) != (1, "plan"):
            raise MalformedInput(f"not a plan of version 1: {plan.type!r} {plan.v!r}", where=where)
        _check_numbers(plan, where)
        return plan


def pack_settings(settings: Mapping[str, Json]) -> dict[str, Json]:
    """Return settings as a plan can hold them: a mapping, whose keys may be paths, as a list of pairs."""
    return {
        name: [{"key": key, "value": text} for key, text in sorted(value.items())]
        if isinstance(value, Mapping)
        else value
        for name, value in settings.items()
    }


def unpack_settings(settings: Mapping[str, Json]) -> dict[str, Json]:
    """Undo `pack_settings`."""
    return {name: _unpacked(value) for name, value in settings.items()}


def _unpacked(value: Json) -> Json:
    if not isinstance(value, list) or not value:
        return value
    pairs = {
        str(pair["key"]): pair["value"]
        for pair in value
        if isinstance(pair, dict) and set(pair) == {"key", "value"}
    }
    return pairs if len(pairs) == len(value) else value


def plan_digest(data: bytes) -> str:
    """Return the digest that names a plan everywhere."""
    return sha256(data)


def _check_numbers(plan: Plan, where: str) -> None:
    """Every index points at something that exists, and no step waits for a later one."""
    for n, reach in enumerate(plan.reaches):
        if reach.n != n:
            raise MalformedInput(f"reach {n} is numbered {reach.n}", where=where)
    for n, step in enumerate(plan.steps):
        if step.n != n:
            raise MalformedInput(f"step {n} is numbered {step.n}", where=where)
        if step.reach >= len(plan.reaches):
            raise MalformedInput(f"step {n} names reach {step.reach}, which does not exist", where=where)
        if any(wait.n >= n for wait in step.after):
            raise MalformedInput(f"step {n} waits for a step that does not come before it", where=where)
        if any(other >= len(plan.steps) for other in step.moot_by):
            raise MalformedInput(f"step {n} is made moot by a step that does not exist", where=where)
    for door in plan.doors:
        if any(other >= len(plan.steps) for other in door.closed_by):
            raise MalformedInput(f"door {door.name!r} is closed by a step that does not exist", where=where)
