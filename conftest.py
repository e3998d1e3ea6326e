"""Options of the test run that concern every folder of tests."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --full, which campaigns and simulations read through the `full` fixture."""
    parser.addoption("--full", action="store_true", help="every kill point and seed, not the fixed sample")


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Say whether this run takes every point (make campaign) or the fixed sample (make test)."""
    return bool(request.config.getoption("--full"))
