"""Where nft or cgroup v2 is missing the plan says so, and claims no more than it proved."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from breakglass_host import membership, nft
from breakglass_host.tree import Tree
from providers.host.tests.rig_a import Rogue, connect, rogue, until
from providers.host.tests.rig_review import hider
from tests.backends import need

CUT = "host.nft.cut_egress"
ROOT = Path(__file__).parents[3]


def stop_without(what: str, agent: Rogue, folder: Path, **settings: str) -> dict[str, Any]:
    """Plan and stop in a mount namespace where `what` is missing."""
    command = ["unshare", "--mount", sys.executable, "-m", "providers.host.tests.lacking_review", what]
    named = json.dumps({"host": "local", **settings})
    done = subprocess.run(
        [*command, str(folder / "stop"), named], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert not membership.look(Tree("user", uid=agent.sandbox.uid)).members
    return result


def test_without_cgroup_v2_signals_end_the_agent_and_prove_it_for_its_user(tmp_path: Path) -> None:
    """The loop of signals is planned in place of freeze and kill, and the plan says why."""
    with rogue(tmp_path, ["double_fork"]) as agent:
        assert until(lambda: len(membership.look(Tree("user", uid=agent.sandbox.uid)).members) == 2)
        result = stop_without("cgroup", agent, tmp_path, user=str(agent.sandbox.uid))

        steps = result["steps"]
        assert ["contained", "read_back"] == steps["host.process.pause_tree"][:2]
        assert ["contained", "read_back"] == steps["host.process.stop_tree"][:2]
        assert "host.cgroup.freeze_tree" not in steps
        assert "cgroup v2" in result["not_touched"]
        assert [] == result["refused"]


def test_without_cgroup_v2_a_cgroup_alone_stops_nothing_and_says_so(tmp_path: Path) -> None:
    """There is nothing left that could be acted on."""
    with rogue(tmp_path, ["sleep"]) as agent:
        cgroup_only = {"cgroup": agent.sandbox.cgroup}
        agent.sandbox.stop()
        result = stop_without("cgroup", agent, tmp_path, **cgroup_only)

        assert {} == result["steps"]
        assert any("processes of" in name for name in result["doors"])


def test_without_nft_what_waits_in_a_held_socket_never_leaves(tmp_path: Path) -> None:
    """No rule can be made, but what is held is destroyed, so that the end of the processes is the end."""
    need("host", nft.program() is not None, "nft is not installed")
    with hider(tmp_path, ["full_socket", "127.0.0.1", "7443"], listen=[("127.0.0.1", 7443)]) as agent:
        stream, _ = agent.started.listeners[0].accept()
        assert until((agent.home / "full").exists)
        settings = {key: agent.sandbox.reach[key] for key in ("cgroup", "user")}
        result = stop_without("nft", agent, tmp_path, **settings)
        arrived = _drain(stream)
        stream.close()

        assert "nft" in result["not_touched"]
        assert [] == result["refused"]
        assert ["contained", "none"] == result["steps"][CUT][:2]
        assert "nft is not installed: egress not cut" in result["steps"][CUT][2]
        assert ["contained", "read_back"] == result["steps"]["host.cgroup.kill_tree"][:2]
        assert arrived < 1 << 20


def test_connections_to_the_hypervisor_are_named_as_not_cut(tmp_path: Path) -> None:
    """No packet filter sees AF_VSOCK; where the machine has it, the signers read that."""
    if not Path("/dev/vsock").exists():
        pytest.skip("this kernel has no vsock, so that there is nothing to name")
    with rogue(tmp_path, ["sleep"]) as agent:
        found = connect(tmp_path, agent.sandbox.reach)[0].discover()

        assert ["/dev/vsock"] == [one.resource for one in found.not_touched if "vsock(7)" in one.reason]


def _drain(stream: socket.socket) -> int:
    stream.settimeout(0.5)
    count = 0
    try:
        while data := stream.recv(1 << 20):
            count += len(data)
    except OSError:
        pass
    return count
