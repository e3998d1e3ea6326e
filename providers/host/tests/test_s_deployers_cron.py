"""A cron table that would put the agent back is set aside, a real cron runs it no more, and it comes back."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass.canon import Json
from breakglass.errors import Denied
from breakglass.model.action import Verdict
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposed
from breakglass_host.actions import deployers
from breakglass_host.actions.deployer_jobs import PauseJob, complaint
from providers.host.tests.own_mounts_s import OwnMounts, own_mounts
from providers.host.tests.rig_b import connection, public_folder, stop
from tests.backends import need

NAMES = ("deploy-bot", "neighbour")
SETUP = """
mkdir -p {place}/crontabs {place}/cron.d
chmod 1730 {place}/crontabs && chgrp crontab {place}/crontabs
mount --bind {place}/crontabs /var/spool/cron/crontabs
mount --bind {place}/cron.d /etc/cron.d
mount -t tmpfs tmpfs /run
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """Give a folder that other users can reach."""
    with public_folder() as path:
        yield path


@pytest.fixture
def world(place: Path) -> Iterator[OwnMounts]:
    """Give a process whose /etc/cron.d and crontabs are its own."""
    missing = [name for name in ("cron", "unshare") if shutil.which(name, path="/usr/sbin:/usr/bin") is None]
    need("host", os.geteuid() == 0 and not missing, f"root and cron are needed; missing: {missing}")
    with own_mounts(SETUP.format(place=place)) as found:
        yield found


def table(place: Path, name: str) -> Path:
    """Write a system table that leaves a mark each minute."""
    path = place / "cron.d" / name
    path.write_text(f"* * * * * root echo ran >> {place}/out-{name}\n")
    path.chmod(0o644)
    return path


def planned(folder: Path, *entries: str) -> Proposed:
    """Propose for an inventory that names these deployers."""
    settings: dict[str, Json] = {"deployers": list(entries)}
    return deployers.propose(connection(folder, settings), None, "kill:x")


def paused(folder: Path, target: Resource) -> State:
    """Pause it as the engine does, with a second round, and return what it was like before."""
    return stop(PauseJob(connection(folder)), target, rounds=2)


def verdict(folder: Path, target: Resource) -> Verdict:
    """Judge what stands there now."""
    action = PauseJob(connection(folder))
    return action.judge(target, action.observe(target)).verdict


def restored(folder: Path, target: Resource, before: State) -> dict[str, Outcome]:
    """Put it back."""
    action = PauseJob(connection(folder))
    return dict(action.revert(target, before, action.observe(target)).objects)


def test_a_paused_table_fires_no_more_and_its_neighbour_s_does(world: OwnMounts, place: Path) -> None:
    """Cron had loaded both; at the next minute only the neighbour's runs, and a restored one is the same."""
    deploy, _ = (table(place, name) for name in NAMES)
    listed = (deploy.read_bytes(), deploy.stat())
    daemon = f"unshare --pid --fork --kill-child -- cron -f >/dev/null 2>&1 & echo $! > {place}/pid"
    world.sh(daemon)
    try:
        time.sleep(max(0.5, 55 - time.time() % 60) if time.time() % 60 > 50 else 0.5)
        (step,) = world.run(planned, place / "inc", "cron:/etc/cron.d/deploy-bot").proposals
        before = world.run(paused, place / "inc", step.target)

        assert ("deployer:cron//etc/cron.d/deploy-bot",) == step.revokes
        assert Verdict.CONTAINED is world.run(verdict, place / "inc", step.target)
        until = time.monotonic() + 75
        while not (place / "out-neighbour").exists() and time.monotonic() < until:
            time.sleep(0.2)
        time.sleep(1)
        assert (place / "out-neighbour").exists()
        assert not (place / "out-deploy-bot").exists()
    finally:
        world.sh(f"kill -9 $(cat {place}/pid)")
    assert {"/etc/cron.d/deploy-bot": Outcome.RESTORED} == world.run(
        restored, place / "inc", step.target, before
    )
    now = deploy.stat()
    assert listed[0] == deploy.read_bytes()
    assert (listed[1].st_ino, listed[1].st_mode, listed[1].st_mtime_ns) == (
        now.st_ino,
        now.st_mode,
        now.st_mtime_ns,
    )


def test_a_table_that_comes_back_during_the_stop_is_set_aside_too(world: OwnMounts, place: Path) -> None:
    """The first one is what a restore brings back; what came later stays aside."""
    deploy = table(place, "deploy-bot")
    first = deploy.read_bytes()
    (step,) = world.run(planned, place / "inc", "cron:/etc/cron.d/deploy-bot").proposals
    before = world.run(paused, place / "inc", step.target)
    deploy.write_text("* * * * * root echo again\n")

    assert Verdict.NOT_CONTAINED is world.run(verdict, place / "inc", step.target)
    world.run(paused, place / "inc", step.target)
    assert Verdict.CONTAINED is world.run(verdict, place / "inc", step.target)
    world.run(restored, place / "inc", step.target, before)
    assert first == deploy.read_bytes()


def test_what_is_not_there_or_cannot_be_meant_stays_a_door(world: OwnMounts, place: Path) -> None:
    """An inventory that names nothing real is said, and never taken for a pause."""
    odd = ("cron:/etc/cron.d/absent", "cron:/etc/crontab", "cron:/etc/passwd", "timer:x", "cron:/etc/cron.d")
    found = world.run(planned, place / "inc", *odd)

    assert () == found.proposals
    assert [f"deployer {name}" for name in odd] == [door.door.name for door in found.doors]
    assert {Verdict.UNKNOWN} == {door.door.verdict for door in found.doors}


def test_a_signed_target_elsewhere_is_refused(tmp_path: Path) -> None:
    """A plan that was made by hand cannot use this step to move any file of the system."""
    action = PauseJob(connection(tmp_path / "inc"))

    with pytest.raises(Denied, match="does not lie in"):
        action.observe(Resource("deployer", "cron:/etc/shadow", "x", {"path": "/etc/shadow"}))
    assert complaint("/etc/cron.d/.hidden")
    assert complaint("/etc/cron.d/../shadow")
    assert complaint("/var/spool/cron/crontabs")
    assert not complaint("/var/spool/cron/crontabs/bot")
