"""Stops an agent: from the word of the operator to a sealed journal, interactively or from a script."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from breakglass.authorise.policy import rule_for
from breakglass.authorise.quorum import QuorumNotMet, QuorumVerdict, SignatureFile, evaluate, examine
from breakglass.authorise.rejection import Rejection
from breakglass.authorise.roster_chain import TrustedRoster
from breakglass.canon import Json, sha256
from breakglass.errors import SignaturesMissing, UsageError
from breakglass.execute.context import StepEvent
from breakglass.incident.folder import IncidentFolder, may_stand
from breakglass.journal.checkpoint import SIGNATURE
from breakglass.journal.durable import read_given, read_regular
from breakglass.journal.ledger import Ledger
from breakglass.journal.writer import Journal
from breakglass.keys.sshsig import namespace
from breakglass.model.plan import MAX_PLAN_BYTES, Plan, Verb, plan_digest
from breakglass.plan.findings import MAX_OBSERVATIONS_BYTES
from breakglass.usecases.approve import (
    MAX_SIGNATURE_FILE_BYTES,
    collect,
    exchange_of,
    publish,
    rejection_in,
    rejections,
)
from breakglass.usecases.connections import Connected, LateJournal, Surroundings, connect, planned_reaches
from breakglass.usecases.kit_plan import require_of_kit
from breakglass.usecases.prepare import Prepared, StopRequest, lay_out, prepare
from breakglass.usecases.run import Finished, Run, begin, carry_out, count_signatures, limits, open_run
from breakglass.usecases.second import refuse_second
from breakglass.usecases.site import Site

POLL_S = 0.2
Observer = Callable[[StepEvent], None]
Cancelled = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Opened:
    """A run whose plan waits for signatures, with everything that is warm already."""

    run: Run
    connected: Connected
    ledger: Ledger
    request: str | None
    """The pasteable string; None where the plan is too long for one."""
    prior: Mapping[int, Mapping[str, Json]] = field(default_factory=dict)
    """For a restore: what the stop saw before it changed anything, by step."""

    def close(self) -> None:
        """Let go of everything; the journal of a run that did not start stays unsealed."""
        self.connected.close()
        self.run.mirrors.close()
        self.run.journal.close()
        self.ledger.close()


def new_incident(random_bytes: Callable[[int], bytes]) -> str:
    """Return a new incident id: short enough to be read aloud."""
    return f"inc-{base64.b32encode(random_bytes(5)).decode().lower()}"


def new_folder(site: Site, keep: Path | None, incident: str) -> IncidentFolder:
    """Make the incident's folder: `keep` itself, or one in the home folder."""
    return IncidentFolder.create(keep if keep is not None else site.home / incident)


def open_stop(
    site: Site,
    request: StopRequest,
    folder: IncidentFolder,
    incident: str,
    random_bytes: Callable[[int], bytes],
) -> Opened:
    """Issue the stop, plan it, and lay the request out. Changes nothing in the world.

    Raises:
        BreakglassError: it cannot be planned; nothing was changed.
    """
    ledger = site.open_ledger()
    journal: Journal | None = None
    try:
        site.agent(request.agent)
        refuse_second(site, ledger, request.agent, incident)
        highest = ledger.highest_roster(site.kit.settings.org)
        journal = begin(site, folder, request.agent, Verb.CONTAIN)
        prepared = prepare(site, request, folder, incident, random_bytes, highest_seen=highest)
        return _opened(site, prepared, journal, ledger)
    except BaseException:
        if journal is not None:
            journal.close()
        ledger.close()
        raise


def _opened(site: Site, prepared: Prepared, journal: Journal, ledger: Ledger) -> Opened:
    run = open_run(site, prepared, journal)
    text = publish(prepared.folder, prepared.raw, exchange_of(site.kit.settings.exchange, run.claim_name))
    return Opened(run, prepared.connected, ledger, text)


