"""Faults around a real stop: two at once, a full disk, a clock that is set back."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from breakglass.journal.history import replay
from breakglass.journal.reader import read_journal
from breakglass_host import cgroup
from tests.backends import need
from tests.campaign.conftest import MakeWorld
from tests.campaign.executor import Ended, Executor, executor
from tests.campaign.outcome import complaints, outcome, restore
from tests.campaign.world import INCIDENT, LATER_S, World

CONTAINED = (0, (False, False), False)


def end(world: World) -> tuple[int, tuple[bool, bool], bool]:
    """Return what is left of the agent: processes, live tokens, a client that can mint."""
    found = outcome(world)
    return found.processes, found.tokens_active, found.client_enabled


def test_a_second_stop_of_one_agent_touches_nothing_and_names_the_first(
    make_world: MakeWorld, one_executor: Executor
) -> None:
    """Two processes at once: the second ends with exit 6, the incident and `breakglass resume`."""
    with make_world() as world, executor() as another:
        world.make_plan()
        world.make_plan(incident="inc-second", folder="second")
        first: list[Ended] = []
        # The first one holds still once it has begun, as on a slow cloud.
        holding = threading.Thread(target=lambda: first.append(one_executor.stop(world, hold=[6, 3.0])))
        holding.start()
        wait_for(world.incident / "journal.jsonl", "step.started")
        second = another.stop(world, folder="second")
        alive = len(world.processes())
        holding.join()

        assert 6 == second.code
        assert f"incident {INCIDENT}" in second.said
        assert f"breakglass resume {INCIDENT}" in second.said
        assert 3 == alive
        assert not (world.home / "inc-second" / "journal.jsonl").exists()
        assert (0, CONTAINED) == (first[0].code, end(world))


def wait_for(journal: Path, kind: str) -> None:
    """Wait until a record of this type is in a journal that another process writes."""
    until = time.monotonic() + LATER_S
    while not journal.exists() or f'"type":"{kind}"' not in journal.read_text():
        assert time.monotonic() < until, f"no {kind} in {journal}"
        time.sleep(0.005)


@contextmanager
def small_disk(folder: Path) -> Iterator[list[str]]:
    """Give the words that start a program with a small disk of its own at `folder`.

    A private mount namespace: nobody else sees the disk, and it is gone with the program.
    """
    need("host", os.geteuid() == 0, "a disk of its own needs root")
    folder.mkdir(0o700)
    script = f'mount -t tmpfs -o size=32m,mode=0700 breakglass-test "{folder}" && exec "$@"'
    yield ["unshare", "-m", "sh", "-c", script, "sh"]


@pytest.mark.parametrize("record", [6, 12, 30])
def test_a_disk_that_fills_in_the_middle_stops_the_stop_and_resume_ends_it(
    record: int, make_world: MakeWorld, tmp_path: Path
) -> None:
    """Exit 4 and what to do; nothing was changed without a durable intent; with space, resume ends it."""
    with make_world() as world:
        plan = world.make_plan()
        with small_disk(world.home) as disk, executor(*disk) as one:
            filler = world.home / "filler"
            full = one.stop(world, fill=[record, str(filler)])
            shown = Path(f"/proc/{one.process.pid}/root")
            journal = shown / world.incident.relative_to("/") / "journal.jsonl"
            histories = replay(read_journal(journal).records)
            intended = {plan.steps[n].action for n, step in histories.items() if step.rounds}
            changed = changes(world)
            (shown / filler.relative_to("/")).unlink()
            resumed = one.resume(world)
            shutil.copytree(journal.parent, tmp_path / "incident")

        assert 4 == full.code, full.said
        assert "the disk is full" in full.said
        assert "breakglass resume" in full.said
        assert changed <= intended
        assert 0 == resumed.code, resumed.said
        shutil.copytree(tmp_path / "incident", world.incident)
        assert [] == complaints(world)
        assert CONTAINED == end(world)
        assert () == restore(world)


def changes(world: World) -> set[str]:
    """Return which actions the world shows to have been at work."""
    hierarchy = cgroup.find()
    assert hierarchy is not None
    signs = {
        "host.cgroup.freeze_tree": hierarchy.is_set_to_freeze(world.sandbox.cgroup),
        "host.cron.set_aside": not (world.grounds.agent / "crontab").exists(),
        "host.credentials.withhold": not (world.grounds.agent / "token").exists(),
        "oauth.token.revoke": not world.is_active("access_token"),
        "oauth.client.disable": not world.can_mint(),
    }
    # Disabling the client ends its tokens too.
    signs["oauth.token.revoke"] &= not signs["oauth.client.disable"]
    return {action for action, seen in signs.items() if seen}


def test_a_clock_that_is_set_back_in_the_middle_changes_nothing(
    make_world: MakeWorld, one_executor: Executor
) -> None:
    """Durations come from a clock that nobody sets: same end, no negative time in the report."""
    with make_world() as world:
        world.make_plan()
        ended = one_executor.stop(world, step_at=9, step_back_s=7200)
        timings = json.loads((world.incident / "report.json").read_bytes())["timings"]

        assert 0 == ended.code, ended.said
        assert CONTAINED == end(world)
        assert all(value >= 0 for value in timings.values() if isinstance(value, int | float))


def test_a_clock_behind_the_last_record_starts_nothing(make_world: MakeWorld, one_executor: Executor) -> None:
    """A clock that was set back could make an expired plan look fresh: exit 5, nothing touched."""
    with make_world() as world:
        world.make_plan()
        before = one_executor.stop(world, die=["after", 5])
        refused = one_executor.resume(world, step_back_s=3600)

        assert before.killed
        assert 5 == refused.code
        assert "the clock says" in refused.said
        assert 3 == len(world.processes())
