"""The order of a plan: nothing waits for a later step, and evidence comes before what destroys it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakglass.errors import BreakglassError
from breakglass.model.action import Capability
from breakglass.model.resource import Resource
from breakglass.plan.order import EVIDENCE_WAIT_S, Candidate, order
from breakglass.provider import Proposal, WaitFor
from breakglass.testing.fake_cloud import SPEC

ALL = tuple(Capability)


def candidate(
    key: str,
    *after: str,
    reach: int = 0,
    capability: Capability = Capability.STOP_WORKLOADS,
    destroys: str = "",
) -> Candidate:
    """Return a candidate that waits for others of its reach."""
    spec = replace(SPEC, capability=capability, destroys_evidence=destroys)
    waits = tuple(WaitFor(other, 1.0) for other in after)
    return Candidate(reach, Proposal(key, spec.name, Resource("thing", key, key, {}), waits), spec)


@st.composite
def graphs(draw: st.DrawFn) -> list[Candidate]:
    """Draw candidates without circles, in any order."""
    count = draw(st.integers(0, 12))
    made = [
        candidate(
            f"s{n}",
            *draw(st.lists(st.sampled_from([f"s{m}" for m in range(n)]), unique=True)) if n else (),
            capability=draw(st.sampled_from(ALL)),
            destroys=draw(st.sampled_from(["", "memory"])),
        )
        for n in range(count)
    ]
    # What is waited for, or is evidence itself, destroys none: it would wait for itself in a circle.
    waited = {wait.key for item in made for wait in item.proposal.after}
    harmless = waited | {m.proposal.key for m in made if m.spec.capability is Capability.SNAPSHOT_LOGS}
    made = [_harmless(m) if m.proposal.key in harmless else m for m in made]
    return draw(st.permutations(made))


def _harmless(item: Candidate) -> Candidate:
    return replace(item, spec=replace(item.spec, destroys_evidence=""))


@given(graphs())
def test_every_step_comes_after_all_that_it_waits_for(made: list[Candidate]) -> None:
    """The order is topological, keeps every step once, and is the same for the same steps."""
    ordered = order(made, ALL)

    keys = [item.key for item in ordered]
    assert sorted(item.key for item in made) == sorted(keys)
    for n, item in enumerate(ordered):
        assert {(item.reach, wait.key) for wait in item.proposal.after} <= set(keys[:n])
    assert ordered == order(made, ALL)


@given(graphs())
def test_what_destroys_evidence_waits_for_every_snapshot_of_its_reach_and_not_for_ever(
    made: list[Candidate],
) -> None:
    """Each such step waits for each snapshot, at most twenty seconds where the provider says nothing."""
    ordered = order(made, ALL)

    snapshots = {m.proposal.key for m in made if m.spec.capability is Capability.SNAPSHOT_LOGS}
    for item in ordered:
        if item.spec.destroys_evidence:
            waits = {wait.key: wait.at_most_s for wait in item.proposal.after}
            assert snapshots <= set(waits)
            assert max(waits.values(), default=0.0) <= EVIDENCE_WAIT_S


def test_a_circle_is_named_as_the_bug_that_it_is() -> None:
    """Two proposals that wait for each other cannot be planned."""
    with pytest.raises(BreakglassError, match="circle"):
        order([candidate("a", "b"), candidate("b", "a")], ALL)


def test_one_key_for_two_steps_is_refused() -> None:
    """Keys are what waits and doors refer to."""
    with pytest.raises(BreakglassError, match="one key"):
        order([candidate("a"), candidate("a")], ALL)


def test_equal_keys_of_two_reaches_do_not_meet() -> None:
    """A wait never reaches into another provider: one that hangs must hold up nobody else."""
    ordered = order([candidate("a", reach=0), candidate("b", "a", reach=1)], ALL)

    assert () == next(item for item in ordered if item.proposal.key == "b").proposal.after
