"""What the agent sends is refused, what it holds is cut, and neighbours notice nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from breakglass.model.action import Grade, Verdict
from breakglass.model.plan import NotTouched
from breakglass.provider import Outcome
from breakglass_host import cgroup, nft
from providers.host.tests.rig_a import Rogue, carry_out, connect, outcome, proposal, rogue, until
from tests.backends import need

FREEZE, KILL, CUT = "host.cgroup.freeze_tree", "host.cgroup.kill_tree", "host.nft.cut_egress"
_CONNECT = 'import socket; socket.create_connection(("127.0.0.1", 7443))'
PROBED = (Verdict.CONTAINED, Grade.REFUSED_AS_AGENT)


@pytest.fixture(autouse=True)
def _nft() -> None:
    need("host", nft.program() is not None, "nft is not installed")


class Sink:
    """Counts what arrives on a listener, whoever sends it."""

    def __init__(self, listener: socket.socket) -> None:
        """Serve in threads of its own."""
        self.arrived = 0
        self.accepted = 0
        self._listener = listener
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                one, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._read, args=(one,), daemon=True).start()

    def _read(self, one: socket.socket) -> None:
        with one:
            while True:
                try:
                    if not one.recv(4096):
                        return
                except OSError:
                    return
                self.arrived += 1


@contextmanager
def streaming(tmp_path: Path, *, privileged: bool = True) -> Iterator[tuple[Rogue, tuple[Sink, ...]]]:
    """Run a rogue that streams over IPv4 and IPv6 to sinks outside of its sandbox."""
    listen = (("127.0.0.1", 7443), ("::1", 7443))
    with rogue(
        tmp_path, ["stream", "127.0.0.1-7443", "::1-7443"], listen=listen, privileged=privileged
    ) as agent:
        sinks = tuple(Sink(one) for one in agent.started.listeners)
        assert until(lambda: all(sink.arrived > 3 for sink in sinks))
        yield agent, sinks


def arrived_later(sinks: tuple[Sink, ...]) -> int:
    """Count what still arrives once what was under way is in."""
    time.sleep(0.1)
    before = sum(sink.arrived + sink.accepted for sink in sinks)
    time.sleep(0.3)
    return sum(sink.arrived + sink.accepted for sink in sinks) - before


def in_netns(agent: Rogue, script: str) -> str:
    """Run a shell script in the sandbox's network namespace, outside of its cgroup and user."""
    done = subprocess.run(
        ["nsenter", f"--net=/proc/self/fd/{agent.started.netns}", "sh", "-c", script],
        pass_fds=[agent.started.netns],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def rules(agent: Rogue) -> str:
    """List every rule in the sandbox's network namespace."""
    return in_netns(agent, "/usr/sbin/nft list ruleset")


@contextmanager
def neighbour_in(agent: Rogue) -> Iterator[subprocess.Popen[bytes]]:
    """Run somebody else in the same network namespace, so that it is not the agent's alone."""
    with subprocess.Popen(
        ["nsenter", f"--net=/proc/self/fd/{agent.started.netns}", "sleep", "60"],
        pass_fds=[agent.started.netns],
    ) as one:
        try:
            assert until(lambda: Path(f"/proc/{one.pid}/comm").read_text().strip() == "sleep")
            yield one
        finally:
            one.kill()


def test_a_held_stream_and_new_connections_end_while_the_agent_still_runs(tmp_path: Path) -> None:
    """The cut alone stops both address families, before anything is frozen."""
    with streaming(tmp_path) as (agent, sinks):
        provider, _ = connect(tmp_path, agent.sandbox.reach)
        judged, _ = carry_out(provider, proposal(provider.discover(), CUT))

        assert Verdict.CONTAINED is judged.verdict, judged.reason
        assert 0 == arrived_later(sinks)
        provider.close()


def test_the_probe_waits_for_the_end_and_is_then_refused_as_the_agent(tmp_path: Path) -> None:
    """Not yet while something lives; afterwards refused over IPv4 and IPv6, in the agent's own place."""
    with streaming(tmp_path) as (agent, _):
        provider, _made = connect(tmp_path, agent.sandbox.reach)
        found = provider.discover()
        cut = proposal(found, CUT)
        action = provider.actions[CUT]
        carry_out(provider, cut)
        early = action.probe(cut.target)
        carry_out(provider, proposal(found, FREEZE))
        frozen = action.probe(cut.target)
        carry_out(provider, proposal(found, KILL))
        late = action.probe(cut.target)

        assert early is not None
        assert frozen is not None
        assert late is not None
        assert (Verdict.UNKNOWN, Verdict.UNKNOWN) == (early.verdict, frozen.verdict)
        assert "not yet" in early.reason
        assert PROBED == outcome(late), late.reason
        assert "IPv4 ECONNREFUSED, IPv6 ECONNREFUSED" in late.reason
        provider.close()


def test_in_a_shared_network_namespace_the_neighbour_goes_on(tmp_path: Path) -> None:
    """Rules match the agent's cgroup and user; a neighbour connects as before."""
    with streaming(tmp_path) as (agent, sinks), neighbour_in(agent):
        provider, _ = connect(tmp_path, agent.sandbox.reach)
        found = provider.discover()
        judged, _ = carry_out(provider, proposal(found, CUT))
        listed = rules(agent)
        still = arrived_later(sinks)
        accepted = sinks[0].accepted
        in_netns(agent, f"python3 -c '{_CONNECT}'")

        assert Verdict.CONTAINED is judged.verdict, judged.reason
        assert 0 == still
        assert f'socket cgroupv2 level 2 "unified{agent.sandbox.cgroup}"' in listed
        assert f"meta skuid {agent.sandbox.uid}" in listed
        assert until(lambda: sinks[0].accepted > accepted)

        carry_out(provider, proposal(found, FREEZE))
        carry_out(provider, proposal(found, KILL))
        probed = provider.actions[CUT].probe(proposal(found, CUT).target)
        assert probed is not None
        assert PROBED == outcome(probed)
        provider.close()


def test_a_cgroup_that_was_made_again_is_armed_again(tmp_path: Path) -> None:
    """A rule is bound to the inode: the step is open until the new one is matched."""
    with rogue(tmp_path, ["sleep"]) as agent, neighbour_in(agent):
        settings = {"host": "local", "cgroup": agent.sandbox.cgroup}
        provider, _ = connect(tmp_path, settings)
        cut = proposal(provider.discover(), CUT)
        carry_out(provider, cut)
        hierarchy = cgroup.writable()
        assert hierarchy is not None
        hierarchy.kill(agent.sandbox.cgroup)
        hierarchy.await_events(agent.sandbox.cgroup, within_s=5, frozen=False)
        assert until(lambda: hierarchy.remove(agent.sandbox.cgroup))
        hierarchy.create(agent.sandbox.cgroup)
        action = provider.actions[CUT]
        escaped = action.judge(cut.target, action.observe(cut.target))
        armed, _ = carry_out(provider, cut)

        assert Verdict.NOT_CONTAINED is escaped.verdict
        assert Verdict.CONTAINED is armed.verdict
        provider.close()


def test_restore_removes_the_rules_and_leaves_what_somebody_else_added(tmp_path: Path) -> None:
    """Ours go, and the table with them; a chain with a foreign rule is left alone."""
    with rogue(tmp_path, ["sleep"]) as agent:
        provider, _ = connect(tmp_path, agent.sandbox.reach)
        cut = proposal(provider.discover(), CUT)
        _, before = carry_out(provider, cut)
        action = provider.actions[CUT]
        table, chain = "inet breakglass_inc_1", rules(agent).split("chain ")[1].split(" ")[0]
        in_netns(agent, f"/usr/sbin/nft add rule {table} {chain} counter accept")
        foreign = action.revert(cut.target, before, action.observe(cut.target))
        carry_out(provider, cut)
        action.apply(cut.target, action.observe(cut.target), "token")
        clean = action.revert(cut.target, before, action.observe(cut.target))
        again = action.revert(cut.target, before, action.observe(cut.target))

        assert [Outcome.DRIFTED] == list(foreign.objects.values())
        assert [Outcome.RESTORED] == list(clean.objects.values())
        assert [Outcome.ALREADY] == list(again.objects.values())
        assert "" == rules(agent)
        provider.close()


def test_a_shared_tree_is_not_cut_but_its_sockets_are_destroyed(tmp_path: Path) -> None:
    """Only a pid file names it, in a network namespace with a neighbour: said so, and never proven."""
    with streaming(tmp_path) as (agent, sinks), neighbour_in(agent):
        settings = {"host": "local", "pid_file": str(agent.sandbox.pid_file)}
        provider, _ = connect(tmp_path, settings)
        found = provider.discover()
        cut = proposal(found, CUT)
        carry_out(provider, proposal(found, FREEZE))
        judged, _ = carry_out(provider, cut)

        assert Grade.NONE is cut.best_grade
        assert (Verdict.CONTAINED, Grade.NONE) == outcome(judged)
        assert "shared: egress not cut" in judged.reason
        assert 0 == arrived_later(sinks)
        assert "" == rules(agent)
        provider.close()


def test_a_user_that_the_executor_runs_as_is_refused(tmp_path: Path) -> None:
    """A rule for uid 0 would cut the machine off; nothing is proposed for it."""
    for user in ("root", str(os.getuid())):
        provider, _ = connect(tmp_path, {"host": "local", "user": user})
        found = provider.discover()

        assert not [one for one in found.proposals if one.action in (FREEZE, KILL, CUT)]
        assert isinstance(found.not_touched[0], NotTouched)


def test_ssh_agent_and_dbus_are_named_as_not_cut(tmp_path: Path) -> None:
    """A unix socket carries requests out whatever the network rules say."""
    with rogue(tmp_path, ["sleep"], env={"SSH_AUTH_SOCK": "/run/user/1/ssh-agent"}) as agent:
        provider, _ = connect(tmp_path, agent.sandbox.reach)
        found = provider.discover()

        assert any("ssh-agent /run/user/1/ssh-agent" in one.resource for one in found.not_touched)
