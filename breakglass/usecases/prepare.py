"""Prepares a stop: reads the world, builds the plan, lays out the incident's folder. Changes nothing."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from breakglass import registry
from breakglass.authorise.allowed_signers import allowed_signers
from breakglass.authorise.roster_chain import TrustedRoster
from breakglass.clock import Instant
from breakglass.errors import BreakglassError, NotAuthorised, ProviderError, Unreachable
from breakglass.incident.folder import IncidentFolder
from breakglass.model.action import ActionSpec, Capability
from breakglass.model.plan import Detection, NotPlanned, Pin, Plan, TwoPersonRule, plan_digest
from breakglass.model.resource import Reach, State, recordable
from breakglass.model.roster import RuleVerb
from breakglass.plan.builder import Header, build
from breakglass.plan.findings import Findings, ReachFindings, without
from breakglass.plan.order import Candidate, order
from breakglass.plan.readable import line, readable
from breakglass.provider import Discovery, Provider
from breakglass.usecases.connections import Connected, LateJournal, Surroundings, connect
from breakglass.usecases.side_by_side import side_by_side
from breakglass.usecases.site import Site

PLANNING_DEADLINE_S = 30.0
A_REACH_MORE_S = 0.5
"""Many reaches share the executor's cores, so that each gets its answer a little later."""


@dataclass(frozen=True, slots=True)
class StopRequest:
    """What the operator asked for."""

    agent: str
    runbook: str
    """Empty: the one that the agent's file names."""
    reason: str
    requested_by: str
    detection: Detection | None
    issued_at: Instant


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan that can be signed, its folder, and the connections that are warm already."""

    plan: Plan
    raw: bytes
    folder: IncidentFolder
    connected: Connected
    trusted: TrustedRoster
    evidence: LateJournal
    """To be told of the run's journal."""

    @property
    def digest(self) -> str:
        """Return the plan's digest."""
        return plan_digest(self.raw)


def prepare(
    site: Site,
    request: StopRequest,
    folder: IncidentFolder,
    incident: str,
    random_bytes: Callable[[int], bytes],
    *,
    highest_seen: int = 0,
) -> Prepared:
    """Discover, observe, build and write the plan.

    Raises:
        UsageError: no such agent or runbook.
        NotAuthorised: the roster cannot be trusted.
        Unreachable: nothing that the agent reaches can be read.
    """
    agent = site.agent(request.agent)
    runbook = site.kit.runbook(request.runbook or agent.runbook)
    trusted = site.trusted_roster(highest_seen=highest_seen)
    since = request.detection.started_at if request.detection else None
    surroundings = Surroundings(agent.ref, incident, site.drill, site.clock, folder, site.credentials, since)
    late = LateJournal()
    connected = connect(agent.reaches, surroundings, late)
    header = _header(site, request, trusted, incident, random_bytes)
    findings, used = _read(agent.reaches, connected, drill=site.drill)
    plan, observed = build(header, findings, runbook, agent.tools, agent.deployers)
    refused, alone = _preflight(plan, used)
    if alone:
        findings = without(findings, plan, alone)
    if refused:
        findings, used = _read(
            agent.reaches,
            connected,
            drill=site.drill,
            refused={used[n][0]: why for n, why in refused.items()},
        )
    if refused or alone:
        plan, observed = build(header, findings, runbook, agent.tools, agent.deployers)
    if not findings.reaches:
        reasons = "; ".join(f"{item.scope}: {item.reason}" for item in findings.not_planned)
        raise Unreachable(
            f"nothing that {request.agent} reaches can be planned: {reasons or 'it has no reach'}",
            remedy="breakglass agents discover " + request.agent,
        )
    raw = plan.to_bytes()
    Plan.from_bytes(raw, where="plan")
    folder.write("plan.json", raw)
    folder.write("observations.json", observed)
    lay_out(site, folder, trusted)
    providers = {n: provider for n, (_, provider) in enumerate(used)}
    _let_go(connected, used)
    return Prepared(plan, raw, folder, Connected(providers, connected.failures), trusted, late)


def _let_go(connected: Connected, used: Used) -> None:
    """Close what was connected and not planned, and wait for none: one of them may be hanging."""
    kept = {n for n, _ in used}
    for n, provider in connected.providers.items():
        if n not in kept:
            threading.Thread(target=Connected({n: provider}, {}).close, daemon=True).start()


def lay_out(site: Site, folder: IncidentFolder, trusted: TrustedRoster) -> None:
    """Put beside the plan what a third party needs to check it: roster, its signatures, allowed_signers."""
    roster = trusted.roster
    folder.write("roster.json", roster.to_bytes())
    for path in sorted((site.kit.folder / f"roster.{roster.version}").glob("*.sig")):
        folder.write(f"roster.{roster.version}/{path.name}", path.read_bytes())
    folder.write("allowed_signers", allowed_signers(roster, roster.org))
    executor = roster.executor(site.executor().name)
    if executor is None:
        raise NotAuthorised(
            f"executor {site.executor().name} is not in roster version {roster.version}",
            remedy="breakglass roster propose",
        )
    folder.write("log.pub", f"{executor.log_key}\n".encode())


