"""Builds the plan of a stop: inventory and findings in, frozen plan and observations out; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from breakglass.canon import canonical, sha256
from breakglass.clock import Instant
from breakglass.kit.model import Deployer, Tool
from breakglass.model.action import Grade
from breakglass.model.plan import (
    Activation,
    Detection,
    Mode,
    NotPlanned,
    NotTouched,
    Pin,
    Plan,
    PlannedReach,
    Step,
    TwoPersonRule,
    Verb,
    Wait,
    pack_settings,
)
from breakglass.model.resource import State
from breakglass.plan.doors import (
    Numbers,
    deployer_doors,
    left_out_doors,
    provider_doors,
    tool_doors,
    untouched_doors,
    withheld_doors,
)
from breakglass.plan.findings import Findings, observations
from breakglass.plan.order import Candidate, order
from breakglass.plan.queueing import HEADROOM, Queues, queues, takes_s
from breakglass.runbook.model import Runbook, RunbookStep
from breakglass.shape import encode


@dataclass(frozen=True, slots=True)
class Header:
    """All of a plan that does not come from the world."""

    org: str
    plan_id: str
    incident: str
    agent: str
    reason: str
    requested_by: str
    issued_at: Instant
    detection: Detection | None
    kit: Pin
    roster: Pin
    executors: tuple[str, ...]
    two_person_rule: TwoPersonRule
    nonce: str
    expires: Instant
    max_run_s: int
    drill: bool
    mode: Mode = Mode.EXECUTE


def build(
    header: Header,
    findings: Findings,
    runbook: Runbook,
    tools: Sequence[Tool],
    deployers: Sequence[Deployer] = (),
) -> tuple[Plan, bytes]:
    """Return the plan and the bytes of observations.json, whose digest it carries."""
    candidates = tuple(
        Candidate(n, proposal, reach.specs[proposal.action])
        for n, reach in enumerate(findings.reaches)
        for proposal in reach.discovery.proposals
    )
    wanted = {step.capability: step for step in runbook.steps}
    chosen = order(
        [c for c in candidates if c.spec.capability in wanted], [s.capability for s in runbook.steps]
    )
    left_out = [c for c in candidates if c.spec.capability not in wanted]
    numbers: Numbers = {candidate.key: n for n, candidate in enumerate(chosen)}
    states = [_state(findings, candidate) for candidate in chosen]
    waits = queues(findings, chosen)
    recorded = observations(findings, states)
    doors, reading_tools = tool_doors(tools, chosen)
    plan = Plan(
        v=1,
        type="plan",
        org=header.org,
        plan_id=header.plan_id,
        incident=header.incident,
        agent=header.agent,
        verb=Verb.CONTAIN,
        mode=header.mode,
        activation=Activation.PERSON,
        drill=header.drill,
        reason=header.reason,
        requested_by=header.requested_by,
        issued_at=header.issued_at,
        detection=header.detection,
        runbook=Pin(runbook.name, runbook.version, runbook.sha256),
        kit=header.kit,
        roster=header.roster,
        executors=header.executors,
        two_person_rule=header.two_person_rule,
        nonce=header.nonce,
        not_before=header.issued_at,
        expires=header.expires,
        max_run_s=header.max_run_s,
        parent=None,
        observations_sha256=sha256(recorded),
        reaches=_reaches(findings, chosen, waits),
        steps=tuple(
            _step(n, candidate, state, numbers, wanted[candidate.spec.capability], waits)
            for n, (candidate, state) in enumerate(zip(chosen, states, strict=True))
        ),
        doors=(
            *provider_doors(findings.reaches, numbers),
            *withheld_doors(chosen),
            *doors,
            *deployer_doors(deployers, chosen),
            *left_out_doors(left_out, runbook.name),
            *untouched_doors(findings.reaches, candidates),
        ),
        not_touched=(*_not_touched(findings), *reading_tools),
        not_planned=(*findings.not_planned, *_incomplete(findings)),
    )
    return plan, recorded


def _state(findings: Findings, candidate: Candidate) -> State:
    unread = State({}, complete=False, note="not read when planning")
    return findings.reaches[candidate.reach].states.get(candidate.proposal.key, unread)


def _reaches(findings: Findings, chosen: Sequence[Candidate], waits: Queues) -> tuple[PlannedReach, ...]:
    return tuple(
        PlannedReach(
            n=n,
            provider=reach.provider,
            distribution=reach.distribution,
            scope=reach.discovery.scope,
            endpoints=reach.discovery.endpoints,
            settings=pack_settings(reach.settings),
            runner=reach.discovery.runner,
            takes_s=takes_s(n, waits, [_settle_s(one) for one in chosen if one.reach == n]),
        )
        for n, reach in enumerate(findings.reaches)
    )


def _settle_s(candidate: Candidate) -> float:
    own_s = candidate.proposal.settle_s
    return candidate.spec.settle_s if own_s is None else own_s


def _step(
    n: int, candidate: Candidate, state: State, numbers: Numbers, asked: RunbookStep, queueing: Queues
) -> Step:
    proposal, spec = candidate.proposal, candidate.spec
    settle_s = _settle_s(candidate)
    waits = tuple(
        Wait(numbers[candidate.reach, wait.key], round(wait.at_most_s * 1000)) for wait in proposal.after
    )
    own_s = asked.deadline_s if proposal.deadline_s is None else proposal.deadline_s
    longest_wait_s = max((wait.at_most_s for wait in proposal.after), default=0.0)
    queue_s = queueing.get((candidate.reach, spec.service), 0.0)
    moot_by = [numbers.get((candidate.reach, key)) for key in proposal.moot_by]
    return Step(
        n=n,
        reach=candidate.reach,
        capability=spec.capability,
        action=spec.name,
        target=proposal.target,
        after=waits,
        settle_ms=round(settle_s * 1000),
        # Never less than settle time and queue need: a deadline must not turn what is done into unknown.
        deadline_ms=round((longest_wait_s + max(own_s, 2 * settle_s + 10 + HEADROOM * queue_s)) * 1000),
        best_grade=_grade(spec.best_grade if proposal.best_grade is None else proposal.best_grade, asked),
        window_s=proposal.window_s,
        moot_by=tuple(other for other in moot_by if other is not None) if None not in moot_by else (),
        reversibility=spec.reversibility,
        undo=spec.undo,
        blast_radius=spec.blast_radius,
        destroys_evidence=spec.destroys_evidence,
        affects=proposal.affects,
        withholds_only=spec.withholds_only,
        observed=sha256(canonical(encode(state))),
    )


def _grade(best: Grade, asked: RunbookStep) -> Grade:
    """Return the proof that the step must obtain: a runbook may forgo probes, and the plan then says so."""
    return best if asked.probe or best is Grade.NONE else Grade.READ_BACK


def _not_touched(findings: Findings) -> tuple[NotTouched, ...]:
    return tuple(item for reach in findings.reaches for item in reach.discovery.not_touched)


def _incomplete(findings: Findings) -> tuple[NotPlanned, ...]:
    return tuple(
        NotPlanned(reach.provider, reach.discovery.scope, f"listing failed: {listing}")
        for reach in findings.reaches
        for listing in reach.discovery.incomplete
    )
