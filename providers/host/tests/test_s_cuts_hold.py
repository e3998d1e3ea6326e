"""What is made to end an agent goes away again, also where no freeze came before it."""

from __future__ import annotations

from pathlib import Path

from breakglass.provider import Outcome
from breakglass_host import cgroup
from providers.host.tests.rig_a import CONTAINED, carry_out, connect, outcome, proposal, rogue

KILL = "host.cgroup.kill_tree"


def test_a_hold_that_no_freeze_made_is_removed_by_the_undo_of_the_kill(tmp_path: Path) -> None:
    """A connection that is lost for longer than a freeze has time leaves the kill to make the hold."""
    with rogue(tmp_path, ["sleep"]) as agent:
        provider, _ = connect(tmp_path, agent.sandbox.reach)
        step = proposal(provider.discover(), KILL)
        action = provider.actions[KILL]
        before = action.observe(step.target)
        judged, _ = carry_out(provider, step)
        hierarchy, hold = cgroup.writable(), str(step.target.params["hold"])
        assert hierarchy is not None
        was_there = hierarchy.inode(hold)
        undone = action.revert(step.target, before, action.observe(step.target))
        again = action.revert(step.target, before, action.observe(step.target))

        assert CONTAINED == outcome(judged)
        assert was_there
        assert not hierarchy.inode(hold)
        assert Outcome.RESTORED is undone.objects[f"cgroup:{hold}"]
        assert f"cgroup:{hold}" not in again.objects
