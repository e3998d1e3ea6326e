"""Crontab and at jobs of the agent's user are set aside, those that come later too, and put back."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from breakglass.errors import Transient
from breakglass.model.action import Verdict
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome
from breakglass_host import schedules
from breakglass_host.actions import scheduled_jobs
from breakglass_host.actions.scheduled_jobs import SetSchedulesAside
from providers.host.tests.rig_b import AGENT_UID, connection, stop
from tests.backends import need

TABLE = b"# kept\n* * * * * /opt/bot/relaunch\n\xff\n"


def at_name(due_s: float, number: int = 1) -> str:
    """Return the name of an at job, as at(1) makes it."""
    return f"a{number:05x}{round(due_s) // 60:08x}"


class Spools:
    """Spool folders of cron and at, as Debian has them."""

    def __init__(self, root: Path) -> None:
        """Make them, with a job of the agent's and one of a neighbour's in each."""
        self.crontabs, self.jobs = root / "crontabs", root / "atjobs"
        for folder in (self.crontabs, self.jobs):
            folder.mkdir()
            folder.chmod(0o1730)
        self.crontab = self.put(self.crontabs / "bot", TABLE, AGENT_UID)
        self.later = self.put(
            self.jobs / at_name(time.time() + 86_400), b"#!/bin/sh\necho later\n", AGENT_UID
        )
        self.others = {
            self.put(self.crontabs / "neighbour", b"@daily true\n", 1),
            self.put(self.jobs / at_name(time.time() + 86_400, 2), b"#!/bin/sh\n", 1),
        }

    @staticmethod
    def put(path: Path, data: bytes, uid: int) -> Path:
        """Write a job of a user."""
        path.write_bytes(data)
        path.chmod(0o600)
        os.chown(path, uid, uid)
        return path


@pytest.fixture
def spools(tmp_path: Path) -> Spools:
    """Make the spools; root alone can give files away."""
    need("host", os.geteuid() == 0, "giving files to the agent's user needs root")
    return Spools(tmp_path)


def settings(spools: Spools) -> dict[str, object]:
    """Return what the inventory says."""
    return {"user": str(AGENT_UID), "crontab": str(spools.crontab), "at_spool": str(spools.jobs)}


def prepared(tmp_path: Path, spools: Spools) -> tuple[SetSchedulesAside, Resource]:
    """Return the action and the target that is proposed."""
    where = connection(tmp_path / "incident", settings(spools))  # type: ignore[arg-type]  # texts are JSON
    found = scheduled_jobs.propose(where, "freeze", "kill")
    return SetSchedulesAside(where), found.proposals[0].target


def test_the_agent_s_jobs_go_and_come_back_and_no_neighbour_s_do(tmp_path: Path, spools: Spools) -> None:
    """Byte for byte, with owner, mode and time."""
    action, target = prepared(tmp_path, spools)
    mine = (spools.crontab, spools.later)
    before = [(p.read_bytes(), p.stat().st_mode, p.stat().st_uid, p.stat().st_mtime_ns) for p in mine]
    prior = stop(action, target)

    assert not spools.crontab.exists()
    assert not spools.later.exists()
    assert all(path.exists() for path in spools.others)
    assert Verdict.CONTAINED is action.judge(target, action.observe(target)).verdict
    done = action.revert(target, prior, action.observe(target))
    assert {str(spools.crontab): Outcome.RESTORED, str(spools.later): Outcome.RESTORED} == done.objects
    assert before == [(p.read_bytes(), p.stat().st_mode, p.stat().st_uid, p.stat().st_mtime_ns) for p in mine]
    assert {Outcome.ALREADY} == set(action.revert(target, prior, action.observe(target)).objects.values())


def test_jobs_that_the_agent_writes_again_are_recorded_and_moved_in_the_next_round(
    tmp_path: Path, spools: Spools
) -> None:
    """Nothing is lost, and the first-seen crontab is the one that comes back."""
    action, target = prepared(tmp_path, spools)
    first = stop(action, target)
    spools.put(spools.crontab, b"* * * * * /opt/bot/again\n", AGENT_UID)
    new = spools.put(spools.jobs / at_name(time.time() + 7200, 9), b"#!/bin/sh\n# new\n", AGENT_UID)

    assert Verdict.NOT_CONTAINED is action.judge(target, action.observe(target)).verdict
    second = stop(action, target)
    assert Verdict.CONTAINED is action.judge(target, action.observe(target)).verdict
    done = action.revert(target, State({**second.objects, **first.objects}), action.observe(target))
    assert {Outcome.RESTORED} == set(done.objects.values())
    assert TABLE == spools.crontab.read_bytes()
    assert new.exists()


def test_an_at_job_whose_time_has_passed_stays_aside(tmp_path: Path, spools: Spools) -> None:
    """Put back, it would run at once."""
    overdue = spools.put(spools.jobs / at_name(time.time() - 120, 7), b"#!/bin/sh\n", AGENT_UID)
    action, target = prepared(tmp_path, spools)
    prior = stop(action, target)
    done = action.revert(target, prior, action.observe(target))

    assert Outcome.CANNOT is done.objects[str(overdue)]
    assert not overdue.exists()
    assert "would run at once" in done.reason


def test_cron_is_made_to_notice_a_second_change_within_one_second(tmp_path: Path, spools: Spools) -> None:
    """It compares the folder's time in whole seconds."""
    action, target = prepared(tmp_path, spools)
    seen = int(spools.crontabs.stat().st_mtime)
    prior = stop(action, target)
    after_stop = int(spools.crontabs.stat().st_mtime)
    action.revert(target, prior, action.observe(target))

    assert seen < after_stop < int(spools.crontabs.stat().st_mtime)


