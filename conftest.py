"""Options of the test run that concern every folder of tests."""

from __future__ import annotations

import signal

import pytest


def pytest_configure() -> None:
    """Take signals back that a shell ignores in the background: programs under test would inherit that."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --full, which campaigns and simulations read through the `full` fixture."""
    parser.addoption("--full", action="store_true", help="every kill point and seed, not the fixed sample")


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Say whether this run takes every point (make campaign) or the fixed sample (make test)."""
    return bool(request.config.getoption("--full"))
