"""Drills where something is missing, and those of an ordinary user: what cannot be proven is said."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.backends import need
from tests.drill.real_drill import NO_CLOUDS, ORDINARY, Ran, drill, hierarchy, place

pytestmark = pytest.mark.timeout(1800)


@dataclass(frozen=True)
class Machine:
    """A machine that lacks something, and how a drill there must end."""

    without: tuple[str, ...]
    code: int
    said: tuple[str, ...]


NO_NFT = "not installed: egress is not cut"
USER = f"uid={ORDINARY}"
MACHINES = {
    "ordinary-user": Machine(
        (USER,),
        0,
        (
            "runs in user, pid and network namespaces of its own",
            "systemd, cron and ssh are not drilled: needs root",
            "no cron daemon runs here",
        ),
    ),
    "ordinary-user-without-nft": Machine(
        (USER, "no-nft"),
        0,
        ("runs in user, pid and network namespaces of its own", NO_NFT),
    ),
    "no-walls": Machine(
        (USER, "no-namespaces"),
        4,
        (
            "the kernel does not let this user make user, pid and network namespaces",
            "runs without walls",
            '"no copy left" cannot be proven',
            "the stop is not proven, so there is no claim to compare",
        ),
    ),
    "root-without-nspawn": Machine(
        ("no-nspawn",),
        0,
        (
            "in a cgroup and a network of its own",
            "systemd, cron and ssh are not drilled: not installed: systemd-nspawn",
            "(apt-get install debootstrap systemd-container openssh-client)",
        ),
    ),
    "root-without-cgroups": Machine(
        ("no-cgroups",),
        0,
        ("needs root and a cgroup v2 that can be written to", "user, pid and network namespaces of its own"),
    ),
    "root-without-nft-and-a-private-python": Machine(
        ("no-nft", "no-other-python"),
        0,
        ("in a cgroup and a network of its own", NO_NFT),
    ),
}


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, Future[Ran]]]:
    """Run a drill on each machine; what follows a drill runs beside the next."""
    need("host", os.geteuid() == 0, "only root can take a part of the machine away for a test")
    need("host", hierarchy() is not None, "there is no cgroup v2")
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(_run, machine) for name, machine in MACHINES.items()}


def _run(machine: Machine) -> Ran:
    with place(ORDINARY if USER in machine.without else 0) as here:
        return drill(here, "--keep", str(here.kept), without=(*machine.without, *NO_CLOUDS))


@pytest.mark.parametrize("name", MACHINES)
def test_a_drill_says_what_it_could_not_prove(runs: dict[str, Future[Ran]], name: str) -> None:
    """Exit 0 where all of it was proven, else 4, in words; the files come back and nothing stays."""
    ran, machine = runs[name].result(), MACHINES[name]
    talk = " ".join((ran.talk + ran.out).split())

    assert machine.code == ran.code, ran.talk + ran.out
    assert [] == [words for words in machine.said if words not in talk], ran.talk
    assert "RESTORED: the agent's files are as before, byte for byte" in talk
    assert () == ran.left
    assert ("\nUNKNOWN: " if machine.code else "\nCONTAINED: ") in ran.out
