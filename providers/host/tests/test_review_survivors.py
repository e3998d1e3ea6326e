"""Behaviour that a change of the code could lose without a test noticing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from breakglass.model.action import Verdict
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome
from breakglass_host import cgroup, exclusive, nft, privilege, procfs, vault
from breakglass_host.actions.egress import CutEgress
from breakglass_host.actions.freeze import FreezeTree
from breakglass_host.actions.spool import PauseSpool
from breakglass_host.tree import Tree
from providers.host.tests.rig_a import carry_out, connect, proposal, rogue, until
from providers.host.tests.rig_b import connection
from providers.host.tests.rig_review import hider
from providers.host.tests.test_a_egress import in_netns, neighbour_in
from providers.host.tests.test_review_lacking import stop_without
from providers.host.tests.test_review_neighbours import orphan, orphans
from tests.backends import need

FREEZE, KILL, CUT = "host.cgroup.freeze_tree", "host.cgroup.kill_tree", "host.nft.cut_egress"


def test_a_cgroup_that_was_frozen_before_the_stop_stays_frozen_after_the_restore(tmp_path: Path) -> None:
    """Somebody had frozen it: a restore puts that back and revives nobody."""
    with rogue(tmp_path, ["sleep"]) as agent:
        hierarchy = cgroup.writable()
        assert hierarchy is not None
        hierarchy.freeze(agent.sandbox.cgroup, on=True)
        provider, _ = connect(tmp_path, agent.sandbox.reach)
        step = proposal(provider.discover(), FREEZE)
        action = provider.actions[FREEZE]
        _, before = carry_out(provider, step)
        back = action.revert(step.target, before, action.observe(step.target))

        assert Outcome.ALREADY is back.objects[f"cgroup:{agent.sandbox.cgroup}"]
        assert hierarchy.is_set_to_freeze(agent.sandbox.cgroup)
        assert {agent.started.pid} == hierarchy.pids(agent.sandbox.cgroup)


def test_a_hold_that_the_kernel_has_not_frozen_yet_is_not_contained(tmp_path: Path) -> None:
    """Gathered is not frozen."""
    target = Resource("process-tree", "t", "t", Tree("user:1", uid=1, hold="/hold").params())
    gathered = State(
        {
            "process:7@1": {"name": "x", "cgroup": "/hold", "state": "S"},
            "cgroup:/hold": {"exists": True, "freeze": True, "frozen": False, "populated": True},
        }
    )

    assert Verdict.NOT_CONTAINED is FreezeTree(connection(tmp_path)).judge(target, gathered).verdict


def test_a_namespace_that_no_rule_is_known_for_is_not_cut(tmp_path: Path) -> None:
    """The cgroup is gone and no user is named: an empty list of rules is no proof."""
    target = Resource("network", "n", "n", Tree("cgroup:/x", cgroup="/x").params())
    state = State({"net:5": {"how": "match", "wanted": [], "armed": [], "sockets": [], "gone": False}})

    assert Verdict.NOT_CONTAINED is CutEgress(connection(tmp_path)).judge(target, state).verdict


@pytest.mark.parametrize(
    ("capability", "where"), [("sys_ptrace", "host"), ("sys_admin", "host"), ("net_raw", "network")]
)
def test_a_capability_as_strong_as_the_executor_is_seen(capability: str, where: str) -> None:
    """An ordinary user with one capability can undo a stop, or send past its rules."""
    command = ["setpriv", "--reuid=60001", "--regid=60001", "--clear-groups"]
    command += [f"--inh-caps=-all,+{capability}", f"--ambient-caps=-all,+{capability}", "sleep", "60"]
    need("host", shutil.which("setpriv") is not None and os.geteuid() == 0, "needs root and setpriv")
    with subprocess.Popen(command) as one:
        try:
            # setpriv changes the user, then drops capabilities, then runs the program.
            assert until(lambda: Path(f"/proc/{one.pid}/comm").read_text() == "sleep\n")
            assert procfs.uids(one.pid) == {60_001}
            found = procfs.process(one.pid)
            assert found is not None
            seen = privilege.of([found])
        finally:
            one.kill()

        expected = f"CAP_{capability.upper()}"
        assert [expected in why for why in getattr(seen, where)] == [True]


def test_an_sshd_of_roots_is_never_stopped(tmp_path: Path) -> None:
    """Operators come through it; one that only bears the name is somebody's program."""
    need("host", os.geteuid() == 0, "needs root")
    program = tmp_path / "sshd"
    shutil.copy("/bin/sleep", program)
    for folder in (tmp_path, *tmp_path.parents[:3]):  # side by side with others it lies deeper
        folder.chmod(0o755)
    with subprocess.Popen([program, "60"]) as real, subprocess.Popen([program, "60"], user=60_001) as false:
        try:
            assert until(lambda: procfs.uids(false.pid) == {60_001})
            assert until(lambda: {"sshd"} == {procfs.scan()[one.pid].name for one in (real, false)})
            guarded = exclusive.protected(procfs.scan())
        finally:
            real.kill()
            false.kill()

    assert "the sshd that operators come through" == guarded.get(real.pid)
    assert false.pid not in guarded


