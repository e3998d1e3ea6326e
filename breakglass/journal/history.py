"""What the records say of each step: pure, and the only way that resume, restore and report learn it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from breakglass.canon import Json, JsonObject
from breakglass.clock import Instant
from breakglass.errors import RecordDamaged
from breakglass.model.action import Grade, Verdict
from breakglass.model.records import Record


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """When something happened: UTC for people, CLOCK_MONOTONIC for durations."""

    at: Instant
    monotonic_us: int


@dataclass(frozen=True, slots=True)
class StepHistory:
    """One step, as far as the journal goes."""

    n: int
    rounds: int = 0
    """How many intents were written; the next round has this number."""
    prior: Mapping[str, Json] = field(default_factory=dict)
    """The union of first-seen prior states, object by object: what `revert` gets."""
    seen: Mapping[str, Json] = field(default_factory=dict)
    """What was contained when it was first read, and not changed by then."""
    applied: frozenset[str] = frozenset()
    """Objects that an intent named: only these can have been changed by us."""
    requested: Moment | None = None
    accepted: Moment | None = None
    read_back: Moment | None = None
    """When the step was first read as contained after its last change."""
    proven: Moment | None = None
    closed: bool = False
    settled: bool = False
    """Of a step that no proof can be had of: it was read twice, a settle time after the last change."""
    verdict: Verdict = Verdict.UNKNOWN
    grade: Grade = Grade.NONE
    reason: str = "not started"
    in_doubt: bool = False
    """An intent has no answer: the call may or may not have been made."""
    reverted: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_proven(self) -> bool:
        """Return whether the step ended contained, with proof."""
        return self.closed and self.verdict is Verdict.CONTAINED and self.grade is not Grade.NONE


def replay(records: Iterable[Record]) -> dict[int, StepHistory]:
    """Fold the records into one history a step.

    Raises:
        RecordDamaged: a step's records do not have the fields that they must have.
    """
    histories: dict[int, StepHistory] = {}
    for record in records:
        if not record.type.startswith("step."):
            continue
        try:
            n = _integer(record.body, "step")
            history = histories.get(n, StepHistory(n))
            histories[n] = _fold(history, record, Moment(record.at, record.monotonic_us))
        except (KeyError, TypeError, ValueError) as error:
            raise RecordDamaged(
                f"record {record.seq} ({record.type}) does not read: {error}",
                remedy="breakglass journal verify INCIDENT",
            ) from error
    return histories


def _fold(history: StepHistory, record: Record, moment: Moment) -> StepHistory:
    body = record.body
    match record.type:
        case "step.started":
            return replace(history, requested=history.requested or moment, reason="started")
        case "step.intent":
            objects = body["objects"]
            if not isinstance(objects, Mapping):
                raise TypeError("objects is not an object")
            return replace(
                history,
                rounds=max(history.rounds, _integer(body, "round") + 1),
                prior={**objects, **history.prior},
                applied=history.applied | set(objects),
                in_doubt=True,
                read_back=None,
                proven=None,
            )
        case "step.accepted":
            ok = body["ok"] is True
            return replace(history, accepted=moment if ok else history.accepted, in_doubt=not ok)
        case "step.read_back":
            verdict = Verdict(_text(body, "verdict"))
            contained = verdict is Verdict.CONTAINED
            objects = body.get("objects", {})
            if not isinstance(objects, Mapping):
                raise TypeError("objects is not an object")
            return replace(
                history,
                seen={**objects, **history.seen},
                read_back=(history.read_back or moment) if contained else None,
                in_doubt=False,
                reason=_text(body, "reason"),
            )
        case "step.closed":
            verdict = Verdict(_text(body, "verdict"))
            return replace(
                history,
                closed=True,
                settled=body.get("settled") is True,
                verdict=verdict,
                grade=Grade(_text(body, "grade")),
                reason=_text(body, "reason"),
                proven=moment if verdict is Verdict.CONTAINED else None,
            )
        case "step.reverted":
            objects = body["objects"]
            if not isinstance(objects, Mapping):
                raise TypeError("objects is not an object")
            outcomes = {key: str(value) for key, value in objects.items()}
            return replace(
                history,
                reverted={**history.reverted, **outcomes},
                accepted=history.accepted or moment,
                read_back=moment,
                in_doubt=False,
            )
        case _:
            return history


def first(records: Iterable[Record], record_type: str) -> Record | None:
    """Return the first record of a type."""
    return next((record for record in records if record.type == record_type), None)


def text_of(body: JsonObject, key: str) -> str:
    """Return a text field of a record's body.

    Raises:
        RecordDamaged: the field is missing or no text.
    """
    value = body.get(key)
    if not isinstance(value, str):
        raise RecordDamaged(f"record field {key!r} is not a text")
    return value


def _text(body: JsonObject, key: str) -> str:
    value = body[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is not a text")
    return value


def _integer(body: JsonObject, key: str) -> int:
    value = body[key]
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{key} is not an integer")
    return value
