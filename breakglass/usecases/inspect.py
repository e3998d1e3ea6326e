"""Looks without changing anything: a plan to be signed later, what is really there, what was reported."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from pathlib import Path

from breakglass.canon import Json
from breakglass.errors import BreakglassError, NotAuthorised, RecordDamaged, UsageError
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.durable import read_regular, replace
from breakglass.model.plan import Plan, pack_settings, plan_digest, unpack_settings
from breakglass.model.resource import Reach
from breakglass.provider import Discovery
from breakglass.report.build import Report, Truth, build
from breakglass.shape import decode
from breakglass.usecases.approve import Difference, Request, recheck
from breakglass.usecases.connections import LateJournal, Surroundings, connect, planned_reaches
from breakglass.usecases.judgement import judge, records_of, require_plan
from breakglass.usecases.prepare import StopRequest, prepare
from breakglass.usecases.restore import read_plan
from breakglass.usecases.site import Site

MAX_REPORT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Looked:
    """What one reach of an agent holds now, or why it could not be read."""

    reach: Reach
    discovery: Discovery | None
    problem: str


@contextmanager
def _passing(parent: Path | None = None) -> Iterator[IncidentFolder]:
    """Give a private folder for what a provider must keep while it looks, and take it away again."""
    path = Path(tempfile.mkdtemp(prefix="breakglass-look-", dir=parent))
    try:
        yield IncidentFolder.create(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def plan_stop(
    site: Site,
    request: StopRequest,
    incident: str,
    random_bytes: Callable[[int], bytes],
    *,
    out: Path | None,
) -> tuple[Plan, bytes]:
    """Return the plan of a stop; with `out`, lay it there with all that `stop --plan` needs beside it.

    Raises:
        UsageError: something stands in the place already.
        BreakglassError: it cannot be planned.
    """
    if out is not None:
        _check_place(out)
    with _passing(out.absolute().parent if out is not None else None) as folder:
        prepared = prepare(site, request, folder, incident, random_bytes)
        prepared.connected.close()
        if out is not None:
            beside = out.absolute().parent
            if folder.sealed.is_dir():
                shutil.copytree(folder.sealed, beside / "sealed")
            replace(beside / "observations.json", folder.observations.read_bytes())
            for path, data in ((beside / "roster.json", folder.roster.read_bytes()), (out, prepared.raw)):
                replace(path.absolute(), data)
                path.chmod(0o644)  # whoever is asked to sign must be able to read it
        return prepared.plan, prepared.raw


def _check_place(out: Path) -> None:
    for path in (out, out.parent / "observations.json", out.parent / "sealed"):
        if path.exists():
            raise UsageError("is there already; a plan needs a folder of its own", where=str(path))
    if not out.absolute().parent.is_dir():
        raise UsageError("there is no such folder", where=str(out.parent))


def discover(site: Site, agent: str) -> tuple[Looked, ...]:
    """Look at each reach of an agent; what fails is said and stops no other."""
    found: list[Looked] = []
    entry = site.agent(agent)
    with _passing() as folder:
        surroundings = Surroundings(entry.ref, "look", site.drill, site.clock, folder, site.credentials)
        connected = connect(entry.reaches, surroundings, LateJournal())
        try:
            for n, reach in enumerate(entry.reaches):
                if n in connected.failures:
                    found.append(Looked(reach, None, _told(connected.failures[n])))
                    continue
                try:
                    found.append(Looked(reach, connected.providers[n].discover(), ""))
                except BreakglassError as error:
                    found.append(Looked(reach, None, _told(error)))
        finally:
            connected.close()
    return tuple(found)


def _told(error: BreakglassError) -> str:
    """Return where, what, and what to do next, as one line."""
    return f"{error}; {error.remedy}" if error.remedy else str(error)


def check_request(site: Site, request: Request) -> tuple[Difference, ...]:
    """Look at every target of a request with the credentials of whoever asks; name what differs.

    Anybody can have written a request. So only connections that our own kit has for this agent are made:
    a credential goes nowhere else, and what would have to be looked at elsewhere is named as different.

    Raises:
        NotAuthorised: the request is a drill and our kit is real, or the other way round.
    """
    plan = request.plan
    if plan.drill != site.drill:
        raise NotAuthorised("a drill and the real thing do not mix: this request is not of our kit")
    entry = site.agent(plan.agent)
    own = [(reach.provider, unpack_settings(pack_settings(reach.settings))) for reach in entry.reaches]
    reaches = planned_reaches(plan)
    ours = [n for n, reach in enumerate(reaches) if (reach.provider, dict(reach.settings)) in own]
    strange = tuple(
        Difference(step.n, step.target.label, "our kit has no such connection of this agent: not looked at")
        for step in plan.steps
        if step.reach not in ours
    )
    known = replace_fields(plan, steps=tuple(step for step in plan.steps if step.reach in ours))
    with _passing() as folder:
        surroundings = Surroundings(
            entry.ref, plan.incident, plan.drill, site.clock, folder, site.credentials, plan.since
        )
        connected = connect([reaches[n] for n in ours], surroundings, LateJournal())
        try:
            providers = {ours[n]: provider for n, provider in connected.providers.items()}
            return (*strange, *recheck(known, providers))
        finally:
            connected.close()


def read_report(folder: IncidentFolder) -> tuple[Report, Plan]:
    """Return the report of a run, computed again from its journal, and its plan. Writes nothing.

    Raises:
        UsageError: nothing was recorded.
        RecordDamaged: the journal does not verify.
    """
    if not folder.journal.exists():
        raise UsageError("no run was recorded here", where=str(folder.path), remedy="breakglass status")
    plan, raw = read_plan(folder)
    records = records_of(folder)
    require_plan(records, plan_digest(raw), folder)
    report = build(
        plan,
        records,
        judge(plan, records),
        digest=plan_digest(raw),
        journal=folder.journal.name,
        truth=_truth(folder),
    )
    return report, plan


def _truth(folder: IncidentFolder) -> tuple[Truth, ...]:
    """Return what a drill's sink saw: the only part of a report that no journal holds."""
    if not folder.report.exists():
        return ()
    where = str(folder.report)
    try:
        document = json.loads(read_regular(folder.report, max_bytes=MAX_REPORT_BYTES))
        truth: list[Json] = document["truth"]
    except (ValueError, KeyError, TypeError) as error:
        raise RecordDamaged("report.json does not read", where=where) from error
    return tuple(decode(Truth, item, where=where) for item in truth)
