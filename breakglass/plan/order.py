"""Orders proposals: evidence before what destroys it, everything else at once; waits always have an end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from breakglass.errors import BreakglassError
from breakglass.model.action import ActionSpec, Capability
from breakglass.provider import Proposal, WaitFor

EVIDENCE_WAIT_S = 20.0
"""A step that destroys evidence waits so long for it, and no longer (DESIGN 5)."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposal with the number of its reach and what its action declares."""

    reach: int
    proposal: Proposal
    spec: ActionSpec

    @property
    def key(self) -> tuple[int, str]:
        """Return what names the proposal in the whole plan."""
        return (self.reach, self.proposal.key)


def order(candidates: Sequence[Candidate], capabilities: Sequence[Capability]) -> tuple[Candidate, ...]:
    """Return the candidates so that nothing waits for a later one; ties as the runbook orders them.

    Waits for proposals that are not in the plan are dropped: what does not run cannot be waited for.

    Raises:
        BreakglassError: a provider's proposals wait for each other in a circle (a bug of the provider).
    """
    known = {candidate.key for candidate in candidates}
    if len(known) != len(candidates):
        raise BreakglassError("a provider proposed two steps under one key")
    waiting = {candidate.key: _with_waits(candidate, candidates, known) for candidate in candidates}
    rank = {capability: n for n, capability in enumerate(capabilities)}
    position = {candidate.key: n for n, candidate in enumerate(candidates)}
    ordered: list[Candidate] = []
    placed: set[tuple[int, str]] = set()
    while waiting:
        free = [item for item in waiting.values() if placed.issuperset(_needs(item))]
        if not free:
            raise BreakglassError(f"steps wait for each other in a circle: {sorted(waiting)[:4]}")
        free.sort(key=lambda item: _rank(item, rank, position))
        for item in free:
            ordered.append(item)
            del waiting[item.key]
        placed.update(item.key for item in free)
    return tuple(ordered)


def _rank(
    item: Candidate, rank: Mapping[Capability, int], position: Mapping[tuple[int, str], int]
) -> tuple[bool, int, int]:
    return (bool(item.spec.destroys_evidence), rank.get(item.spec.capability, len(rank)), position[item.key])


def _needs(item: Candidate) -> set[tuple[int, str]]:
    return {(item.reach, wait.key) for wait in item.proposal.after}


def _with_waits(item: Candidate, candidates: Sequence[Candidate], known: set[tuple[int, str]]) -> Candidate:
    waits = {wait.key: wait for wait in item.proposal.after if (item.reach, wait.key) in known}
    if item.spec.destroys_evidence:
        for other in candidates:
            if other.reach == item.reach and other.spec.capability is Capability.SNAPSHOT_LOGS:
                waits.setdefault(other.proposal.key, WaitFor(other.proposal.key, EVIDENCE_WAIT_S))
    return replace(item, proposal=replace(item.proposal, after=tuple(waits.values())))
