"""Refuses a second stop of an agent, but only where the first one is at it or can be resumed."""

from __future__ import annotations

from pathlib import Path

from breakglass.authorise.quorum import SignatureFile, examine
from breakglass.errors import BreakglassError, StopInProgress
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.durable import read_regular
from breakglass.journal.ledger import Ledger
from breakglass.journal.reader import read_journal
from breakglass.model.plan import MAX_PLAN_BYTES, Plan, plan_digest
from breakglass.usecases.connections import planned_reaches
from breakglass.usecases.judgement import require_plan
from breakglass.usecases.run import limits
from breakglass.usecases.site import Site


def refuse_second(site: Site, ledger: Ledger, agent: str, incident: str) -> None:
    """Refuse a stop of an agent that is being stopped, before anybody is asked to sign.

    Raises:
        StopInProgress: a process is at it, or began and can be resumed; nothing was touched.
    """
    with ledger.lock_agent(agent, incident):
        pass
    for name, folder in ledger.unfinished(agent, site.clock.now()):
        # What cannot be resumed, or is an undo, must not keep anybody from stopping the agent.
        if "/" not in name and _can_go_on(site, IncidentFolder(Path(folder)), ledger):
            raise StopInProgress(
                f"incident {name} began to stop {agent} and has not ended",
                where=folder,
                remedy=f"breakglass resume {name.partition('/')[0]}",
            )


def _can_go_on(site: Site, begun: IncidentFolder, ledger: Ledger) -> bool:
    """Return whether `resume` would take this run."""
    if begun.is_sealed():
        return False
    try:
        begun.require_own()
        raw = read_regular(begun.plan, max_bytes=MAX_PLAN_BYTES)
        plan = Plan.from_bytes(raw, where=str(begun.plan))
        require_plan(read_journal(begun.journal).records, plan_digest(raw), begun)
        files = [SignatureFile(name, data) for name, data in begun.signatures()]
        trusted = site.trusted_roster(highest_seen=ledger.highest_roster(plan.org))
        started_at = ledger.claimed_at(plan_digest(raw), plan.nonce, plan.incident)
        checked = limits(site, plan, ledger, started_at)
        planned_reaches(plan)
        return examine(raw, files, trusted, checked, site.clock.now())[1].met
    except BreakglassError:
        return False
