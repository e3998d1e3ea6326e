"""Tells how incidents stand, from their folders alone: no kit, no key, no SDK."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from breakglass.canon import JsonObject
from breakglass.errors import BreakglassError
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.history import first, replay
from breakglass.model.action import Verdict
from breakglass.model.records import Record
from breakglass.usecases.judgement import records_of


@dataclass(frozen=True, slots=True)
class RunStatus:
    """One run in one line."""

    incident: str
    run: str
    """Empty for the stop itself."""
    agent: str
    verb: str
    drill: bool
    stage: str
    """planned, waiting for signatures, running or interrupted, ended, damaged."""
    verdict: Verdict | None
    """None while the run has not ended."""
    steps_proven: int
    steps_started: int
    issued_at: str
    path: str
    problem: str = ""

    def to_json(self) -> JsonObject:
        """Return the line as JSON."""
        from breakglass.shape import encode

        return encode(self)  # type: ignore[return-value]  # a dataclass encodes to an object


def status(home: Path) -> Iterator[RunStatus]:
    """Tell of every incident in the home folder, newest last; damage is told and stops nothing."""
    if not home.is_dir():
        return
    folders = [path for path in home.iterdir() if path.is_dir() and not path.is_symlink()]
    for path in sorted(folders, key=lambda folder: folder.stat().st_mtime):
        yield from status_of(IncidentFolder(path))


def status_of(folder: IncidentFolder) -> Iterator[RunStatus]:
    """Tell of every run of one incident."""
    yield _run(folder, folder.path.name, "")
    for run in folder.runs():
        yield _run(run, folder.path.name, run.path.name)


def _run(folder: IncidentFolder, incident: str, name: str) -> RunStatus:
    try:
        records = records_of(folder) if folder.journal.exists() or folder.is_sealed() else ()
        return _from_records(folder, incident, name, records)
    except BreakglassError as error:
        return RunStatus(
            incident, name, "", "", drill=False, stage="damaged", verdict=None, steps_proven=0,
            steps_started=0, issued_at="", path=str(folder.path), problem=str(error),
        )  # fmt: skip


def _from_records(folder: IncidentFolder, incident: str, name: str, records: tuple[Record, ...]) -> RunStatus:
    opened = first(records, "run.opened")
    body = opened.body if opened is not None else (records[0].body if records else {})
    sealed = first(tuple(reversed(records)), "run.sealed")
    histories = replay(records)
    return RunStatus(
        incident=str(body.get("incident", incident)),
        run=name,
        agent=str(body.get("agent", "")),
        verb=str(body.get("verb", "")),
        drill=body.get("drill") is True,
        stage=_stage(folder, records),
        verdict=Verdict(str(sealed.body["verdict"])) if sealed is not None and folder.is_sealed() else None,
        steps_proven=sum(1 for item in histories.values() if item.is_proven),
        steps_started=len(histories),
        issued_at=str(records[0].at) if records else "",
        path=str(folder.path),
    )


def _stage(folder: IncidentFolder, records: tuple[Record, ...]) -> str:
    if folder.is_sealed():
        return "ended"
    if first(records, "plan.claimed") is not None:
        interrupted = records[-1].type == "run.interrupted"
        return (
            "interrupted: breakglass resume goes on" if interrupted else "running, or died: breakglass resume"
        )
    if first(records, "run.opened") is not None:
        return "waiting for signatures"
    return "planned"
