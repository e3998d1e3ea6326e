"""Reaches that may be connected side by side are, and one that never answers holds up nobody."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass.clock import SystemClock
from breakglass.incident.folder import IncidentFolder
from breakglass.model.resource import AgentRef, Reach
from breakglass.usecases.connections import LateJournal, Surroundings, connect
from breakglass.usecases.site import FileCredentials

SOURCE = """
import threading
from breakglass.errors import Denied, Unreachable
from breakglass.provider import Card

met = threading.Barrier(3)
threads = set()
warmed = set()


class Nothing:
    actions = {{}}
    budgets = {{}}

    def discover(self): ...
    def preflight(self, steps): return ()
    def close(self): ...


def _connect(connection):
    threads.add(threading.get_ident())
    wanted = connection.reach.settings["does"]
    if wanted == "meet":
        met.wait(10)
    if wanted == "refuse":
        raise Unreachable("nobody answers at that address")
    return Nothing()


def _warm(connection):
    warmed.add(threading.get_ident())
    if connection.reach.settings["does"] == "lack":
        raise Denied("there are no credentials")
    return lambda: _connect(connection)


CARD = Card(name="{name}", summary="a test's", capabilities=(), settings=(), specs=(), connect=_connect,
            concurrent={concurrent}, warm={warm})
"""


@pytest.fixture
def providers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a stranger's providers: for any thread, for the main thread, and for one after the other."""
    for name, concurrent, warm in (("many", True, None), ("single", False, None), ("halves", False, "_warm")):
        info = tmp_path / "site" / f"{name}_provider-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-provider\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[breakglass.providers]\n{name} = {name}_provider:CARD\n")
        source = SOURCE.format(name=name, concurrent=concurrent, warm=warm)
        (info.parent / f"{name}_provider.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield
    for name in ("many_provider", "single_provider", "halves_provider"):
        sys.modules.pop(name, None)


def surroundings(folder: Path) -> Surroundings:
    """Return what the connections of a test share."""
    where = IncidentFolder.create(folder / "incident")
    agent = AgentRef("bot", "platform", None)
    return Surroundings(
        agent, "inc-1", drill=True, clock=SystemClock(), folder=where, credentials=FileCredentials(folder)
    )


def reach(provider: str, does: str) -> Reach:
    """Return one entry of an inventory."""
    return Reach(provider, {"does": does}, "kit:1")


@pytest.mark.usefixtures("providers")
def test_hosts_are_connected_side_by_side(tmp_path: Path) -> None:
    """Three connections that wait for each other all come to be, which one after the other never would."""
    found = connect([reach("many", "meet")] * 3, surroundings(tmp_path), LateJournal())

    assert [0, 1, 2] == list(found.providers)
    assert {} == found.failures


@pytest.mark.usefixtures("providers")
def test_one_that_refuses_is_named_and_the_others_are_connected(tmp_path: Path) -> None:
    """A host that does not answer is a failure of its own reach alone."""
    wanted = [reach("many", "pass"), reach("many", "refuse"), reach("single", "pass")]

    found = connect(wanted, surroundings(tmp_path), LateJournal())

    assert [0, 2] == list(found.providers)
    assert {1: "nobody answers at that address"} == {n: error.what for n, error in found.failures.items()}


@pytest.mark.usefixtures("providers")
def test_a_provider_that_imports_an_sdk_is_connected_on_the_main_thread(tmp_path: Path) -> None:
    """First imports on several threads lost calls without a word."""
    connect([reach("single", "pass")] * 2, surroundings(tmp_path), LateJournal())

    assert {threading.get_ident()} == sys.modules["single_provider"].threads


@pytest.mark.usefixtures("providers")
def test_one_that_imports_and_then_calls_does_the_first_on_the_main_thread_and_the_other_side_by_side(
    tmp_path: Path,
) -> None:
    """Three calls that wait for each other are all answered; every import came before, on this thread."""
    found = connect([reach("halves", "meet")] * 3, surroundings(tmp_path), LateJournal())

    assert [0, 1, 2] == list(found.providers)
    provider = sys.modules["halves_provider"]
    assert {threading.get_ident()} == provider.warmed
    assert threading.get_ident() not in provider.threads


@pytest.mark.usefixtures("providers")
def test_one_whose_first_half_fails_is_named_as_one_whose_second_half_does(tmp_path: Path) -> None:
    """Neither keeps the third from being connected."""
    wanted = [reach("halves", "lack"), reach("halves", "refuse"), reach("halves", "pass")]

    found = connect(wanted, surroundings(tmp_path), LateJournal())

    assert [2] == list(found.providers)
    assert {0: "there are no credentials", 1: "nobody answers at that address"} == {
        n: error.what for n, error in found.failures.items()
    }