def open_signed(site: Site, plan_file: Path, signatures: Sequence[Path], keep: Path | None) -> Opened:
    """Open the run of a plan that was made and signed before; exactly that plan will run.

    ``observations.json`` must lie beside the plan, since its digest is signed.

    Raises:
        SignaturesMissing: no signature was given.
        NotAuthorised: the signatures are not enough; no folder was made.
    """
    if not signatures:
        raise SignaturesMissing("a plan without signatures", remedy="--signature FILE, once for each person")
    raw = read_given(plan_file, max_bytes=MAX_PLAN_BYTES)
    plan = Plan.from_bytes(raw, where=str(plan_file))
    files = [
        SignatureFile(
            f"{path.name.removesuffix('.sig')}.sig", read_given(path, max_bytes=MAX_SIGNATURE_FILE_BYTES)
        )
        for path in signatures
    ]
    beside = plan_file.absolute().parent
    observed = _observations(beside, plan)
    ledger = site.open_ledger()
    journal: Journal | None = None
    try:
        trusted = site.trusted_roster(highest_seen=ledger.highest_roster(plan.org))
        _check_quorum(site, raw, files, ledger, trusted)
        folder = new_folder(site, keep, plan.incident)
        # All that `resume` needs lies there before the first record.
        _bring_sealed(beside / "sealed", folder.sealed)
        folder.write("observations.json", observed)
        for n, file in enumerate(files):
            # Two files may have one name, in two folders; and not every name may stand in ours.
            twin = sum(other.name == file.name for other in files) > 1 or file.name == SIGNATURE
            folder.write(f"signature-{n}.sig" if twin or not may_stand(file.name) else file.name, file.data)
        folder.write("plan.json", raw)
        journal = begin(site, folder, plan.agent, plan.verb)
        lay_out(site, folder, trusted)
        late = LateJournal()
        agent = site.agent(plan.agent).ref
        surroundings = Surroundings(
            agent, plan.incident, plan.drill, site.clock, folder, site.credentials, plan.since
        )
        connected = connect(planned_reaches(plan), surroundings, late)
        run = open_run(site, Prepared(plan, raw, folder, connected, trusted, late), journal)
        return Opened(run, connected, ledger, None)
    except BaseException:
        if journal is not None:
            journal.close()
        ledger.close()
        raise


def _check_quorum(
    site: Site, raw: bytes, files: Sequence[SignatureFile], ledger: Ledger, trusted: TrustedRoster
) -> None:
    """Refuse before anything is made; the same check runs again when the plan is claimed."""
    plan = Plan.from_bytes(raw, where="plan")
    if plan.verb is not Verb.CONTAIN:
        raise UsageError(f"this plan is for {plan.verb}", remedy="breakglass restore INCIDENT")
    require_of_kit(plan, site.kit)
    _, verdict = examine(raw, files, trusted, limits(site, plan, ledger), site.clock.now())
    if not verdict.met:
        raise QuorumNotMet(verdict, where=plan.plan_id)
    ledger.require_unused(plan_digest(raw), plan.nonce)
    refuse_second(site, ledger, plan.agent, plan.incident)


def _observations(beside: Path, plan: Plan) -> bytes:
    path = beside / "observations.json"
    if not path.is_file():
        raise UsageError(
            "the plan's observations.json is not beside it",
            where=str(path),
            remedy="keep the two files together",
        )
    data = read_regular(path, max_bytes=MAX_OBSERVATIONS_BYTES)
    if sha256(data) != plan.observations_sha256:
        raise UsageError("these are not the observations that the plan was made from", where=str(path))
    return data


def _bring_sealed(source: Path, target: Path) -> None:
    """Bring what planning had to keep, e.g. the commitment's bytes of a token; each is checked when used."""
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, target, symlinks=True)
        target.chmod(0o700)


def await_signatures(
    opened: Opened,
    *,
    seen: Callable[[QuorumVerdict, Sequence[Rejection]], None],
    cancelled: Cancelled,
) -> bool:
    """Wait until enough persons signed; return False when the operator gave up.

    `seen` is told of every change. Signatures come by the exchange, or are laid into the folder.

    Raises:
        NotAuthorised: the plan expired, or cannot be run whoever signs.
    """
    run = opened.run
    last: object = None
    while not cancelled():
        take_from_exchange(run)
        verdict = count_signatures(run, opened.ledger)
        refused = rejections(run.folder, run.digest, run.trusted.roster)
        if (verdict, refused) != last:
            last = (verdict, refused)
            seen(verdict, refused)
        if verdict.met:
            return True
        run.site.clock.sleep(POLL_S)
    return False


def take_from_exchange(run: Run) -> None:
    """Take from the exchange what came, and first of all what counts."""
    plan, roster = run.plan, run.trusted.roster
    rule = rule_for(plan, run.trusted)
    space = namespace("plan", plan.org)

    def counts(data: bytes) -> bool:
        file = SignatureFile("exchange", data)
        return bool(
            evaluate(run.raw, space, [file], roster=roster, rule=rule, now=run.site.clock.now()).signed
        )

    def refuses(data: bytes) -> bool:
        return rejection_in(data, run.digest, roster) is not None

    exchange = exchange_of(run.site.kit.settings.exchange, run.claim_name)
    collect(run.folder, exchange, roster, counts, refuses)


def finish(
    opened: Opened,
    environ: Mapping[str, str],
    *,
    observer: Observer,
    cancelled: Cancelled,
) -> Finished:
    """Carry the authorised plan out and seal the run.

    Raises:
        NotAuthorised: too few signatures; nothing was changed.
        StopInProgress: this agent is being stopped already; nothing was changed.
    """
    return carry_out(
        opened.run,
        opened.connected.providers,
        opened.ledger,
        opened.run.site.log_key(environ),
        observer=observer,
        cancelled=cancelled,
        prior=opened.prior,
    )
