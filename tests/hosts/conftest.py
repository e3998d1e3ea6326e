"""What the tests that cut connections share: the program that lets them see, and an undisturbed stop."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from breakglass_host.machine import obstacle
from tests.backends import need
from tests.hosts.cutting import Usual, ground, restore, stop
from tests.hosts.eye import lay_program


@pytest.fixture(scope="session")
def seen_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a PATH on which the program that stands for ssh comes first."""
    why = obstacle()
    need("systemd", not why, why)
    return lay_program(tmp_path_factory.mktemp("ssh"))


@pytest.fixture
def _seen(seen_path: str) -> Iterator[None]:
    """Use it in this process."""
    before = os.environ["PATH"]
    os.environ["PATH"] = seen_path
    try:
        yield
    finally:
        os.environ["PATH"] = before


@pytest.fixture(scope="session")
def _undisturbed() -> list[Usual]:
    return []


@pytest.fixture
def usual(_seen: None, _undisturbed: list[Usual]) -> Usual:
    """Stop and restore once without a cut, on a machine of its own."""
    if not _undisturbed:
        with ground("lodge") as on, on.fleet() as ours:
            ended = stop(on, ours, None)
            undone = restore(on, ours, None)
        assert ("contained", ()) == (ended.verdict, ended.wrong), ended.open
        assert () == undone.wrong
        _undisturbed.append((ended, undone))
    return _undisturbed[0]
