"""Real programs for the drill's tests: each is started by the test and ended with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass_oauth.sandbox import Sandbox, start


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sandbox]:
    """Run a sink."""
    folder = tmp_path / "sink"
    folder.mkdir()
    running = start(folder)
    yield running
    running.close()
