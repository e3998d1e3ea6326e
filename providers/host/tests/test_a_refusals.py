"""What must not be stopped is refused, and what cannot be proven is said before anyone signs."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from breakglass.errors import Denied
from breakglass.model.action import Grade, Verdict
from breakglass.model.plan import DoorKind, Step
from breakglass.model.resource import Reach, Resource
from breakglass.provider import Discovery
from breakglass_host import CARD, cgroup, hold, privilege, procfs, tree
from breakglass_host.tree import Tree
from providers.host.tests.rig_a import carry_out, connect, proposal, rogue, until
from tests.backends import need

FREEZE, KILL, CUT = "host.cgroup.freeze_tree", "host.cgroup.kill_tree", "host.nft.cut_egress"
OF_THE_TREE = {FREEZE, KILL, CUT}


@contextmanager
def sleeper(*, uid: int = 0, path: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that is somebody else's, in a cgroup if one is named."""
    with subprocess.Popen(["sleep", "60"], user=uid, group=uid, extra_groups=[]) as one:
        try:
            if path:
                found = cgroup.writable()
                assert found is not None
                found.move(one.pid, path)
            yield one
        finally:
            one.kill()


def tree_steps(found: Discovery) -> list[str]:
    """Return the steps that act on processes or their network."""
    return [one.action for one in found.proposals if one.action in OF_THE_TREE]


def step_of(target: Resource, action: str) -> Step:
    """Return a signed step on a target."""
    spec = next(spec for spec in CARD.specs if spec.name == action)
    return Step(
        n=0,
        reach=0,
        capability=spec.capability,
        action=action,
        target=target,
        after=(),
        settle_ms=0,
        deadline_ms=1000,
        best_grade=spec.best_grade,
        window_s=None,
        moot_by=(),
        reversibility=spec.reversibility,
        undo=spec.undo,
        blast_radius=spec.blast_radius,
        destroys_evidence=spec.destroys_evidence,
        affects=(),
        withholds_only=False,
        observed="0" * 64,
    )


def test_a_cgroup_that_holds_the_executor_is_refused_before_signing_and_again_when_running(
    tmp_path: Path,
) -> None:
    """The executor moves into the agent's cgroup: nothing is proposed, a signed plan is refused."""
    with rogue(tmp_path, ["sleep"]) as agent:
        hierarchy = cgroup.writable()
        assert hierarchy is not None
        provider, _ = connect(tmp_path, agent.sandbox.reach)
        signed = proposal(provider.discover(), FREEZE).target
        own = procfs.cgroup(os.getpid()) or "/"
        hierarchy.move(os.getpid(), agent.sandbox.cgroup)
        try:
            found = connect(tmp_path, {"host": "local", "cgroup": agent.sandbox.cgroup})[0].discover()
            [finding] = provider.preflight([step_of(signed, FREEZE)])
            with pytest.raises(Denied, match="refused"):
                hold.gather(tree.of(signed))
        finally:
            hierarchy.move(os.getpid(), own)

        assert [] == tree_steps(found)
        assert [Verdict.NOT_CONTAINED] == [one.door.verdict for one in found.doors]
        assert (False, True) == (finding.ok, "executor" in finding.message)
        assert not hierarchy.is_set_to_freeze(agent.sandbox.cgroup)


def test_a_cgroup_with_somebody_else_in_it_is_not_the_agents_alone(tmp_path: Path) -> None:
    """A process of another user stands beside the agent: the cgroup is left out, and that is said."""
    with rogue(tmp_path, ["sleep"]) as agent, sleeper(uid=60_001, path=agent.sandbox.cgroup) as other:
        found = connect(tmp_path, {"host": "local", "cgroup": agent.sandbox.cgroup})[0].discover()

        assert [] == tree_steps(found)
        assert any("several users" in one.resource for one in found.not_touched)
        assert None is other.poll()


def test_a_user_that_somebody_else_runs_under_is_shared_and_he_lives(tmp_path: Path) -> None:
    """Another program started a process under the agent's user: it is a neighbour, not a copy."""
    with rogue(tmp_path, ["sleep"]) as agent, sleeper(uid=agent.sandbox.uid) as other:
        assert until(lambda: procfs.uids(other.pid) == {agent.sandbox.uid})
        provider, _ = connect(tmp_path, agent.sandbox.reach)
        found = provider.discover()
        carry_out(provider, proposal(found, FREEZE))
        carry_out(provider, proposal(found, KILL))

        assert any(f"process {other.pid}" in one.resource for one in found.not_touched)
        assert None is tree.of(proposal(found, KILL).target).uid
        assert None is other.poll()


def test_exclusivity_that_was_lost_after_signing_stops_the_step(tmp_path: Path) -> None:
    """The check is made again when running."""
    with rogue(tmp_path, ["sleep"]) as agent:
        provider, _ = connect(tmp_path, agent.sandbox.reach)
        signed = proposal(provider.discover(), FREEZE)
        action = provider.actions[FREEZE]
        with sleeper(uid=60_001, path=agent.sandbox.cgroup) as other:
            before = action.observe(signed.target)
            with pytest.raises(Denied, match="is not of user"):
                action.apply(signed.target, before, "token")

            assert Verdict.UNKNOWN is action.judge(signed.target, before).verdict
            assert None is other.poll()
            assert procfs.is_same(procfs.process(other.pid) or procfs.Process(0, 0, 0, "", "Z"))


