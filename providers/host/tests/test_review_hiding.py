"""Nothing of the agent's hides from a stop behind its first thread, another namespace or its own memory."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from breakglass.model.action import Verdict
from breakglass_host import membership, nft
from breakglass_host.tree import Tree
from providers.host.tests.rig_a import CONTAINED, carry_out, connect, outcome, proposal, until
from providers.host.tests.rig_review import hider, lives
from providers.host.tests.test_a_signals import PAUSE, STOP, signals_only
from tests.backends import need

FREEZE, KILL, CUT = "host.cgroup.freeze_tree", "host.cgroup.kill_tree", "host.nft.cut_egress"
HERE = [("127.0.0.1", 7443)]


@pytest.mark.parametrize("named_by", ["user", "cgroup"])
def test_a_process_whose_first_thread_has_ended_is_frozen_and_killed(tmp_path: Path, named_by: str) -> None:
    """Its stat says zombie and cgroup.kill passes it by, while its other threads go on."""
    with hider(tmp_path, ["zombie_leader"]) as agent:
        assert until(lambda: any(one.headless for one in membership.members(agent.sandbox.reach)))
        settings = {"host": "local", named_by: agent.sandbox.reach[named_by]}
        provider, _ = connect(tmp_path, settings)
        found = provider.discover()
        frozen, _ = carry_out(provider, proposal(found, FREEZE))
        after_freeze = lives(agent)
        killed, before = carry_out(provider, proposal(found, KILL))

        assert CONTAINED == outcome(frozen)
        assert frozen.reason.startswith("1 processes frozen")
        assert not after_freeze
        assert CONTAINED == outcome(killed)
        assert any(key.startswith("process:") for key in before.objects)
        assert not lives(agent)


def test_signals_alone_end_a_process_whose_first_thread_has_ended(tmp_path: Path) -> None:
    """Also where there is no cgroup v2."""
    with hider(tmp_path, ["zombie_leader"]) as agent:
        assert until(lambda: any(one.headless for one in membership.members(agent.sandbox.reach)))
        provider, _ = connect(tmp_path, agent.sandbox.reach)
        paused, _ = carry_out(provider, signals_only(agent, PAUSE))
        after_pause = lives(agent)
        ended, _ = carry_out(provider, signals_only(agent, STOP))

        assert CONTAINED == outcome(paused)
        assert not after_pause
        assert CONTAINED == outcome(ended)
        assert not lives(agent)


def test_a_first_thread_that_a_tracer_stopped_does_not_stand_for_the_others(tmp_path: Path) -> None:
    """Its stat says stopped while another thread works: it is paused like any other."""
    with hider(tmp_path, ["traced_leader"]) as agent:
        first = Path(f"/proc/{agent.started.pid}/stat")
        assert until(lambda: first.read_text().rpartition(")")[2].split()[0] == "t")
        provider, _ = connect(tmp_path, agent.sandbox.reach)
        worked = lives(agent)
        paused, _ = carry_out(provider, signals_only(agent, PAUSE))

        assert worked
        assert CONTAINED == outcome(paused)
        assert not lives(agent)
        assert 2 == len(membership.look(Tree("user", uid=agent.sandbox.uid)).members)


def test_a_thread_that_stayed_in_another_network_namespace_is_cut_too(tmp_path: Path) -> None:
    """The first thread went into a namespace of its own; the stream runs in the one that it came from."""
    need("host", nft.program() is not None, "nft is not installed")
    with hider(tmp_path, ["other_net", "127.0.0.1", "7443"], listen=HERE) as agent:
        stream, _ = agent.started.listeners[0].accept()
        arrived = _Arrived(stream)
        own = Path(f"/proc/{agent.started.pid}/ns/net")
        first = own.stat().st_ino
        assert until(lambda: own.stat().st_ino != first)
        assert until(lambda: arrived.count > 3)
        provider, _ = connect(tmp_path, agent.sandbox.reach)
        cut = proposal(provider.discover(), CUT)
        judged, _ = carry_out(provider, cut)
        time.sleep(0.1)
        before = arrived.count
        time.sleep(0.3)
        provider.close()
        stream.close()

        assert Verdict.CONTAINED is judged.verdict
        assert 2 == len(list(cut.target.params["nets"]))  # type: ignore[arg-type]  # a list, as planned
        assert before == arrived.count


def test_what_waits_in_a_socket_of_another_network_namespace_never_leaves(tmp_path: Path) -> None:
    """The kernel would send what lies in the socket after its holder has ended, and after the proof."""
    need("host", nft.program() is not None, "nft is not installed")
    with hider(tmp_path, ["held_socket", "127.0.0.1", "7443"], listen=HERE) as agent:
        stream, _ = agent.started.listeners[0].accept()
        assert until((agent.home / "full").exists)
        provider, _ = connect(tmp_path, agent.sandbox.reach)
        found = provider.discover()
        for name in (CUT, FREEZE, KILL):
            carry_out(provider, proposal(found, name))
        waiting = _drain(stream)
        provider.close()
        stream.close()

        # What lies in the receiver's own window had arrived; megabytes waited behind it.
        assert waiting < 1 << 20


def test_an_environment_as_large_as_memory_does_not_delay_the_plan(tmp_path: Path) -> None:
    """A process may say that its environment is any of its mappings (prctl(2), PR_SET_MM_MAP)."""
    with hider(tmp_path, ["huge_environment", "8"]) as agent:
        assert until((agent.home / "huge").exists)
        need("host", (agent.home / "huge").read_text().startswith("0 "), "the kernel refuses such a mapping")
        provider, _ = connect(tmp_path, agent.sandbox.reach)
        started = time.monotonic()
        provider.discover()

        assert time.monotonic() - started < 20


class _Arrived:
    """Counts what arrives on a connection."""

    def __init__(self, stream: socket.socket) -> None:
        self.count = 0
        self._stream = stream
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while data := self._stream.recv(4096):
                self.count += len(data)
        except OSError:
            return


def _drain(stream: socket.socket) -> int:
    stream.settimeout(0.5)
    count = 0
    try:
        while data := stream.recv(1 << 20):
            count += len(data)
    except OSError:
        pass
    return count
