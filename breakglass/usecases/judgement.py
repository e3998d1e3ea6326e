"""Judges a run from its records alone and builds its report, whoever asks and however often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from breakglass.errors import RecordDamaged
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.history import Moment, replay, text_of
from breakglass.journal.reader import read_journal, read_sealed
from breakglass.model.action import Verdict
from breakglass.model.plan import Plan
from breakglass.model.records import Record
from breakglass.report.build import Report, Truth, build
from breakglass.shape import decode
from breakglass.verify.judge import Assessment, Found, OpenItem, assess, worst


def found_in(records: Sequence[Record]) -> tuple[Found, ...]:
    """Return what the journal says was found unsigned."""
    return tuple(
        decode(Found, record.body, where=f"record {record.seq}")
        for record in records
        if record.type == "found.not_signed"
    )


def judge(plan: Plan, records: Sequence[Record], *, ending: bool = False) -> Assessment:
    """Judge a run from its records alone; the newest of them is the present.

    `ending` judges one that is about to be sealed; one that has not ended otherwise is never better than
    unknown, and one that has is never better than what was sealed.
    """
    now = Moment(records[-1].at, records[-1].monotonic_us) if records else None
    found = assess(plan, replay(records), found_in(records), now=now)
    if ending:
        return found
    said = _sealed_verdict(records)
    if said is None:
        return replace(
            found,
            verdict=worst((found.verdict, Verdict.UNKNOWN)),
            open=(*found.open, _not_ended(plan)),
        )
    return replace(found, verdict=worst((found.verdict, said)))


def _sealed_verdict(records: Sequence[Record]) -> Verdict | None:
    """Return what the run came to when it ended; None while it has not, or after it went on."""
    for record in reversed(records):
        if record.type == "run.sealed":
            try:
                return Verdict(text_of(record.body, "verdict"))
            except ValueError as error:
                raise RecordDamaged(f"record {record.seq} holds no verdict") from error
        if record.type in ("run.resumed", "run.interrupted"):
            return None
    return None


def _not_ended(plan: Plan) -> OpenItem:
    remedy = f"breakglass resume {plan.incident}"
    return OpenItem("run", plan.plan_id, "this run has not ended", remedy, "", Verdict.UNKNOWN)


def records_of(folder: IncidentFolder) -> tuple[Record, ...]:
    """Return what a run recorded; of one that ended, exactly what its checkpoint counted.

    Raises:
        RecordDamaged: the journal does not verify, or is not what was sealed.
    """
    return (read_sealed(folder.path) if folder.is_sealed() else read_journal(folder.journal)).records


def require_plan(records: Sequence[Record], digest: str, folder: IncidentFolder) -> None:
    """Require that the records are about this very plan.

    Raises:
        RecordDamaged: they name another, so plan.json or the journal was swapped.
    """
    for record in records:
        if record.type in ("run.opened", "plan.claimed") and record.body.get("plan_sha256") != digest:
            raise RecordDamaged(
                "plan.json is not the plan that the journal is about",
                where=str(folder.plan),
                remedy="do not use this folder; compare it with a copy",
            )


def report_of(folder: IncidentFolder, plan: Plan, digest: str, truth: Sequence[Truth] = ()) -> Report:
    """Build the report from the journal and write report.json."""
    records = read_journal(folder.journal).records
    assessment = judge(plan, records)
    report = build(plan, records, assessment, digest=digest, journal=folder.journal.name, truth=tuple(truth))
    folder.write("report.json", report.to_json())
    return report
