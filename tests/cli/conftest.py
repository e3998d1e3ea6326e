"""The ground that every test of the command line stands on: made once, with an agent for each test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from tests.cli.ground import Ground, live_agent, make_ground

AGENTS = 24
_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def cgroups() -> str:
    """Name a cgroup that no other run of these tests has."""
    return f"/bgcli-{os.getpid()}"


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory, cgroups: str) -> Iterator[Ground]:
    """Make the kit once."""
    yield from make_ground(tmp_path_factory.mktemp("ground"), cgroups, AGENTS)


@pytest.fixture
def agent(ground: Ground, cgroups: str) -> Iterator[str]:
    """Run an agent that nobody else stops, and name it."""
    assert ground
    number = next(_NUMBERS)
    with live_agent(cgroups, number) as process:
        assert process.poll() is None
        yield f"agent-{number}"
