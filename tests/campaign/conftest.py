"""One issuer, three persons and one executor serve the whole campaign; each case has an agent of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from breakglass.testing.operators import Operator
from breakglass_oauth import sandbox as issuer_sandbox
from tests.campaign import world as worlds
from tests.campaign.executor import Executor, executor

MakeWorld = Callable[[], AbstractContextManager[worlds.World]]


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[issuer_sandbox.Sandbox]:
    """Run a real issuer."""
    started = issuer_sandbox.start(tmp_path_factory.mktemp("issuer"))
    try:
        yield started
    finally:
        started.close()


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the executor's log key."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="session")
def operators(keys: Path) -> tuple[Operator, ...]:
    """Enrol three persons."""
    return worlds.people(keys)


@pytest.fixture(scope="session")
def make_world(issuer: issuer_sandbox.Sandbox, operators: tuple[Operator, ...], keys: Path) -> MakeWorld:
    """Start an agent, always under the same name, so that two stops of it can be compared."""
    return lambda: worlds.world(issuer, operators, keys, f"campaign-{os.getpid()}")


@pytest.fixture(scope="session")
def one_executor() -> Iterator[Executor]:
    """Start the process that executors are forked from."""
    with executor() as started:
        yield started
