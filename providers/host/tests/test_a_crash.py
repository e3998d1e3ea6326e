"""kill -9 of the executor in the middle of an apply: doing it again ends in the same place."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from breakglass.provider import Outcome, Proposal
from breakglass.shape import encode
from breakglass_host import cgroup, membership, nft, tree
from providers.host.tests.rig_a import CONTAINED, Rogue, carry_out, connect, outcome, proposal, rogue, until
from tests.backends import need

FREEZE, KILL, CUT = "host.cgroup.freeze_tree", "host.cgroup.kill_tree", "host.nft.cut_egress"
ROOT = Path(__file__).parents[3]


def die_in_the_middle(agent: Rogue, step: Proposal, after_s: float) -> None:
    """Apply in a process of its own and kill that `after_s` after it began."""
    request = {"settings": agent.sandbox.reach, "target": encode(step.target)}
    (agent.folder / "request.json").write_text(json.dumps(request))
    command = [sys.executable, "-m", "providers.host.tests.dying_a", str(agent.folder), step.action]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert b"now\n" == child.stdout.readline()
        time.sleep(after_s)
        child.kill()


@pytest.mark.parametrize("after_ms", [0, 2, 5, 10, 20, 40])
def test_a_stop_whose_executor_was_killed_is_finished_and_undone_by_the_next(
    tmp_path: Path, after_ms: int
) -> None:
    """Freeze, cut and kill each die once; the second time each is proven, and restore cleans up."""
    need("host", nft.program() is not None, "nft is not installed")
    with rogue(tmp_path, ["family", "60"]) as agent:
        assert until(lambda: len(membership.members(agent.sandbox.reach)) == 60)
        provider, _ = connect(tmp_path, agent.sandbox.reach)
        found = provider.discover()
        first = provider.actions[FREEZE].observe(proposal(found, FREEZE).target)
        ended = {}
        for name in (FREEZE, CUT, KILL):
            die_in_the_middle(agent, proposal(found, name), after_ms / 1000)
            ended[name], _ = carry_out(provider, proposal(found, name))
        target = proposal(found, FREEZE).target
        action = provider.actions[FREEZE]
        back = action.revert(target, first, action.observe(target))
        cut = proposal(found, CUT).target
        uncut = provider.actions[CUT].revert(
            cut, provider.actions[CUT].observe(cut), provider.actions[CUT].observe(cut)
        )
        hierarchy = cgroup.find()
        assert hierarchy is not None

        assert [CONTAINED] * 3 == [outcome(one) for one in ended.values()]
        assert 60 == list(back.objects.values()).count(Outcome.ENDED)
        assert [Outcome.RESTORED] == list(uncut.objects.values())
        assert 0 == hierarchy.inode(tree.of(target).hold)
        assert not hierarchy.is_set_to_freeze(agent.sandbox.cgroup)
        provider.close()