def test_an_orphan_of_the_agents_user_outside_of_its_cgroup_is_named(tmp_path: Path) -> None:
    """Only a cgroup is named; a process that nobody keeps may be a copy, so it stays open."""
    with rogue(tmp_path, ["sleep"]) as agent:
        code = "import os,time\nif os.fork() == 0:\n os.setsid()\n time.sleep(60)"
        subprocess.run(
            ["/usr/bin/env", "python3", "-c", code], user=agent.sandbox.uid, group=60_001, check=True
        )
        found = connect(tmp_path, {"host": "local", "cgroup": agent.sandbox.cgroup})[0].discover()
        strays = [one.door for one in found.doors if one.door.kind is DoorKind.NO_STEP]
        for one in strays:
            os.kill(int(one.name.split()[1].partition("@")[0]), 9)

        assert [Verdict.UNKNOWN] == [one.verdict for one in strays]
        assert "may be copies" in strays[0].reason


def test_an_agent_with_our_privilege_is_stopped_but_never_proven(tmp_path: Path) -> None:
    """Uid 0 in its cgroup: said as a door before signing, and each step ends without proof."""
    with rogue(tmp_path, ["sleep"]) as agent:
        path = f"{agent.sandbox.cgroup}-root"
        hierarchy = cgroup.writable()
        assert hierarchy is not None
        hierarchy.create(path)
        try:
            with sleeper(path=path) as other:
                provider, _ = connect(tmp_path, {"host": "local", "cgroup": path})
                found = provider.discover()
                judged, _ = carry_out(provider, proposal(found, KILL))
                other.wait(5)
                provider.actions[FREEZE].revert(
                    proposal(found, FREEZE).target,
                    provider.actions[FREEZE].observe(proposal(found, FREEZE).target),
                    provider.actions[FREEZE].observe(proposal(found, FREEZE).target),
                )
        finally:
            hierarchy.kill(path)
            hierarchy.await_events(path, within_s=5, frozen=False)
            until(lambda: hierarchy.remove(path))

        doors = [one.door for one in found.doors if one.door.kind is DoorKind.PRIVILEGED]
        assert any("runs as uid 0" in one.name for one in doors)
        assert Grade.NONE is proposal(found, KILL).best_grade
        assert Grade.NONE is judged.grade


def test_a_container_socket_in_reach_is_our_privilege() -> None:
    """Whoever may write to it starts containers as root."""
    path = Path("/run/docker.sock")
    need("host", os.geteuid() == 0 and not path.exists(), "needs root and a machine without docker")
    with socket.socket(socket.AF_UNIX) as listener, sleeper(uid=60_001) as other:
        listener.bind(str(path))
        try:
            assert until(lambda: procfs.uids(other.pid) == {60_001})
            one = procfs.process(other.pid)
            assert one is not None
            path.chmod(0o660)
            closed = privilege.of([one]).host
            path.chmod(0o666)
            opened = privilege.of([one]).host
        finally:
            path.unlink()

        assert () == closed
        assert 1 == len([why for why in opened if "/run/docker.sock" in why])


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"host": "local"}, "at least one of"),
        ({"host": "ssh://bot-7", "user": "bot"}, "names no account"),
        ({"host": "elsewhere", "user": "bot"}, "expected local"),
        ({"host": "local", "cgroup": "/"}, "not a v2 path"),
        ({"host": "local", "cgroup": "/a/../b"}, "not a plain path"),
        ({"host": "local", "cgroup": '/a"; drop'}, "not a v2 path"),
        ({"host": "local", "pid_file": "bot.pid"}, "not an absolute path"),
    ],
)
def test_an_entry_that_makes_no_sense_is_one_complaint(settings: dict[str, str], complaint: str) -> None:
    """Said when the kit is read, before anything is planned."""
    [found] = CARD.check(Reach("host", settings, "agents/bot.yaml:3:5"))

    assert complaint in found


def test_a_process_tree_of_another_boot_is_nobody() -> None:
    """Pids and start times mean nothing after a reboot."""
    own = procfs.process(os.getpid())
    assert own is not None
    now = Tree("pid-file:/x", pid=own.pid, start=own.start, boot=procfs.boot_id())
    then = Tree("pid-file:/x", pid=own.pid, start=own.start, boot="0" * 36)

    assert own.id == (now.root.id if now.root else "")
    assert None is then.root


def test_a_root_of_another_namespace_is_root_all_the_same() -> None:
    """Its files are root's: it could write root's crontab, so no step here is proof of its end."""
    need("host", os.geteuid() == 0, "only root can make a root of another namespace")
    with subprocess.Popen(["unshare", "--user", "--map-root-user", "sleep", "60"]) as one:
        try:
            apart = procfs.namespace(os.getpid(), "user")
            until(lambda: procfs.namespace(one.pid, "user") not in (0, apart))
            found = procfs.process(one.pid)
            assert found is not None

            assert any("runs as uid 0" in why for why in privilege.of([found]).host)
        finally:
            one.kill()