def test_a_move_never_replaces_and_says_so(tmp_path: Path) -> None:
    """What stands at the target stays, and what was to be moved stays too."""
    (tmp_path / "one").write_text("one")
    (tmp_path / "two").write_text("two")
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        moved = vault.move("one", folder, "two", folder)
    finally:
        os.close(folder)

    assert not moved
    assert ("one", "two") == ((tmp_path / "one").read_text(), (tmp_path / "two").read_text())


def test_a_spool_that_was_swapped_after_it_was_recorded_is_not_closed(tmp_path: Path) -> None:
    """Somebody else's folder stands there now: it must be recorded first."""
    spool = tmp_path / "spool"
    spool.mkdir(mode=0o755)
    action = PauseSpool(connection(tmp_path / "incident"))
    target = Resource("spool-folder", str(spool), "spool", {})
    before = action.observe(target)
    spool.rename(tmp_path / "first")
    spool.mkdir(mode=0o755)
    action.apply(target, before, "token")

    assert 0o755 == spool.stat().st_mode & 0o777


def test_idle_ipv6_udp_and_closed_full_connections_are_destroyed(tmp_path: Path) -> None:
    """None of them sends anything that a rule could refuse; ``ss`` sees neither them nor their peers."""
    need("host", nft.program() is not None and shutil.which("ss") is not None, "needs nft and ss")
    listen = [("127.0.0.1", 7443), ("::1", 7443)]
    with hider(tmp_path, ["idle_sockets", "7443"], listen=listen) as agent, neighbour_in(agent):
        streams = [one.accept()[0] for one in agent.started.listeners]
        assert until((agent.home / "held").exists)
        before = in_netns(agent, "ss -Htuna")
        provider, _ = connect(tmp_path, agent.sandbox.reach)
        judged, _ = carry_out(provider, proposal(provider.discover(), CUT))
        after = in_netns(agent, "ss -Htuna")
        for one in streams:
            one.close()
        provider.close()

        assert Verdict.CONTAINED is judged.verdict
        assert all(words in before for words in ("[::1]:7443", "FIN-WAIT-1", "udp"))
        assert not [line for line in after.splitlines() if "ESTAB" in line or "FIN-WAIT-1" in line]


def test_a_refusal_that_meets_the_neighbour_too_is_no_proof(tmp_path: Path) -> None:
    """Somebody's own rule refuses everybody: that the agent is refused then says nothing about ours."""
    need("host", nft.program() is not None, "nft is not installed")
    with rogue(tmp_path, ["sleep"]) as agent, neighbour_in(agent):
        provider, _ = connect(tmp_path, agent.sandbox.reach)
        found = provider.discover()
        for name in (CUT, FREEZE, KILL):
            carry_out(provider, proposal(found, name))
        in_netns(
            agent,
            "/usr/sbin/nft add table inet other;"
            " /usr/sbin/nft 'add chain inet other out { type filter hook output priority -50; }';"
            " /usr/sbin/nft add rule inet other out meta l4proto tcp counter reject with tcp reset",
        )
        probed = provider.actions[CUT].probe(proposal(found, CUT).target)
        provider.close()

        assert probed is not None
        assert Verdict.UNKNOWN is probed.verdict, probed.reason
        assert "neighbour" in probed.reason


def test_a_process_under_a_subordinate_uid_of_the_agents_is_stopped_with_it(tmp_path: Path) -> None:
    """As in a rootless container: outside of its cgroup, under a uid that only newuidmap lets it have."""
    with rogue(tmp_path, ["sleep"]) as agent:
        listed = tmp_path / "subuid"
        listed.write_text(f"{agent.sandbox.uid}:1234567:10\n")
        orphan(1_234_569, "/bin/sleep", "60")
        assert until(lambda: bool(orphans(1_234_569)))
        try:
            result = stop_without(str(listed), agent, tmp_path, user=str(agent.sandbox.uid))
            left = orphans(1_234_569)
        finally:
            for one in orphans(1_234_569):
                procfs.send(one, 9)  # type: ignore[arg-type]  # a number is a signal

        assert ["contained", "read_back"] == result["steps"][KILL][:2]
        assert [] == left
