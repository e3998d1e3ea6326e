"""A sandbox for all tests of this folder, in a process of its own; each test has a project of its own."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass_gcp.sandbox.process import Sandbox, start
from providers.gcp.tests import restoring_gcp
from providers.gcp.tests.rig_gcp import Rig
from tests.backends import need


@pytest.fixture(scope="session")
def gcp_sandbox() -> Iterator[Sandbox]:
    """Run one sandbox."""
    installed = all(importlib.util.find_spec(one) is not None for one in ("grpc", "googleapiclient"))
    need("gcp", installed, "pip install 'breakglass[sandbox]'")
    running = start()
    restoring_gcp.SANDBOXES.append(running)
    yield running
    running.close()


@pytest.fixture
def rig(gcp_sandbox: Sandbox, tmp_path: Path) -> Iterator[Rig]:
    """Make a project with an executor that has exactly the rights that the provider prints."""
    made = Rig.new(gcp_sandbox, tmp_path)
    yield made
    made.close()
    # What one test lets pass must not make the next one's keys younger than its incident.
    gcp_sandbox.control("advance", {"back": True})
