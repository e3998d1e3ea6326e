"""A stop waits for nothing; its restore brings identities back first and deployers last."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from breakglass.model.action import Capability
from breakglass.model.resource import Resource
from breakglass.provider import Proposal, WaitFor
from breakglass_gcp import parts
from breakglass_gcp.discover.compose import in_order

ORDER = (
    Capability.REVOKE_CREDENTIALS,
    Capability.STOP_WORKLOADS,
    Capability.PAUSE_QUEUES,
    Capability.DISABLE_EVENT_SOURCES,
)
ACTION = {spec.capability: spec.name for spec in parts.SPECS}


def proposals(counts: dict[Capability, int]) -> list[Proposal]:
    """Return so many steps of each capability."""
    return [
        Proposal(f"{capability.value}-{n}", ACTION[capability], Resource("x", f"{n}", "x", {}))
        for capability, count in counts.items()
        for n in range(count)
    ]


def undone(ordered: Sequence[Proposal]) -> list[str]:
    """Return keys in an order of undo: whoever is waited for in the stop comes later."""
    waits = {one.key: {wait.key for wait in one.after} for one in ordered}
    order: list[str] = []
    while len(order) < len(waits):
        left = [key for key in waits if key not in order]
        waited_for = set().union(*(waits[key] for key in left))
        free = [key for key in left if key not in waited_for]
        assert free, "a circle"
        order += free
    return order


@pytest.mark.parametrize("many", [1, 3, 100])
def test_identities_come_back_first_and_triggers_last(many: int) -> None:
    """Of every number of steps; the signed plan stays small all the same."""
    ordered = in_order(proposals(dict.fromkeys(ORDER, many)))

    order = [key.rpartition("-")[0] for key in undone(ordered)]
    first = [order.index(capability.value) for capability in ORDER]
    last = [len(order) - 1 - order[::-1].index(capability.value) for capability in ORDER]
    assert all(end < begin for end, begin in zip(last, first[1:], strict=False))
    assert sum(len(one.after) for one in ordered) <= 3 * max(400, 2 * many)


def test_the_stop_itself_waits_for_nothing() -> None:
    """The agent's accounts are disabled at once."""
    ordered = in_order(proposals(dict.fromkeys(ORDER, 3)))

    assert {wait.at_most_s for one in ordered for wait in one.after} == {0.0}


def test_what_a_part_wants_goes_before_our_order() -> None:
    """A wait against it makes no circle."""
    plain = proposals(dict.fromkeys(ORDER, 2))
    wants = WaitFor("revoke_credentials-0", 5.0)
    odd = [
        Proposal(one.key, one.action, one.target, (wants,)) if one.key.startswith("disable_event") else one
        for one in plain
    ]

    ordered = in_order(odd)

    assert len(undone(ordered)) == len(odd)
    assert all(wants in one.after for one in ordered if one.key.startswith("disable_event"))
