"""Goes on with a run that did not end: after Ctrl-C, kill -9 or a power cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from breakglass import __version__
from breakglass.canon import Json
from breakglass.errors import NotAuthorised, RecordDamaged, UsageError
from breakglass.execute.context import StepEvent
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.history import first, replay
from breakglass.journal.ledger import Ledger
from breakglass.journal.reader import read_journal
from breakglass.journal.writer import Journal
from breakglass.keys.signer import Signer
from breakglass.model.plan import Verb, plan_digest
from breakglass.model.records import Record
from breakglass.usecases.connections import LateJournal
from breakglass.usecases.contain import take_from_exchange
from breakglass.usecases.judgement import require_plan
from breakglass.usecases.mirrors import Mirrors, open_mirrors
from breakglass.usecases.prepare import lay_out
from breakglass.usecases.restore import connect_planned, prior_states, read_plan
from breakglass.usecases.run import (
    Finished,
    Run,
    boot_id,
    carry_out,
    name_of,
    record_issued,
    record_opened,
    seal_run,
)
from breakglass.usecases.site import Site


def unfinished(folder: IncidentFolder) -> IncidentFolder:
    """Return the run of an incident that has not ended: the newest that is not sealed.

    Raises:
        UsageError: every run has ended, or the newest died before it had a plan.
    """
    for run in reversed((folder, *folder.runs())):
        if run.is_sealed() or not run.journal.exists():
            continue
        if not run.plan.exists():
            raise UsageError(
                "this run died before it had a plan; nothing was changed",
                where=str(run.path),
                remedy="breakglass stop AGENT",
            )
        return run
    raise UsageError(
        "every run of this incident has ended", where=str(folder.path), remedy="breakglass status"
    )


def resume(
    site: Site,
    folder: IncidentFolder,
    ledger: Ledger,
    log_key: Signer,
    *,
    observer: Callable[[StepEvent], None],
    cancelled: Callable[[], bool],
) -> Finished:
    """Settle what is in doubt and carry the rest out, on the signatures that lie in the folder.

    Raises:
        UsageError: the run has ended, or died before it had a plan.
        NotAuthorised: its time is over, the signatures are too few, or the claim is not ours.
        RecordDamaged: its journal does not verify, or it ended before and its end was cut off.
    """
    run_folder = unfinished(folder)
    folder.require_own()
    run_folder.require_own()
    plan, raw = read_plan(run_folder)
    trusted = site.trusted_roster(highest_seen=ledger.highest_roster(plan.org))
    journal = Journal.reopen(run_folder.journal, site.clock, watch=site.watch)
    mirrors = Mirrors()
    try:
        records = read_journal(run_folder.journal).records
        require_plan(records, plan_digest(raw), run_folder)
        run = Run(site, plan, raw, run_folder, journal, trusted, name_of(run_folder))
        run.started_at = ledger.claimed_at(run.digest, plan.nonce, run.claim_name)
        run.claim_recorded = first(records, "plan.claimed") is not None
        run.seen.update(_recorded(records))
        run.mirrors = mirrors = open_mirrors(site)
        _require_claim(run, ended=bool(records) and records[-1].type == "run.sealed")
        if records and records[-1].type == "run.sealed":
            journal.close()
            mirrors.copy(run.folder, run.run_name, plan.incident)
            return seal_run(run, ledger, log_key)
        _require_open(run, ledger)
        _go_on(run, records)
        if run.started_at is None:
            take_from_exchange(run)
        return _carry_on(run, folder, records, ledger, log_key, observer=observer, cancelled=cancelled)
    finally:
        mirrors.close()
        journal.close()


def _require_claim(run: Run, *, ended: bool) -> None:
    """Hold the journal against the state folder, which no folder of an incident can overrule.

    Raises:
        NotAuthorised: the run claimed its plan, or ended, and the state folder knows nothing of it.
    """
    if (run.claim_recorded or ended) and run.started_at is None:
        raise NotAuthorised(
            "this run says that it claimed its plan, and this executor knows of no such claim",
            where=str(run.folder.path),
            remedy=f"breakglass stop {run.plan.agent}",
        )


def _require_open(run: Run, ledger: Ledger) -> None:
    """Refuse to go on with a run that was sealed once. Raises RecordDamaged."""
    if (run.plan.incident, run.run_name) in ledger.seals():
        raise RecordDamaged(
            "this run has ended before, and its journal does not say so any more",
            where=str(run.folder.journal),
            remedy=f"breakglass journal verify {run.folder.path}",
        )


def _go_on(run: Run, records: Sequence[Record]) -> None:
    """Write what the process that died did not come to, and that this one goes on."""
    if not records:
        record_issued(run.site, run.journal, run.plan.agent, run.plan.verb)
    doubt: Json = [n for n, step in sorted(replay(records).items()) if step.in_doubt]
    run.journal.append(
        "run.resumed", {"tool": f"breakglass {__version__}", "boot": boot_id(), "in_doubt": doubt}
    )
    if first(records, "run.opened") is None:
        lay_out(run.site, run.folder, run.trusted)
        record_opened(run)


def _carry_on(  # noqa: PLR0913 - as `resume`, and what it read
    run: Run,
    folder: IncidentFolder,
    records: Sequence[Record],
    ledger: Ledger,
    log_key: Signer,
    *,
    observer: Callable[[StepEvent], None],
    cancelled: Callable[[], bool],
) -> Finished:
    plan = run.plan
    prior: Mapping[int, Mapping[str, Json]] = prior_states(folder, plan) if plan.verb is Verb.RESTORE else {}
    connected = connect_planned(run.site, folder, plan, LateJournal(run.journal))
    try:
        return carry_out(
            run,
            connected.providers,
            ledger,
            log_key,
            observer=observer,
            cancelled=cancelled,
            prior=prior,
            history=replay(records),
        )
    finally:
        connected.close()


def _recorded(records: Sequence[Record]) -> set[str]:
    """Return the persons whose signatures were recorded before, so that they are not recorded again."""
    return {str(record.body.get("person")) for record in records if record.type == "signature.accepted"}