def test_an_empty_schedule_is_contained_and_a_restore_leaves_it_so(tmp_path: Path, spools: Spools) -> None:
    """A crontab that was absent before the stop is not invented."""
    spools.crontab.unlink()
    spools.later.unlink()
    action, target = prepared(tmp_path, spools)
    prior = action.observe(target)

    assert Verdict.CONTAINED is action.judge(target, prior).verdict
    assert {Outcome.ALREADY} == set(action.revert(target, prior, prior).objects.values())


def test_a_job_that_changes_between_reading_and_moving_is_read_again(tmp_path: Path, spools: Spools) -> None:
    """Its prior state must be written first."""
    action, target = prepared(tmp_path, spools)
    before = action.observe(target)
    spools.put(spools.crontabs / "new", b"x\n", AGENT_UID).rename(spools.crontab)

    with pytest.raises(Transient):
        action.apply(target, before, "t")


def test_a_spool_that_cannot_be_read_is_unknown(tmp_path: Path, spools: Spools) -> None:
    """Its folder became a link."""
    action, target = prepared(tmp_path, spools)
    spools.crontabs.rename(tmp_path / "moved")
    spools.crontabs.symlink_to(tmp_path / "moved")
    state = action.observe(target)

    assert not state.complete
    assert Verdict.UNKNOWN is action.judge(target, state).verdict


def test_an_agent_without_a_user_of_its_own_is_not_touched(tmp_path: Path) -> None:
    """Its schedules are somebody else's too."""
    found = scheduled_jobs.propose(connection(tmp_path / "incident", {"cgroup": "/none"}), None, "kill")

    assert ((), 1) == (found.proposals, len(found.not_touched))


@pytest.mark.parametrize(
    ("line", "runs"),
    [
        ("17 * * * * bot cd / && run", True),
        ("@reboot bot /opt/x", True),
        ("# * * * * * bot x", False),
        ("PATH=/usr/bin bot x", False),
        ("* * * * * root su bot", False),
    ],
)
def test_a_line_of_the_system_s_own_table_names_its_user(tmp_path: Path, line: str, runs: bool) -> None:  # noqa: FBT001 - a column of the table
    """Such a file is named as a door, since nobody sets it aside."""
    (tmp_path / "table").write_text(f"SHELL=/bin/sh\n{line}\n")

    assert runs is bool(schedules.system_lines("bot", (str(tmp_path),)))
