"""The connection is cut right between a request and its answer: each call is settled, and none made twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from breakglass.model.plan import Plan
from tests.hosts.cuts import AtCall, Point
from tests.hosts.cutting import Ground, Usual, ground, restore, stop, unlike

_MOST_UNDOS = 3
"""An undo that is in doubt for the fifth time is given up (execute.restore), and they go on side by side."""

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def lodge() -> Iterator[Ground]:
    """Let the agent move in to a machine that serves all cases: each ends with a restore."""
    with ground("lodge") as on:
        yield on


@pytest.mark.parametrize("point", Point, ids=[one.name.lower() for one in Point])
def test_cut_at_each_change_it_is_settled_and_made_once(
    point: Point, usual: Usual, lodge: Ground, *, full: bool
) -> None:
    """At the first change of every step, and at the first undo of each: the same end, and byte for byte back.

    The ordinary run cuts at all of them in one stop; the campaign takes each action by itself, too. A runner
    that was stopped in front of the request wakes up beside the next one, and ends without doing it.
    """
    ended = cut_at("", point, usual, lodge)
    for action in sorted(ended) if full else ():
        assert {action} == cut_at(action, point, usual, lodge)


def cut_at(action: str, point: Point, usual: Usual, on: Ground) -> set[str]:
    """Cut at the changes of an action, or of every one; return the actions that a stop was cut at."""
    cut, uncut = AtCall(point, "apply", action), AtCall(point, "revert", action, _MOST_UNDOS)
    with on.fleet() as ours:
        ended = stop(on, ours, cut)
        plan = Plan.from_bytes(ours.incident.plan.read_bytes(), where="plan")
        undone = restore(on, ours, uncut)
    where = f"{action or 'every action'}, {point}"
    assert [] == [*ended.wrong, *unlike(usual[0], ended)], where
    assert () == undone.wrong, where
    assert cut.done <= {step.action for step in plan.steps}
    assert cut.done, where
    assert uncut.done or action, where
    return cut.done
