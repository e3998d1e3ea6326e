"""A container's connections are cut; one that starts and ends all the time is caught; and it may be alone."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass.canon import Json
from breakglass.model.action import Verdict
from breakglass.provider import Discovery, Outcome
from breakglass_host import CARD
from breakglass_host.containers import plan
from providers.host.tests.podman_world_s import PodmanWorld, podman_world
from providers.host.tests.rig_b import connection

PAUSE, STOP, CUT = "host.container.pause", "host.container.stop", "host.nft.cut_egress"


@pytest.fixture
def world() -> Iterator[PodmanWorld]:
    """Give a podman of the test's own."""
    with podman_world() as found:
        yield found


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Listen where a container in the host's network can connect."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        found.settimeout(10)
        yield found


def test_a_held_connection_is_destroyed_and_no_other_is_made(
    world: PodmanWorld, listener: socket.socket
) -> None:
    """It lives in the host's own network, so that only its cgroup tells its packets from everybody's."""
    port = listener.getsockname()[1]
    talk = f"while :; do (while echo hi; do sleep 0.1; done) | nc 127.0.0.1 {port}; sleep 0.2; done"
    name = world.start("agent", "--network=host", script=talk)
    held, _ = listener.accept()
    held.settimeout(10)
    assert held.recv(2)
    steps = world.steps(name)
    before = world.do(steps[CUT])

    try:
        assert Verdict.CONTAINED is world.judge(steps[CUT]).verdict
        held.settimeout(2)
        until = time.monotonic() + 8
        # Reset, an orderly end, or silence: what the rules refused first had its end before it could be told.
        with held, contextlib.suppress(ConnectionError, TimeoutError):
            while held.recv(4096):
                assert time.monotonic() < until, "it still talks"
        listener.settimeout(2)
        with pytest.raises(TimeoutError):
            listener.accept()
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            listener.accept()[0].close()
    finally:  # the rules lie in the network that the tests share
        world.undo(steps[CUT], before)
    listener.settimeout(5)
    listener.accept()[0].close()


def test_a_network_of_its_own_is_cut_whole_and_its_end_takes_it_along(world: PodmanWorld) -> None:
    """Once the container has ended, there is nothing left that could be cut."""
    name = world.start("agent")
    steps = world.steps(name)
    before = world.do(steps[CUT])
    assert Verdict.CONTAINED is world.judge(steps[CUT]).verdict
    world.do(steps[STOP])

    assert Verdict.CONTAINED is world.judge(steps[CUT]).verdict
    assert {Outcome.ALREADY, Outcome.RESTORED} >= set(world.undo(steps[CUT], before).objects.values())


def test_one_that_ends_and_starts_all_the_time_never_gives_two_equal_reads(world: PodmanWorld) -> None:
    """Between two runs nothing of it lives: each run is an object of its own, so that no pause is proof."""
    name = world.start("agent", "--restart=always", script="sleep 0.3")
    steps = world.steps(name)
    runs: set[str] = set()
    until = time.monotonic() + 10
    while len(runs) < 2 and time.monotonic() < until:
        runs |= {key for key in world.observe(steps[STOP]).objects if key.startswith("run:")}
    assert 2 <= len(runs)
    until = time.monotonic() + 20
    while world.judge(steps[STOP]).verdict is not Verdict.CONTAINED or len(settled(world, name)) > 1:
        assert time.monotonic() < until
        world.try_once(steps[STOP])

    time.sleep(3)
    assert Verdict.CONTAINED is world.judge(steps[STOP]).verdict


def settled(world: PodmanWorld, name: str) -> set[str]:
    """Return the runs that two reads, a moment apart, see."""
    step = world.steps(name)[STOP]
    found: set[str] = set()
    for _ in range(2):
        found |= {key for key in world.observe(step).objects if key.startswith("run:")}
        time.sleep(2)
    return found


def test_a_reach_may_hold_nothing_but_a_container(world: PodmanWorld) -> None:
    """Each container is a tree of its own: no empty tree stands beside it, as an unknown."""
    name = world.start("agent")
    settings: dict[str, Json] = {"host": "local", "containers": [f"podman:{name}"]}
    found = world.inside.run(discovered, world.place / "incident", settings)

    assert [PAUSE, STOP] == [one.action for one in found.proposals if one.action in (PAUSE, STOP)]
    assert [] == [one.door.name for one in found.doors]
    assert [] == [one.key for one in found.proposals if "pid-file" in one.key and "snapshot" not in one.key]
    keys = [one.key for one in found.proposals]
    for one in found.proposals:
        assert all(keys.index(wait.key) < keys.index(one.key) for wait in one.after)


def discovered(folder: Path, settings: dict[str, Json]) -> Discovery:
    """Discover as a plan does."""
    return CARD.connect(connection(folder, settings)).discover()


def test_an_inventory_without_containers_says_nothing_about_them(tmp_path: Path) -> None:
    """No engine is asked for."""
    found = plan.propose(connection(tmp_path / "incident", {"user": "bot"}), None, "kill:x")

    assert ((), (), (), ()) == (found.proposals, found.doors, found.not_touched, found.incomplete)
