"""What an ordinary user can do to an agent in namespaces of its own; run as a program, it prints one JSON."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from breakglass.canon import Json
from breakglass.model.action import Judgement
from breakglass_host import membership
from breakglass_host.visible import make_visible
from providers.host.tests.rig_a import carry_out, connect, proposal, rogue, until

PAUSE, STOP, CUT = "host.process.pause_tree", "host.process.stop_tree", "host.nft.cut_egress"


def stop_all(folder: Path, mode: list[str]) -> dict[str, Json]:
    """Cut, pause, stop and probe; return what each ended as."""
    with rogue(folder, mode, privileged=False, listen=[("127.0.0.1", 7443), ("::1", 7443)]) as agent:
        assert until(lambda: len(membership.members(agent.sandbox.reach)) > 1)
        provider, _ = connect(folder, agent.sandbox.reach)
        found = provider.discover()
        judged = {CUT: carry_out(provider, proposal(found, CUT))[0]}
        judged[PAUSE], before = carry_out(provider, proposal(found, PAUSE))
        paused = [one.state for one in membership.members(agent.sandbox.reach)]
        judged[STOP], _ = carry_out(provider, proposal(found, STOP))
        cut = proposal(found, CUT)
        probed = provider.actions[CUT].probe(cut.target)
        judged["probe"] = probed if probed is not None else judged[CUT]
        left = len(membership.members(agent.sandbox.reach))
        provider.close()
        return {
            "steps": {name: _words(one) for name, one in judged.items()},
            "paused": [*sorted(set(paused))],
            "before": len(before.objects),
            "left": left,
        }


def go_on(folder: Path) -> dict[str, Json]:
    """Pause and restore; return the states before and after."""
    with rogue(folder, ["family", "4"], privileged=False) as agent:
        assert until(lambda: len(membership.members(agent.sandbox.reach)) == 5)
        provider, _ = connect(folder, agent.sandbox.reach)
        pause = proposal(provider.discover(), PAUSE)
        action = provider.actions[PAUSE]
        _, before = carry_out(provider, pause)
        back = action.revert(pause.target, before, action.observe(pause.target))
        states = sorted({one.state for one in membership.members(agent.sandbox.reach)})
        return {"outcomes": [*sorted({one.value for one in back.objects.values()})], "states": [*states]}


def _words(one: Judgement) -> Json:
    return [one.verdict.value, one.grade.value, one.reason]


def _become_ordinary(uid: int) -> None:
    """Go on as somebody else, who may still read this interpreter."""
    make_visible([sys.base_prefix, sys.prefix, str(Path(__file__).parents[3])], uid)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def main() -> None:
    """Run one scenario."""
    if os.geteuid() == 0:
        _become_ordinary(int(sys.argv.pop(1)))
    with tempfile.TemporaryDirectory() as name:
        mode = sys.argv[1:]
        folder = Path(name)
        result = go_on(folder) if mode == ["go_on"] else stop_all(folder, mode)
        sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
