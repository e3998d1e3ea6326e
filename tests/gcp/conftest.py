"""One sandbox for the whole stops of this folder; a project for each test, or the drill's agent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass_gcp.drill import GcpCloud
from breakglass_gcp.sandbox.process import Sandbox, start
from tests.gcp.project_fleet import Cloud


@pytest.fixture(scope="session")
def sandbox_of_projects() -> Iterator[Sandbox]:
    """Run one sandbox."""
    running = start()
    yield running
    running.close()


@pytest.fixture
def cloud(sandbox_of_projects: Sandbox) -> Iterator[Cloud]:
    """Empty the sandbox and make a project whose executor has exactly the rights that are printed."""
    sandbox_of_projects.control("reset")
    made = Cloud.new(sandbox_of_projects)
    yield made
    made.close()


@pytest.fixture
def drilled(sandbox_of_projects: Sandbox, tmp_path: Path) -> Iterator[GcpCloud]:
    """Empty the sandbox and let the drill's agent live in it."""
    sandbox_of_projects.control("reset")
    place = GcpCloud(sandbox_of_projects, tmp_path)
    yield place
    place.retire()
