"""Judges a run from its records alone and builds its report, whoever asks and however often."""

from __future__ import annotations

from collections.abc import Sequence

from breakglass.incident.folder import IncidentFolder
from breakglass.journal.history import replay
from breakglass.journal.reader import read_journal
from breakglass.model.plan import Plan
from breakglass.model.records import Record
from breakglass.report.build import Report, Truth, build
from breakglass.shape import decode
from breakglass.verify.judge import Assessment, Found, assess


def found_in(records: Sequence[Record]) -> tuple[Found, ...]:
    """Return what the journal says was found unsigned."""
    return tuple(
        decode(Found, record.body, where=f"record {record.seq}")
        for record in records
        if record.type == "found.not_signed"
    )


def judge(plan: Plan, records: Sequence[Record]) -> Assessment:
    """Judge a run from its records alone; the newest of them is the present."""
    now = records[-1].at if records else None
    return assess(plan, replay(records), found_in(records), now=now)


def report_of(folder: IncidentFolder, plan: Plan, digest: str, truth: Sequence[Truth] = ()) -> Report:
    """Build the report from the journal and write report.json."""
    records = read_journal(folder.journal).records
    assessment = judge(plan, records)
    report = build(plan, records, assessment, digest=digest, journal=folder.journal.name, truth=tuple(truth))
    folder.write("report.json", report.to_json())
    return report