def _header(
    site: Site,
    request: StopRequest,
    trusted: TrustedRoster,
    incident: str,
    random_bytes: Callable[[int], bytes],
) -> Header:
    rule = trusted.roster.rule(RuleVerb.CONTAIN)
    if rule is None:
        raise NotAuthorised("the roster has no rule for contain", remedy="breakglass roster check")
    settings = site.kit.settings
    return Header(
        org=settings.org,
        plan_id=f"pln-{random_bytes(6).hex()}",
        incident=incident,
        agent=request.agent,
        reason=request.reason,
        requested_by=request.requested_by,
        issued_at=request.issued_at,
        detection=request.detection,
        kit=site.kit.pin,
        roster=Pin("roster", trusted.roster.version, trusted.sha256),
        executors=tuple(executor.name for executor in settings.executors),
        # A drill's roster is vouched for by an anchor beside it: whoever runs it could have made both.
        two_person_rule=TwoPersonRule.ADVISORY if site.drill else settings.two_person_rule,
        nonce=base64.b64encode(random_bytes(16)).decode(),
        expires=request.issued_at.plus(min(rule.max_ttl_s, settings.deadlines.sign_s)),
        max_run_s=settings.deadlines.stop_s,
        drill=site.drill,
    )


Used = list[tuple[int, Provider]]
"""For each planned reach: its number in the inventory, and its provider."""


def _read(
    reaches: tuple[Reach, ...], connected: Connected, *, drill: bool, refused: Mapping[int, str] | None = None
) -> tuple[Findings, Used]:
    """Discover and observe every connected reach side by side; what fails is *not planned*."""
    refused = refused or {}
    found: list[ReachFindings] = []
    used: Used = []
    lost: list[NotPlanned] = []
    calls = {
        n: partial(_read_reach, reaches[n], provider, drill=drill)
        for n, provider in connected.providers.items()
        if n not in refused
    }
    answers = side_by_side(calls, within_s=PLANNING_DEADLINE_S + A_REACH_MORE_S * len(calls))
    for n, reach in enumerate(reaches):
        answer = answers.get(n) or connected.failures.get(n)
        if n in refused or isinstance(answer, BreakglassError) or answer is None:
            scope = scope_of(reach)
            reason = refused.get(n) or (_told(answer, scope) if isinstance(answer, BreakglassError) else "")
            lost.append(NotPlanned(reach.provider, line(scope), line(_one_line(reason))))
        else:
            found.append(answer)
            used.append((n, connected.providers[n]))
    return Findings(tuple(found), tuple(lost)), used


def _told(error: BreakglassError, scope: str) -> str:
    """Return what went wrong, and where if that is not the scope itself: a file, a program."""
    return error.what if scope in error.where or error.where in scope else str(error)


def _read_reach(reach: Reach, provider: Provider, *, drill: bool) -> ReachFindings:
    discovery = readable(provider.discover())
    if discovery.endpoints and not drill:
        raise ProviderError(f"{discovery.endpoints[0]} is a sandbox, and this is no drill")
    specs = {name: action.spec for name, action in provider.actions.items()}
    _require_order(discovery, specs)
    return ReachFindings(
        provider=reach.provider,
        distribution=registry.listed(reach.provider).pin,
        settings=reach.settings,
        discovery=discovery,
        specs=specs,
        states=_observe(discovery, provider),
        budgets=provider.budgets,
    )


def _require_order(discovery: Discovery, specs: Mapping[str, ActionSpec]) -> None:
    """Require that this reach's proposals can be ordered: one provider's bug must not spoil the plan.

    Raises:
        ProviderError: they wait for each other, share a key, or name an action that does not exist.
    """
    if unknown := [item.action for item in discovery.proposals if item.action not in specs]:
        raise ProviderError(f"proposes {unknown[0]}, which it does not have")
    try:
        order([Candidate(0, item, specs[item.action]) for item in discovery.proposals], tuple(Capability))
    except BreakglassError as error:
        raise ProviderError(error.what) from error


def _observe(discovery: Discovery, provider: Provider) -> dict[str, State]:
    states: dict[str, State] = {}
    for proposal in discovery.proposals:
        try:
            states[proposal.key] = recordable(provider.actions[proposal.action].observe(proposal.target))
        except Exception as error:  # noqa: BLE001 - what cannot be read now is read again when the step runs
            what = error.what if isinstance(error, BreakglassError) else type(error).__name__
            states[proposal.key] = State({}, complete=False, note=line(what))
    return states


def _preflight(plan: Plan, used: Used) -> tuple[dict[int, str], dict[int, str]]:
    """Return the planned reaches and the single steps that must not run, with the reasons."""
    calls = {
        n: partial(provider.preflight, [step for step in plan.steps if step.reach == n])
        for n, (_, provider) in enumerate(used)
    }
    refused: dict[int, str] = {}
    alone: dict[int, str] = {}
    for n, answer in side_by_side(calls, within_s=PLANNING_DEADLINE_S + A_REACH_MORE_S * len(calls)).items():
        if isinstance(answer, BreakglassError):
            refused[n] = answer.what
            continue
        bad = [finding for finding in answer if not finding.ok]
        alone |= {finding.step: finding.message for finding in bad if finding.alone}
        if whole := [finding.message for finding in bad if not finding.alone]:
            refused[n] = whole[0]
    return refused, alone


def scope_of(reach: Reach) -> str:
    """Return how a reach that could not be read is named in a plan."""
    for key in ("host", "issuer", "account", "project", "server"):
        value = reach.settings.get(key)
        if isinstance(value, str):
            return value
    return reach.where


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]
