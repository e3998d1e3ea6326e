"""A real issuer for each test, in a process of its own, ended with the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass_oauth.sandbox import Sandbox, start
from providers.oauth.tests.rig_oauth import OPENED


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[Sandbox]:
    """Run an issuer."""
    folder = tmp_path / "issuer"
    folder.mkdir()
    running = start(folder)
    yield running
    running.close()


@pytest.fixture(autouse=True)
def closing() -> Iterator[None]:
    """Close what a test connected."""
    yield
    while OPENED:
        OPENED.pop().close()
