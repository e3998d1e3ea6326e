"""One sandbox for the whole stops of this folder, emptied before each test, with an executor in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from breakglass_aws.sandbox.process import Sandbox, start
from tests.aws.cloud_fleet import Cloud


@pytest.fixture(scope="session")
def sandbox_of_stops() -> Iterator[Sandbox]:
    """Run one sandbox."""
    running = start()
    yield running
    running.close()


@pytest.fixture
def cloud(sandbox_of_stops: Sandbox) -> Iterator[Cloud]:
    """Empty the sandbox and make the executor, with exactly the rights that it is given."""
    sandbox_of_stops.control("reset")
    made = Cloud(sandbox_of_stops)
    made.make_executor()
    yield made
    made.faults()
