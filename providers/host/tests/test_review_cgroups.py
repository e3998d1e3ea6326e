"""Cgroups below the agent's own neither hide it nor delay the freeze, and a restore finds them again."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass.provider import Outcome
from breakglass_host import cgroup, membership, procfs
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

FREEZE, KILL = "host.cgroup.freeze_tree", "host.cgroup.kill_tree"


@contextlib.contextmanager
def below(agent: Rogue, depth: int, name: str) -> Iterator[None]:
    """Move the agent into a cgroup so deep that its path is longer than any system call takes."""
    folder = os.open(cgroup_folder(agent.sandbox.cgroup), os.O_RDONLY)
    folders = [folder]
    try:
        for _ in range(depth):
            os.mkdir(name, dir_fd=folders[-1])
            folders.append(os.open(name, os.O_RDONLY, dir_fd=folders[-1]))
        procs = os.open("cgroup.procs", os.O_WRONLY, dir_fd=folders[-1])
        os.write(procs, str(agent.started.pid).encode())
        os.close(procs)
        yield
    finally:
        hierarchy = cgroup.writable()
        assert hierarchy is not None
        hierarchy.kill(agent.sandbox.cgroup)
        for inner in (*folders[:0:-1],):
            os.close(inner)
        for at in reversed(range(depth)):
            until(lambda at=at: _gone(name, folders, at))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        os.close(folder)


def _gone(name: str, folders: list[int], depth: int) -> bool:
    at = os.dup(folders[0])
    for _ in range(depth):
        inner = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    try:
        os.rmdir(name, dir_fd=at)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    finally:
        os.close(at)
    return True


@pytest.mark.parametrize("keys", [("cgroup",), ("cgroup", "user")])
def test_a_cgroup_that_is_too_deep_to_list_hides_nobody(tmp_path: Path, keys: tuple[str, ...]) -> None:
    """Its path is longer than PATH_MAX: the processes themselves say where they are."""
    with rogue(tmp_path, ["sleep"]) as agent, below(agent, 18, "d" * 250):
        provider, _ = connect(tmp_path, {"host": "local", **{key: agent.sandbox.reach[key] for key in keys}})
        found = provider.discover()
        frozen, _ = carry_out(provider, proposal(found, FREEZE))
        killed, _ = carry_out(provider, proposal(found, KILL))

        assert CONTAINED == outcome(frozen)
        assert frozen.reason.startswith("1 processes frozen")
        assert CONTAINED == outcome(killed)


def test_thousands_of_empty_cgroups_do_not_delay_the_freeze(tmp_path: Path) -> None:
    """A folder each costs the agent nothing and would cost every listing of ours."""
    with rogue(tmp_path, ["thaw"], delegate=True) as agent:
        assert until((agent.home / "alive").exists)
        folder = Path(cgroup_folder(agent.sandbox.cgroup))
        try:
            for n in range(3000):
                (folder / f"x{n}").mkdir()
            provider, _ = connect(tmp_path, agent.sandbox.reach)
            step = proposal(provider.discover(), FREEZE)
            action = provider.actions[FREEZE]
            started = time.monotonic()
            action.apply(step.target, action.observe(step.target), "token")
            took_s = time.monotonic() - started
            judged = action.judge(step.target, action.observe(step.target))
        finally:
            for n in range(3000):
                with contextlib.suppress(FileNotFoundError):
                    (folder / f"x{n}").rmdir()

        assert CONTAINED == outcome(judged)
        assert took_s < 2.0


def test_a_restore_moves_each_process_back_to_the_very_cgroup_that_it_came_from(tmp_path: Path) -> None:
    """Also one below the agent's own; and one that is gone since gives way to the one above."""
    with rogue(tmp_path, ["thaw"], delegate=True) as agent:
        inner = f"{agent.sandbox.cgroup}/inner"
        assert until(lambda: inner in where(agent))
        first = where(agent)
        provider, _ = connect(tmp_path, agent.sandbox.reach)
        step = proposal(provider.discover(), FREEZE)
        action = provider.actions[FREEZE]
        _, before = carry_out(provider, step)
        back = action.revert(step.target, before, action.observe(step.target))
        after = where(agent)
        _, before = carry_out(provider, step)
        hierarchy = cgroup.writable()
        assert hierarchy is not None
        assert hierarchy.remove(inner)
        action.revert(step.target, before, action.observe(step.target))

        assert {Outcome.RESTORED} == set(back.objects.values())
        assert first == after
        assert [agent.sandbox.cgroup] * 2 == where(agent)


def where(agent: Rogue) -> list[str]:
    """Return the cgroups of the agent's processes."""
    return sorted(procfs.cgroup(one.pid) or "" for one in membership.members(agent.sandbox.reach, "inc-1"))
