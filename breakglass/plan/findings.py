"""What planning learned of the world: the input of the builder, and observations.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from breakglass.canon import Json, Profile, canonical, parse, sha256
from breakglass.errors import MalformedInput
from breakglass.model.action import ActionSpec
from breakglass.model.plan import NotPlanned, Plan
from breakglass.model.resource import Resource, State
from breakglass.provider import Budget, Discovery
from breakglass.shape import encode

MAX_OBSERVATIONS_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReachFindings:
    """One reach that could be read."""

    provider: str
    distribution: str
    settings: Mapping[str, Json]
    discovery: Discovery
    specs: Mapping[str, ActionSpec]
    states: Mapping[str, State]
    """Prior states by proposal key."""
    budgets: Mapping[str, Budget] = field(default_factory=dict)
    """Rates by service; what is not named is not limited."""


@dataclass(frozen=True, slots=True)
class Findings:
    """All reaches of one agent: those that could be read, and those that could not."""

    reaches: tuple[ReachFindings, ...]
    not_planned: tuple[NotPlanned, ...]


def without(findings: Findings, plan: Plan, refused: Mapping[int, str]) -> Findings:
    """Return the findings without the steps that must not run; each stays open as *not planned*.

    `refused` gives the reason by the number of a step of `plan`, which was built from these findings.
    """
    reaches = list(findings.reaches)
    lost: list[NotPlanned] = []
    for n, why in sorted(refused.items()):
        step = plan.steps[n]
        reach = reaches[step.reach]
        kept = tuple(
            proposal
            for proposal in reach.discovery.proposals
            if (proposal.action, proposal.target) != (step.action, step.target)
        )
        reaches[step.reach] = replace(reach, discovery=replace(reach.discovery, proposals=kept))
        reason = f"{step.action} on {step.target.label}: {why}"
        lost.append(NotPlanned(reach.provider, reach.discovery.scope, " ".join(reason.split())[:500]))
    return Findings(tuple(reaches), (*findings.not_planned, *lost))


def principal_name(provider: str, scope: str, resource: Resource) -> str:
    """Return the name under which a principal is known across two discoveries."""
    return f"{provider} {scope} {resource.kind} {resource.id}"


def observations(findings: Findings, states: Sequence[State]) -> bytes:
    """Return the canonical bytes of observations.json: states in step order, and every principal seen."""
    principals = sorted(
        principal_name(reach.provider, reach.discovery.scope, principal)
        for reach in findings.reaches
        for principal in reach.discovery.principals
    )
    return canonical(
        {"v": 1, "type": "observations", "principals": [*principals], "states": encode(tuple(states))}
    )


def read_principals(data: bytes, expected_sha256: str, *, where: str) -> frozenset[str]:
    """Return the principals that were known when the plan was made.

    Raises:
        MalformedInput: these are not the observations that the plan names.
    """
    if sha256(data) != expected_sha256:
        raise MalformedInput("these are not the observations that the plan was made from", where=where)
    value = parse(data, where=where, profile=Profile.DATA, max_bytes=MAX_OBSERVATIONS_BYTES)
    principals = value.get("principals") if isinstance(value, dict) else None
    if not isinstance(principals, list):
        raise MalformedInput("expected a list of principals", where=where)
    return frozenset(str(name) for name in principals)
