"""Prepares the undo of a stop: a plan of its own, on two signatures of its own, built from the journal."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from breakglass.authorise.roster_chain import TrustedRoster
from breakglass.canon import Json, sha256
from breakglass.errors import NotAuthorised, UsageError
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.durable import read_regular
from breakglass.journal.history import replay
from breakglass.journal.ledger import Ledger
from breakglass.journal.reader import read_sealed
from breakglass.model.plan import MAX_PLAN_BYTES, Pin, Plan, Verb, plan_digest
from breakglass.model.roster import RuleVerb
from breakglass.plan.restore import RestoreHeader, build_restore
from breakglass.usecases.approve import exchange_of, publish
from breakglass.usecases.connections import Connected, LateJournal, Surroundings, connect, planned_reaches
from breakglass.usecases.contain import Opened
from breakglass.usecases.judgement import require_plan
from breakglass.usecases.prepare import Prepared, lay_out
from breakglass.usecases.run import begin, open_run, require_ours
from breakglass.usecases.site import Site


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """What the operator asked for."""

    reason: str
    requested_by: str
    chosen: Mapping[str, str] = field(default_factory=dict)
    """What was chosen of what steps offer, as ``tokens: rotate``."""


def read_plan(folder: IncidentFolder) -> tuple[Plan, bytes]:
    """Return the plan of a run and its raw bytes. Raises MalformedInput."""
    raw = read_regular(folder.plan, max_bytes=MAX_PLAN_BYTES)
    return Plan.from_bytes(raw, where=str(folder.plan)), raw


def prepare_restore(
    site: Site,
    stop_folder: IncidentFolder,
    request: RestoreRequest,
    random_bytes: Callable[[int], bytes],
    *,
    highest_seen: int,
) -> Prepared:
    """Build the restore plan from the sealed stop and lay out its run's folder. Changes nothing.

    Raises:
        UsageError: the stop has not ended, changed nothing that can be put back, or offers no such choice.
        RecordDamaged: its journal does not verify; nothing is put back from a record that cannot be trusted.
        NotAuthorised: the roster cannot be trusted.
    """
    if not stop_folder.is_sealed():
        raise UsageError(
            "this stop has not ended",
            where=str(stop_folder.path),
            remedy=f"breakglass resume {stop_folder.path.name}",
        )
    stop, raw = read_plan(stop_folder)
    contents = read_sealed(stop_folder.path)
    require_plan(contents.records, plan_digest(raw), stop_folder)
    trusted = site.trusted_roster(highest_seen=highest_seen)
    plan, undone = build_restore(
        stop, replay(contents.records), _header(site, stop_folder, request, trusted, random_bytes)
    )
    if not undone:
        raise UsageError(
            "the stop changed nothing that can be put back",
            where=str(stop_folder.path),
            remedy="breakglass report",
        )
    folder = stop_folder.new_run("restore")
    raw = plan.to_bytes()
    folder.write("plan.json", raw)
    folder.write("observations.json", stop_folder.observations.read_bytes())
    lay_out(site, folder, trusted)
    late = LateJournal()
    return Prepared(plan, raw, folder, connect_planned(site, stop_folder, plan, late), trusted, late)


def open_restore(
    site: Site,
    stop_folder: IncidentFolder,
    request: RestoreRequest,
    random_bytes: Callable[[int], bytes],
) -> Opened:
    """Plan the undo and lay its request out for two signatures of its own. Changes nothing in the world.

    Raises:
        BreakglassError: as `prepare_restore`.
    """
    ledger = site.open_ledger()
    try:
        highest = ledger.highest_roster(site.kit.settings.org)
        _require_ours(stop_folder, ledger)
        prepared = prepare_restore(site, stop_folder, request, random_bytes, highest_seen=highest)
        journal = begin(site, prepared.folder, prepared.plan.agent, prepared.plan.verb)
        run = open_run(site, prepared, journal)
        text = publish(prepared.folder, prepared.raw, exchange_of(site.kit.settings.exchange, run.claim_name))
        prior = prior_states(stop_folder, prepared.plan)
    except BaseException:
        ledger.close()
        raise
    return Opened(run, prepared.connected, ledger, text, prior)


def _require_ours(stop_folder: IncidentFolder, ledger: Ledger) -> None:
    """Hold a sealed stop against the state folder before anybody is asked to sign its undo.

    What it would put back is not part of what people sign, so a forged folder could put back anything.
    """
    if stop_folder.is_sealed():
        stop_folder.require_own()
        checkpoint = read_regular(stop_folder.checkpoint, max_bytes=MAX_PLAN_BYTES)
        stop, _ = read_plan(stop_folder)
        require_ours(replace(stop, verb=Verb.RESTORE, parent=sha256(checkpoint)), ledger)


def connect_planned(site: Site, stop_folder: IncidentFolder, plan: Plan, late: LateJournal) -> Connected:
    """Connect the reaches of a plan; what was sealed lies in the stop's own folder."""
    surroundings = Surroundings(
        site.agent(plan.agent).ref,
        plan.incident,
        plan.drill,
        site.clock,
        stop_folder,
        site.credentials,
        plan.since,
    )
    return connect(planned_reaches(plan), surroundings, late)


def prior_states(stop_folder: IncidentFolder, restore: Plan) -> dict[int, Mapping[str, Json]]:
    """Return what the stop saw first of each object that it changed, by step of the restore plan.

    Raises:
        RecordDamaged: the stop's journal does not verify.
        NotAuthorised: the restore was not planned from this journal.
    """
    checkpoint = read_regular(stop_folder.checkpoint, max_bytes=MAX_PLAN_BYTES)
    if sha256(checkpoint) != restore.parent:
        raise NotAuthorised(
            "the restore was planned from another journal than this one", where=str(stop_folder.checkpoint)
        )
    stop, raw = read_plan(stop_folder)
    require_plan(read_sealed(stop_folder.path).records, plan_digest(raw), stop_folder)
    histories = replay(read_sealed(stop_folder.path).records)
    by_target = {(step.reach, step.action, step.target.id): step.n for step in stop.steps}
    return {
        step.n: histories[by_target[step.reach, step.action, step.target.id]].prior for step in restore.steps
    }


def _header(
    site: Site,
    stop_folder: IncidentFolder,
    request: RestoreRequest,
    trusted: TrustedRoster,
    random_bytes: Callable[[int], bytes],
) -> RestoreHeader:
    rule = trusted.roster.rule(RuleVerb.RESTORE)
    if rule is None:
        raise NotAuthorised("the roster has no rule for restore", remedy="breakglass roster check")
    now = site.clock.now()
    checkpoint = read_regular(stop_folder.checkpoint, max_bytes=MAX_PLAN_BYTES)
    return RestoreHeader(
        plan_id=f"pln-{random_bytes(6).hex()}",
        reason=request.reason,
        requested_by=request.requested_by,
        issued_at=now,
        expires=now.plus(rule.max_ttl_s),
        nonce=base64.b64encode(random_bytes(16)).decode(),
        roster=Pin("roster", trusted.roster.version, trusted.sha256),
        parent=sha256(checkpoint),
        chosen=request.chosen,
    )
