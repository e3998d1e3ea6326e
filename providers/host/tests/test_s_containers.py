"""A container of a real podman is paused, ended, does not come back, and is started again at restore."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from breakglass.errors import Transient
from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from providers.host.tests.podman_world_s import PodmanWorld, podman_world

PAUSE, SNAPSHOT, STOP = "host.container.pause", "host.container.snapshot", "host.container.stop"


@pytest.fixture
def world() -> Iterator[PodmanWorld]:
    """Give a podman of the test's own."""
    with podman_world() as found:
        yield found


def beats(world: PodmanWorld, name: str) -> int:
    """Return how often the agent in the container has acted, by its log."""
    return world.inside.sh(f"podman logs {name}").count("beat")


def test_a_stubborn_container_is_frozen_at_once_and_stays_so(world: PodmanWorld) -> None:
    """Its cgroup is frozen by the kernel, which needs no engine, and it does nothing more."""
    name = world.start("agent", "--restart=always")
    step = world.steps(name)[PAUSE]
    world.do(step)

    assert Verdict.CONTAINED is world.judge(step).verdict
    seen = beats(world, name)
    time.sleep(1)
    assert seen == beats(world, name)


def test_a_paused_container_goes_on_where_it_was(world: PodmanWorld) -> None:
    """The very process goes on; one that was paused before the stop stays paused."""
    name, other = world.start("agent"), world.start("paused")
    world.inside.sh(f"podman pause {other}")
    pid = world.inspect(name)["State"]["Pid"]
    steps = {one: world.steps(one)[PAUSE] for one in (name, other)}
    before = {one: world.do(steps[one]) for one in steps}

    assert [Outcome.RESTORED] == list(world.undo(steps[name], before[name]).objects.values())
    assert [Outcome.ALREADY] == list(world.undo(steps[other], before[other]).objects.values())
    assert ("running", pid) == (world.status(name), world.inspect(name)["State"]["Pid"])
    assert "paused" == world.status(other)


def test_what_its_friend_thaws_is_frozen_again(world: PodmanWorld) -> None:
    """Somebody with root writes to the cgroup: the next reading sees it, and the next round freezes again."""
    name = world.start("agent")
    step = world.steps(name)[PAUSE]
    world.do(step)
    world.inside.sh(f"echo 0 > /sys/fs/cgroup{world.cgroup(name)}/cgroup.freeze; sleep 0.2")

    assert Verdict.NOT_CONTAINED is world.judge(step).verdict
    world.do(step)
    assert Verdict.CONTAINED is world.judge(step).verdict


def test_one_that_always_restarts_is_ended_and_not_back_after_ten_seconds(world: PodmanWorld) -> None:
    """Podman starts again what the kernel alone kills: the engine's own kill keeps it down."""
    name = world.start("agent", "--restart=always")
    steps = world.steps(name)
    world.do(steps[PAUSE])
    before = world.do(steps[STOP])
    time.sleep(10)

    assert Verdict.CONTAINED is world.judge(steps[STOP]).verdict
    assert "exited" == world.status(name)
    reversal = world.undo(steps[STOP], before)
    assert [Outcome.RESTORED] == list(reversal.objects.values())
    assert "running" == world.status(name)
    policy = world.inspect(name)["HostConfig"]["RestartPolicy"]["Name"]
    assert "always" == policy


def test_the_kernel_alone_would_not_have_kept_it_down(world: PodmanWorld) -> None:
    """Why the engine is asked first: this is what podman does."""
    name = world.start("agent", "--restart=always")
    world.inside.sh(f"echo 1 > /sys/fs/cgroup{world.cgroup(name)}/cgroup.kill; sleep 3")

    assert 1 <= world.inspect(name)["RestartCount"]


def test_made_again_under_the_same_name_it_is_ended_too(world: PodmanWorld) -> None:
    """The step is closed over the name: another id is the name's container as well."""
    name = world.start("agent")
    steps = world.steps(name)
    world.do(steps[STOP])
    world.inside.sh(f"podman rm --force --time 0 {name}")
    world.start("agent")

    assert Verdict.NOT_CONTAINED is world.judge(steps[STOP]).verdict
    world.do(steps[STOP])
    assert Verdict.CONTAINED is world.judge(steps[STOP]).verdict


def test_a_second_stop_and_a_second_restore_change_nothing(world: PodmanWorld) -> None:
    """What had ended before the stop stays ended, whatever is repeated."""
    name, ended = world.start("agent"), world.start("ended", script="exit 0")
    for one in (name, ended):
        step = world.steps(one)[STOP]
        before = world.do(step, rounds=3)
        world.undo(step, before)
        assert [Outcome.ALREADY] == list(world.undo(step, before).objects.values())
    assert "running" == world.status(name)
    assert "exited" == world.status(ended)


def test_a_container_made_with_rm_is_frozen_and_keeps_its_files(world: PodmanWorld) -> None:
    """Its end would delete its file system, which no stop may: frozen by the kernel it is contained."""
    name = world.start("agent", "--rm")
    steps = world.steps(name)
    before = {action: world.do(steps[action]) for action in (PAUSE, STOP)}

    judged = world.judge(steps[STOP])
    assert (Verdict.CONTAINED, True) == (judged.verdict, "frozen: made with --rm" in judged.reason)
    world.undo(steps[STOP], before[STOP])
    assert [Outcome.RESTORED] == list(world.undo(steps[PAUSE], before[PAUSE]).objects.values())


def test_a_hung_monitor_keeps_it_frozen_and_is_never_called_ended(world: PodmanWorld) -> None:
    """Conmon is stopped by a signal: the end cannot be proven, and is proven once it goes on."""
    name = world.start("agent", "--restart=always")
    steps = world.steps(name)
    monitor = world.inspect(name)["State"]["ConmonPid"]
    world.inside.sh(f"kill -STOP {monitor}")
    world.do(steps[PAUSE])
    assert Verdict.CONTAINED is world.judge(steps[PAUSE]).verdict
    with pytest.raises(Transient, match="gave no answer"):
        world.do(steps[STOP], rounds=1)

    assert world.judge(steps[STOP]).verdict in (Verdict.UNKNOWN, Verdict.NOT_CONTAINED)
    world.inside.sh(f"kill -CONT {monitor}; sleep 2")
    world.do(steps[STOP])
    assert Verdict.CONTAINED is world.judge(steps[STOP]).verdict
