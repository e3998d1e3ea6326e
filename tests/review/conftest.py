"""The ground for attacks on whole runs: a kit with three people and some agents, made once."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from tests.cli.ground import Ground, live_agent, make_ground

AGENTS = 9
_CGROUPS = f"/bgreview-{os.getpid()}"
_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Make the kit."""
    yield from make_ground(tmp_path_factory.mktemp("review"), _CGROUPS, AGENTS)


@pytest.fixture
def agent(ground: Ground) -> Iterator[str]:
    """Run an agent that nobody else stops, and name it."""
    assert ground
    number = next(_NUMBERS)
    with live_agent(_CGROUPS, number) as process:
        assert process.poll() is None
        yield f"agent-{number}"
