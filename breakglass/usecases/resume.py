"""Goes on with a run that did not end: after Ctrl-C, kill -9 or a power cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from breakglass import __version__
from breakglass.canon import Json
from breakglass.errors import NotAuthorised, UsageError
from breakglass.execute.context import StepEvent
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.history import first, replay
from breakglass.journal.ledger import Ledger
from breakglass.journal.reader import read_journal
from breakglass.journal.writer import Journal
from breakglass.keys.signer import Signer
from breakglass.model.plan import MAX_PLAN_BYTES, Plan, Verb, plan_digest
from breakglass.model.records import Record
from breakglass.usecases.connections import LateJournal
from breakglass.usecases.restore import connect_planned, prior_states
from breakglass.usecases.run import Finished, Run, boot_id, carry_out, seal_run
from breakglass.usecases.site import Site


def unfinished(folder: IncidentFolder) -> IncidentFolder:
    """Return the run of an incident that has not ended: the newest that is not sealed.

    Raises:
        UsageError: every run has ended.
    """
    for run in reversed((folder, *folder.runs())):
        if not run.is_sealed() and run.journal.exists():
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
    """Settle what is in doubt and carry the rest out, on the signatures that were claimed.

    Raises:
        UsageError: the run has ended, or never began to change anything.
        NotAuthorised: its time is over, or the claim is not ours.
    """
    from breakglass.journal.durable import read_regular

    run_folder = unfinished(folder)
    raw = read_regular(run_folder.plan, max_bytes=MAX_PLAN_BYTES)
    plan = Plan.from_bytes(raw, where=str(run_folder.plan))
    read = read_journal(run_folder.journal)
    records = read.records
    name = run_folder.path.name if run_folder.path.parent.name == "runs" else ""
    claim = f"{plan.incident}/{name}" if name else plan.incident
    claimed_at = ledger.claimed_at(plan_digest(raw), plan.nonce, claim)
    if claimed_at is None:
        raise NotAuthorised(
            "this run was never authorised, so there is nothing to go on with",
            where=str(run_folder.path),
            remedy=f"breakglass stop {plan.agent}",
        )
    trusted = site.trusted_roster(highest_seen=ledger.highest_roster(plan.org))
    journal = Journal.reopen(run_folder.journal, site.clock)
    run = Run(site, plan, raw, run_folder, journal, trusted, name, started_at=claimed_at)
    run.claim_recorded = first(records, "plan.claimed") is not None
    if records[-1].type == "run.sealed" and not read.torn_tail:
        journal.close()
        return seal_run(run, ledger, log_key)
    history = replay(records)
    doubt: Json = [n for n, step in sorted(history.items()) if step.in_doubt]
    journal.append("run.resumed", {"tool": f"breakglass {__version__}", "boot": boot_id(), "in_doubt": doubt})
    run.seen.update(_recorded(records))
    connected = connect_planned(site, folder, plan, LateJournal(journal))
    prior: Mapping[int, Mapping[str, Json]] = prior_states(folder, plan) if plan.verb is Verb.RESTORE else {}
    try:
        return carry_out(
            run,
            connected.providers,
            ledger,
            log_key,
            observer=observer,
            cancelled=cancelled,
            prior=prior,
            history=history,
        )
    finally:
        connected.close()


def _recorded(records: Sequence[Record]) -> set[str]:
    """Return the persons whose signatures were recorded before, so that they are not recorded again."""
    return {str(record.body.get("person")) for record in records if record.type == "signature.accepted"}
