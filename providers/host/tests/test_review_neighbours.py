"""Looking like a neighbour saves no agent, and pointing at a neighbour ends none."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass.errors import Denied
from breakglass.model.action import Grade, Verdict
from breakglass.model.plan import DoorKind
from breakglass_host import membership, procfs, tree
from breakglass_host.as_agent import identity
from providers.host.tests.rig_a import (
    CONTAINED,
    Rogue,
    carry_out,
    cgroup_folder,
    connect,
    outcome,
    proposal,
    rogue,
    until,
)

FREEZE, KILL, CUT = "host.cgroup.freeze_tree", "host.cgroup.kill_tree", "host.nft.cut_egress"
_ORPHAN = """
import os, sys
folder, uid, *command = sys.argv[1:]
if os.fork() == 0:
    os.setsid()
    if folder:
        open(folder + "/cgroup.procs", "w").write(str(os.getpid()))
    os.setgroups([]); os.setresgid(int(uid), int(uid), int(uid)); os.setresuid(int(uid), int(uid), int(uid))
    os.execv(command[0], command)
"""


def orphan(uid: int, *command: str, cgroup_path: str = "") -> None:
    """Leave a process that nobody keeps, under this user, in this cgroup."""
    folder = cgroup_folder(cgroup_path) if cgroup_path else ""
    subprocess.run([sys.executable, "-c", _ORPHAN, folder, str(uid), *command], check=True)


def orphans(uid: int) -> list[procfs.Process]:
    """Return who runs ``sleep`` under this user."""
    found = (one for one in procfs.scan().values() if one.alive and one.name == "sleep")
    return [one for one in found if uid in procfs.uids(one.pid)]


@pytest.fixture
def set_id_sleep() -> Iterator[str]:
    """Make a set-uid program that waits, as ``su`` and ``sudo`` wait for a password."""
    with tempfile.TemporaryDirectory(prefix="breakglass-test-") as name:
        Path(name).chmod(0o755)
        copy = Path(name, "waits")
        shutil.copy("/bin/sleep", copy)
        os.chown(copy, 60_002, 60_002)
        copy.chmod(0o4755)
        yield str(copy)


@pytest.mark.parametrize("keys", [("cgroup",), ("cgroup", "user")])
def test_a_set_id_program_in_its_cgroup_is_no_neighbour(
    tmp_path: Path, set_id_sleep: str, keys: tuple[str, ...]
) -> None:
    """Anybody can leave a waiting set-uid program behind: it is stopped like the rest."""
    with rogue(tmp_path, ["sleep"]) as agent:
        settings = {"host": "local", **{key: agent.sandbox.reach[key] for key in keys}}
        provider, _ = connect(tmp_path, settings)
        found = provider.discover()
        orphan(60_002, set_id_sleep, "60", cgroup_path=agent.sandbox.cgroup)
        assert until(lambda: any(60_002 in procfs.uids(one.pid) for one in members(agent)))
        again = connect(tmp_path, settings)[0].discover()
        frozen, _ = carry_out(provider, proposal(found, FREEZE))
        killed, _ = carry_out(provider, proposal(found, KILL))

        assert FREEZE in [one.action for one in again.proposals]
        assert CONTAINED == outcome(frozen)
        assert CONTAINED == outcome(killed)
        assert () == members(agent)


def test_a_set_id_program_does_not_hide_whose_jobs_start_the_agent_again(
    tmp_path: Path, set_id_sleep: str
) -> None:
    """Its user is still the one that its own programs run as."""
    with rogue(tmp_path, ["sleep"]) as agent:
        settings = {"host": "local", "cgroup": agent.sandbox.cgroup}
        orphan(60_002, set_id_sleep, "60", cgroup_path=agent.sandbox.cgroup)
        assert until(lambda: any(60_002 in procfs.uids(one.pid) for one in members(agent)))
        who = identity(settings, "inc-1")

        assert who is not None
        assert agent.sandbox.uid == who.uid


def test_a_user_that_looks_shared_after_signing_saves_only_what_is_shared(tmp_path: Path) -> None:
    """A login of its own to this machine is kept by somebody else; the cgroup is frozen all the same."""
    with rogue(tmp_path, ["sleep"]) as agent:
        provider, _ = connect(tmp_path, agent.sandbox.reach)
        signed = proposal(provider.discover(), FREEZE)
        action = provider.actions[FREEZE]
        with subprocess.Popen(["sleep", "60"], user=agent.sandbox.uid) as kept:
            assert until(lambda: procfs.uids(kept.pid) == {agent.sandbox.uid})
            with pytest.raises(Denied, match="the rest is frozen"):
                action.apply(signed.target, action.observe(signed.target), "token")
            where = procfs.cgroup(agent.started.pid)
            judged = action.judge(signed.target, action.observe(signed.target))
            again = connect(tmp_path, agent.sandbox.reach)[0].discover()
            kept.kill()

        assert tree.of(signed.target).hold == where
        assert Verdict.UNKNOWN is judged.verdict
        open_doors = [one.door for one in again.doors if f"process {kept.pid}" in one.door.name]
        assert [(DoorKind.NO_STEP, Verdict.UNKNOWN)] == [(one.kind, one.verdict) for one in open_doors]


def test_a_copy_that_left_the_cgroup_after_signing_keeps_the_end_unproven(tmp_path: Path) -> None:
    """Only a cgroup is named: whoever appears outside of it, under its user and kept by nobody, is said."""
    with rogue(tmp_path, ["sleep"]) as agent:
        settings = {"host": "local", "cgroup": agent.sandbox.cgroup}
        provider, _ = connect(tmp_path, settings)
        found = provider.discover()
        orphan(agent.sandbox.uid, "/bin/sleep", "60")
        assert until(lambda: bool(orphans(agent.sandbox.uid)))
        try:
            carry_out(provider, proposal(found, FREEZE))
            kill = proposal(found, KILL)
            with contextlib.suppress(Denied):
                carry_out(provider, kill, within_s=2)
            action = provider.actions[KILL]
            judged = action.judge(kill.target, action.observe(kill.target))
        finally:
            for one in orphans(agent.sandbox.uid):
                procfs.send(one, 9)  # type: ignore[arg-type]  # a number is a signal

        assert () == members(agent)
        assert (Verdict.UNKNOWN, Grade.NONE) == outcome(judged)
        assert "may be a copy" in judged.reason


@pytest.mark.parametrize("keys", [("cgroup",), ("user",), ("cgroup", "user"), ()])
def test_a_pid_file_that_names_a_neighbour_ends_no_neighbour(tmp_path: Path, keys: tuple[str, ...]) -> None:
    """The agent may have written the file: a process of another user and cgroup is left alone, and named."""
    with rogue(tmp_path, ["sleep"]) as agent, subprocess.Popen(["sleep", "60"], user=60_003) as neighbour:
        pid_file = agent.home / "pid"
        pid_file.write_text(str(neighbour.pid))
        os.chown(pid_file, agent.sandbox.uid, agent.sandbox.uid)
        assert until(lambda: procfs.uids(neighbour.pid) == {60_003})
        if keys:
            os.chown(pid_file, 0, 0)
        settings = {"host": "local", "pid_file": str(pid_file)}
        settings |= {key: agent.sandbox.reach[key] for key in keys}
        provider, _ = connect(tmp_path, settings)
        found = provider.discover()
        for action in (FREEZE, KILL) if keys else ():
            carry_out(provider, proposal(found, action))
        state = neighbour.poll()
        neighbour.kill()

        assert None is state
        assert any("pid file" in one.door.name + one.door.reason for one in found.doors)


def test_a_link_in_place_of_the_pid_file_is_not_followed(tmp_path: Path) -> None:
    """A link of the agent's could point to any pid file of the machine."""
    with rogue(tmp_path, ["sleep"]) as agent:
        theirs = tmp_path / "cron.pid"
        theirs.write_text(str(agent.started.pid))
        link = agent.home / "pid"
        link.symlink_to(theirs)
        os.lchown(link, agent.sandbox.uid, agent.sandbox.uid)

        assert None is tree.named({"host": "local", "pid_file": str(link)}).root
        assert None is not tree.named({"host": "local", "pid_file": str(theirs)}).root


def test_a_cgroup_with_nobody_in_it_leaves_open_whose_jobs_start_the_agent(tmp_path: Path) -> None:
    """Between two runs by cron nothing says who its user is."""
    with rogue(tmp_path, ["sleep"]) as agent:
        settings = {"host": "local", "cgroup": agent.sandbox.cgroup}
        provider, _ = connect(tmp_path, settings)
        first = provider.discover()
        carry_out(provider, proposal(first, KILL))
        found = connect(tmp_path, settings, "inc-1")[0].discover()

        assert not [one for one in first.doors if one.door.name == "crontabs and at jobs"]
        assert ["crontabs and at jobs"] == [one.door.name for one in found.doors]


def members(agent: Rogue) -> tuple[procfs.Process, ...]:
    """Return who lives in its cgroup or its hold."""
    return membership.members({"host": "local", "cgroup": agent.sandbox.cgroup}, "inc-1")
