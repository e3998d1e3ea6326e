"""Where cgroup v2 cannot be used, signals stop and end the tree, and claim no more than they proved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from breakglass.model.action import Grade, Verdict
from breakglass.model.resource import Resource
from breakglass.provider import Proposal
from breakglass_host import membership, tree
from breakglass_host.tree import Tree
from providers.host.tests.rig_a import CONTAINED, Rogue, carry_out, connect, outcome, rogue, until

PAUSE, STOP = "host.process.pause_tree", "host.process.stop_tree"


def signals_only(agent: Rogue, action: str, *, limit: str = "", alone: bool = True) -> Proposal:
    """Return the step as it is planned on a machine without cgroup v2."""
    named = tree.named(agent.sandbox.reach)
    wanted = replace(named, cgroup="", uid=named.uid if alone else None)
    target = Resource("process-tree", wanted.name, "tree", {**wanted.params(), "limit": limit})
    return Proposal("step", action, target)


def left(agent: Rogue) -> int:
    """Count what lives under the agent's user."""
    return len(membership.look(Tree("user", uid=agent.sandbox.uid)).members)


@pytest.mark.parametrize("mode", [["family", "40"], ["double_fork"], ["bomb", "300"], ["chain"]])
def test_a_user_of_its_own_is_paused_and_ended_by_signals_alone(tmp_path: Path, mode: list[str]) -> None:
    """One signal to the whole user outruns a fork that a loop cannot."""
    with rogue(tmp_path, mode) as agent:
        provider, _ = connect(tmp_path, agent.sandbox.reach)
        paused, before = carry_out(provider, signals_only(agent, PAUSE))
        stopped = {one.state for one in membership.look(Tree("user", uid=agent.sandbox.uid)).members}
        ended, _ = carry_out(provider, signals_only(agent, STOP))

        assert CONTAINED == outcome(paused)
        assert {"T"} == stopped
        assert before.objects
        assert CONTAINED == outcome(ended)
        assert 0 == left(agent)


def test_a_shared_tree_that_was_ended_by_signals_is_no_proof(tmp_path: Path) -> None:
    """Nothing that is known of it runs; a copy without a link may."""
    with rogue(tmp_path, ["double_fork"]) as agent:
        assert until(lambda: left(agent) == 2)
        provider, _ = connect(tmp_path, agent.sandbox.reach)
        step = signals_only(agent, STOP, limit='"no copy left" cannot be proven', alone=False)
        ended, _ = carry_out(provider, step)

        assert (Verdict.CONTAINED, Grade.NONE) == outcome(ended)
        assert 1 == left(agent)
