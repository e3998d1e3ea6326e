"""Runs a plan from the moment that it is issued to its sealed journal: signatures, claim, steps, verdict."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from breakglass import __version__
from breakglass.authorise.quorum import Limits, QuorumVerdict, SignatureFile, authorise, examine
from breakglass.authorise.roster_chain import TrustedRoster
from breakglass.canon import Json, sha256
from breakglass.clock import Instant
from breakglass.errors import NotAuthorised
from breakglass.execute.context import StepEvent
from breakglass.execute.engine import Ports, execute
from breakglass.execute.telling import Telling
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.checkpoint import origin
from breakglass.journal.history import StepHistory
from breakglass.journal.ledger import Ledger, Running
from breakglass.journal.reader import read_journal
from breakglass.journal.sealing import seal
from breakglass.journal.writer import Journal
from breakglass.keys.signer import Signer
from breakglass.model.authorised import AuthorisedPlan
from breakglass.model.plan import Mode, Plan, Verb, plan_digest
from breakglass.provider import Provider
from breakglass.report.build import Report
from breakglass.usecases.claims import claim_of
from breakglass.usecases.close_again import close_again
from breakglass.usecases.judgement import judge, report_of
from breakglass.usecases.look_again import look_again
from breakglass.usecases.mirrors import Claim, Mirrors, open_mirrors
from breakglass.usecases.prepare import Prepared
from breakglass.usecases.site import Site

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(slots=True)
class Run:
    """A run that is open: its folder, its journal, and which signatures were recorded already."""

    site: Site
    plan: Plan
    raw: bytes
    folder: IncidentFolder
    journal: Journal
    trusted: TrustedRoster
    run_name: str = ""
    """Empty for the stop itself, else the folder in ``runs/``."""
    started_at: Instant | None = None
    """When the plan was claimed; only a resume can have one."""
    claim_recorded: bool = False
    """A run may have died between its claim and the record of it."""
    seen: set[str] = field(default_factory=set)
    mirrors: Mirrors = field(default_factory=Mirrors)

    @property
    def digest(self) -> str:
        """Return the plan's digest."""
        return plan_digest(self.raw)

    @property
    def claim_name(self) -> str:
        """Return under which name the state folder remembers this run."""
        return claim_name(self.plan, self.run_name)


@dataclass(frozen=True, slots=True)
class Finished:
    """What a run came to."""

    report: Report
    folder: IncidentFolder
    sealed: bool
    """False: interrupted; `resume` goes on."""
    unmirrored: tuple[str, ...] = ()
    """Mirrors that do not hold all of this run, and why."""


def claim_name(plan: Plan, run_name: str) -> str:
    """Return under which name the state folder remembers a run: the stop itself has no name of its own."""
    return f"{plan.incident}/{run_name}" if run_name else plan.incident


