"""Finds what stays open: withheld credentials, tools without a step, steps that the runbook leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from breakglass.kit.model import Deployer, Effect, Tool
from breakglass.model.action import Capability, Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.plan.findings import ReachFindings
from breakglass.plan.order import Candidate
from breakglass.plan.readable import line

Numbers = Mapping[tuple[int, str], int]


def provider_doors(reaches: Sequence[ReachFindings], numbers: Numbers) -> tuple[Door, ...]:
    """Return the doors that providers named, with the numbers of the steps that close them.

    A door whose closing step is not in the plan has nothing that closes it.
    """
    doors: list[Door] = []
    for n, reach in enumerate(reaches):
        for proposed in reach.discovery.doors:
            steps = [numbers.get((n, key)) for key in proposed.closed_by]
            closed_by = tuple(step for step in steps if step is not None)
            complete = bool(steps) and len(closed_by) == len(steps)
            doors.append(replace(proposed.door, closed_by=closed_by if complete else ()))
    return tuple(doors)


def withheld_doors(candidates: Sequence[Candidate]) -> tuple[Door, ...]:
    """Return a door for each credential that is made unreadable; a step that revokes it closes the door."""
    return tuple(
        Door(
            kind=DoorKind.CREDENTIAL_WITHHELD,
            name=line(credential),
            reason=f"withheld here, still valid at {_issuer(candidate)}",
            remedy=f"revoke it at {_issuer(candidate)}",
            owner="",
            closed_by=_revoked_by(credential, candidates),
            verdict=Verdict.NOT_CONTAINED,
        )
        for candidate in candidates
        for credential in candidate.proposal.withholds
    )


def tool_doors(
    tools: Iterable[Tool], candidates: Sequence[Candidate]
) -> tuple[tuple[Door, ...], tuple[NotTouched, ...]]:
    """Return a door for each tool that can do harm, and the tools that only read."""
    doors: list[Door] = []
    listed: list[NotTouched] = []
    for tool in tools:
        if tool.effect is Effect.READ:
            listed.append(NotTouched(f"tool {tool.name}", "it only reads"))
            continue
        closed_by = _revoked_by(f"issuer:{tool.issuer}", candidates) if tool.issuer else ()
        doors.append(
            Door(
                kind=DoorKind.TOOL,
                name=f"tool {tool.name}",
                reason=_tool_reason(tool, covered=bool(closed_by)),
                remedy=f"revoke at {tool.revoke_at}" if tool.revoke_at else "revoke it by hand",
                owner=tool.owner,
                closed_by=closed_by,
                verdict=Verdict.NOT_CONTAINED,
            )
        )
    return tuple(doors), tuple(listed)


def _tool_reason(tool: Tool, *, covered: bool) -> str:
    credential = tool.credential or "its credential"
    if covered:
        return f"effect {tool.effect.value}: open until {credential} is revoked at {tool.issuer}"
    return f"effect {tool.effect.value}: no step revokes {credential}"


def deployer_doors(deployers: Iterable[Deployer], candidates: Sequence[Candidate]) -> tuple[Door, ...]:
    """Return a door for each deployer that may put the agent back; a step that pauses it closes the door."""
    return tuple(
        Door(
            kind=DoorKind.NO_STEP,
            name=f"deployer {deployer.kind} {deployer.name}",
            reason="it may start the agent again",
            remedy="pause it by hand",
            owner="",
            closed_by=_revoked_by(f"deployer:{deployer.kind}/{deployer.name}", candidates),
            verdict=Verdict.UNKNOWN,
        )
        for deployer in deployers
    )


def left_out_doors(left_out: Sequence[Candidate], runbook: str) -> tuple[Door, ...]:
    """Return a door for each proposed step whose capability the runbook does not name."""
    return tuple(
        Door(
            kind=DoorKind.NO_STEP,
            name=f"{candidate.spec.name} {candidate.proposal.target.label}",
            reason=f"runbook {runbook} does not run {candidate.spec.capability.value}",
            remedy="choose another runbook",
            owner="",
            closed_by=(),
            verdict=Verdict.CONTAINED
            if candidate.spec.capability is Capability.SNAPSHOT_LOGS
            else Verdict.NOT_CONTAINED,
        )
        for candidate in left_out
    )


def untouched_doors(reaches: Sequence[ReachFindings], candidates: Sequence[Candidate]) -> tuple[Door, ...]:
    """Return a door for each reach in which nothing was found that could be stopped.

    The inventory says that the agent acts there, so an empty answer is no proof that it does not.
    """
    busy = {item.reach for item in candidates if item.spec.capability is not Capability.SNAPSHOT_LOGS}
    return tuple(
        Door(
            kind=DoorKind.NO_STEP,
            name=f"{reach.provider} {reach.discovery.scope}",
            reason="the inventory says that the agent acts here, and nothing of it was found",
            remedy="correct the inventory, or look by hand",
            owner="",
            closed_by=(),
            verdict=Verdict.UNKNOWN,
        )
        for n, reach in enumerate(reaches)
        if n not in busy
    )


def _issuer(candidate: Candidate) -> str:
    issuer = candidate.proposal.target.params.get("issuer")
    return issuer if isinstance(issuer, str) and issuer else "its issuer"


def _revoked_by(name: str, candidates: Sequence[Candidate]) -> tuple[int, ...]:
    """Return the numbers of the steps that revoke a credential, or everything of an issuer."""
    return tuple(n for n, candidate in enumerate(candidates) if name in candidate.proposal.revokes)
