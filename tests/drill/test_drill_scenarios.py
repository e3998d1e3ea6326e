"""The other scenarios: an agent that forks, floods or hoards meanwhile is stopped all the same."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.cli.terminal import Terminal
from tests.drill.real_drill import (
    NO_CLOUDS,
    ON_THIS_HOST,
    Ran,
    cgroups,
    drill,
    left_behind,
    need_a_place,
    place,
    turn,
)

pytestmark = pytest.mark.timeout(1800)
SCRIPTED = ("fork-storm", "log-flood")


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, Future[Ran]]]:
    """Run those that need no terminal side by side."""
    need_a_place()
    with ThreadPoolExecutor() as pool:
        yield {name: pool.submit(_run, name) for name in SCRIPTED}


def _run(name: str) -> Ran:
    with place() as here:
        ran = drill(here, name, "--keep", str(here.kept), without=NO_CLOUDS)
        assert "contained" == here.report()["verdict"], ran.talk
        return ran


@pytest.mark.parametrize("name", SCRIPTED)
def test_it_ends_contained_and_honest(runs: dict[str, Future[Ran]], name: str) -> None:
    """Exit 0: proven, no effect after the proof, files put back, and nothing left."""
    ran = runs[name].result()

    assert (0, ()) == (ran.code, ran.left), ran.talk + ran.out
    assert "nothing arrived after our proof" in ran.talk
    assert ran.out.startswith("\nCONTAINED: ")


def test_ten_thousand_open_files_at_a_terminal_of_24_lines() -> None:
    """What a person sees: stages with a timer, a line a step, and the verdict with its numbers last."""
    need_a_place()
    before = cgroups()
    with turn(), place() as here, Terminal([*ON_THIS_HOST, "open-files"], here.environ) as terminal:
        for words in (
            "making keys for three throwaway persons",
            "waiting until the tripwire sees something forbidden",
            "reached the forbidden channel exfiltrate",
            "NOT TOUCHED: ",
            "2 of 2: bob@drill.invalid",
            "watching the downstream system for 1.5 s more",
            "RESTORED: the agent's files are as before, byte for byte",
            "CONTAINED: ",
            "truth (seen downstream)",
            "Next:   breakglass report inc-",
            "everything lies in ~/.local/state/breakglass/incidents/inc-",
        ):
            terminal.expect(words)

        assert 0 == terminal.end(), terminal.shown
        left = [line for line in terminal.shown.replace("\r", "\n").split("\n") if len(line) > 80]
        assert [] == left
        assert "STEPS" not in terminal.shown
        assert () == left_behind(here, before)