def boot_id() -> str:
    """Return the kernel's boot id, so that monotonic times of two boots are never compared; else empty."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def begin(site: Site, folder: IncidentFolder, agent: str, verb: Verb) -> Journal:
    """Open the journal before anything is planned: from its first record on the stop counts as issued."""
    journal = Journal.create(folder.journal, site.clock, watch=site.watch)
    record_issued(site, journal, agent, verb)
    return journal


def record_issued(site: Site, journal: Journal, agent: str, verb: Verb) -> None:
    """Write that somebody gave the word."""
    journal.append(
        "stop.issued",
        {"agent": agent, "verb": verb.value, "executor": site.executor().name, "boot": boot_id()},
    )


def open_run(site: Site, prepared: Prepared, journal: Journal) -> Run:
    """Record the plan that signatures are now asked for."""
    folder = prepared.folder
    run = Run(site, prepared.plan, prepared.raw, folder, journal, prepared.trusted, name_of(folder))
    run.mirrors = open_mirrors(site)
    record_opened(run)
    prepared.evidence.attach(journal)
    return run


def name_of(folder: IncidentFolder) -> str:
    """Return the name of a later run, or nothing for the stop itself."""
    return folder.path.name if folder.path.parent.name == "runs" else ""


def record_opened(run: Run) -> None:
    """Write which plan this run is about."""
    plan = run.plan
    run.journal.append(
        "run.opened",
        {
            "incident": plan.incident,
            "agent": plan.agent,
            "verb": plan.verb.value,
            "plan_sha256": run.digest,
            "parent": plan.parent,
            "executor": run.site.executor().name,
            "tool": f"breakglass {__version__}",
            "drill": plan.drill,
            "boot": boot_id(),
        },
    )


def limits(site: Site, plan: Plan, ledger: Ledger, started_at: Instant | None = None) -> Limits:
    """Return what this executor holds against a plan; `started_at` is set by a resume."""
    return Limits(
        executor=site.executor().name,
        mode=Mode.EXECUTE,
        known_actions=_known_actions(plan),
        drill=site.drill,
        last_record_at=ledger.last_record_at(),
        started_at=started_at,
    )


def _known_actions(plan: Plan) -> frozenset[str]:
    from breakglass import registry

    names = {reach.provider for reach in plan.reaches}
    return frozenset(spec.name for name in names for spec in registry.card(name).specs)


def count_signatures(run: Run, ledger: Ledger) -> QuorumVerdict:
    """Judge the signatures in the folder so far and record those that are new. Raises NotAuthorised."""
    files = [SignatureFile(name, data) for name, data in run.folder.signatures()]
    _, verdict = examine(
        run.raw, files, run.trusted, limits(run.site, run.plan, ledger, run.started_at), run.site.clock.now()
    )
    _record(run, files, verdict)
    return verdict


def _record(run: Run, files: Sequence[SignatureFile], verdict: QuorumVerdict) -> None:
    for signed in verdict.signed:
        if signed.person not in run.seen:
            run.seen.add(signed.person)
            run.journal.append(
                "signature.accepted",
                {"person": signed.person, "key": signed.fingerprint, "sha256": signed.sha256},
            )
    digests = {file.name: sha256(file.data) for file in files}
    for name, reason in verdict.rejected:
        if digests.get(name, name) not in run.seen:
            run.seen.add(digests.get(name, name))
            run.journal.append("signature.refused", {"file": name, "reason": reason})


def carry_out(  # noqa: PLR0913 - each comes from another hand
    run: Run,
    providers: Mapping[int, Provider],
    ledger: Ledger,
    log_key: Signer,
    *,
    observer: Callable[[StepEvent], None],
    cancelled: Callable[[], bool],
    prior: Mapping[int, Mapping[str, Json]] | None = None,
    history: Mapping[int, StepHistory] | None = None,
) -> Finished:
    """Authorise, claim, execute, judge, seal.

    Raises:
        NotAuthorised: the signatures or the plan do not allow it; nothing was changed.
        StopInProgress: another run holds the agent's lock; nothing was changed.
        DiskRefused: the journal could not be written; nothing more was changed.
    """
    plan = run.plan
    require_ours(plan, ledger)
    count_signatures(run, ledger)
    files = [SignatureFile(name, data) for name, data in run.folder.signatures()]
    authorised = authorise(
        run.raw, files, run.trusted, limits(run.site, run.plan, ledger, run.started_at), run.site.clock.now()
    )
    with ledger.lock_agent(plan.agent, plan.incident):
        _claim(run, authorised, ledger, log_key)
        run.mirrors.copy(run.folder, run.run_name, plan.incident)
        telling = Telling(observer)
        ports = Ports(run.site.clock, run.journal, telling, cancelled, random.Random())  # noqa: S311 - jitter
        try:
            done = execute(authorised, providers, ports, history=history, prior=prior)
            if done and plan.verb is Verb.CONTAIN:
                done = close_again(run.folder, authorised, providers, ports)
        finally:
            telling.close()
        if not done:
            run.journal.append("run.interrupted", {"reason": "cancelled by the operator"})
            run.journal.close()
            return Finished(report_of(run.folder, plan, run.digest), run.folder, sealed=False)
        if plan.verb is Verb.CONTAIN:
            look_again(run.plan, run.folder, run.journal, providers)
        return _seal(run, ledger, log_key)


def require_ours(plan: Plan, ledger: Ledger) -> None:
    """Require that a restore undoes a stop that this executor sealed: its prior states are not signed.

    Raises:
        NotAuthorised: the folder of the stop is not the one that was sealed here.
    """
    if plan.verb is Verb.RESTORE and ledger.seals().get((plan.incident, "")) != plan.parent:
        raise NotAuthorised(
            f"this executor never sealed such a stop as incident {plan.incident}",
            remedy="restore where the stop ran, from its own folder",
        )


def _claim(run: Run, authorised: AuthorisedPlan, ledger: Ledger, log_key: Signer) -> None:
    roster = run.trusted
    ledger.remember_roster(run.plan.org, roster.roster.version, roster.sha256)
    body = claim_of(run.plan, run.digest, run.run_name, run.site.executor().name, ledger.identity())
    run.mirrors.claim(Claim(body, log_key, roster.roster, run.plan.verb is Verb.CONTAIN), run.journal)
    if run.started_at is None:
        until = run.site.clock.now().plus(run.plan.max_run_s)
        about = Running(run.plan.agent, str(run.folder.path.absolute()), until)
        ledger.claim(run.digest, run.plan.nonce, run.claim_name, about)
    if not run.claim_recorded:
        signers: Json = [{"person": item.person, "key": item.fingerprint} for item in authorised.signers]
        run.journal.append(
            "plan.claimed", {"plan_sha256": run.digest, "nonce": run.plan.nonce, "signers": signers}
        )


def _seal(run: Run, ledger: Ledger, log_key: Signer) -> Finished:
    assessment = judge(run.plan, read_journal(run.folder.journal).records, ending=True)
    still_open: Json = [
        {"kind": item.kind, "name": item.name, "verdict": item.verdict.value} for item in assessment.open
    ]
    run.mirrors.record_state(run.journal)
    run.journal.append("run.sealed", {"verdict": assessment.verdict.value, "open": still_open})
    run.journal.close()
    return seal_run(run, ledger, log_key)


def seal_run(run: Run, ledger: Ledger, log_key: Signer) -> Finished:
    """Write the report of a journal that ended, and sign its checkpoint last: safe to repeat until then."""
    plan = run.plan
    report = report_of(run.folder, plan, run.digest)
    seal(
        run.folder.path,
        origin=origin(plan.org, run.site.executor().name, plan.incident, run.run_name),
        signer=log_key,
        remember=lambda checkpoint: ledger.record_seal(plan.incident, run.run_name, checkpoint),
    )
    return Finished(report, run.folder, sealed=True, unmirrored=tuple(run.mirrors.finish(run.folder)))
