"""A drill that somebody ends early: nothing of it stays, what it did is recorded, and it is no success."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from breakglass.journal.reader import read_journal
from tests.cli.terminal import Terminal
from tests.drill.real_drill import (
    DRILL,
    ON_THIS_HOST,
    ROOT,
    Place,
    cgroups,
    left_behind,
    need_a_place,
    place,
    turn,
)

pytestmark = pytest.mark.timeout(1800)
SETTLE_S = 240


@contextmanager
def running(here: Place, drill: Sequence[str] = ON_THIS_HOST) -> Iterator[subprocess.Popen[str]]:
    """Start a drill without a terminal; it is ended whatever happens."""
    with subprocess.Popen(
        [*drill, "--keep", str(here.kept)],
        cwd=ROOT,
        env=here.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def until(process: subprocess.Popen[str], words: str) -> None:
    """Read what the drill says until it says this."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if words in line:
            return
    raise AssertionError(f"{words!r} was not said:\n{''.join(said)}")


def test_ctrl_c_at_a_terminal_before_the_stop_leaves_nothing() -> None:
    """Pressed while the agent works and nobody signed: exit 4, one line that says so, all of it is gone."""
    need_a_place()
    # Where the agent settles on a machine too, it has done what is forbidden before anybody waits for it.
    command = [*ON_THIS_HOST, "open-files", "--keep"]
    before = cgroups()
    with turn(), place() as here, Terminal([*command, str(here.kept)], here.environ) as terminal:
        terminal.expect("waiting until the tripwire sees something forbidden")
        terminal.interrupt()
        code = terminal.end()

        assert 4 == code, terminal.shown
        assert "the drill was interrupted before the stop began" in terminal.shown
        assert () == left_behind(here, before)
        assert not here.kept.exists()


def test_sigterm_while_the_plan_is_carried_out_is_recorded_and_leaves_nothing() -> None:
    """The running calls settle, the journal says that it was interrupted, and the frozen agent is gone."""
    need_a_place()
    before = cgroups()
    with turn(), place() as here, running(here, DRILL) as process:
        until(process, "  proven    host local  host.")
        process.send_signal(signal.SIGTERM)
        _, talk = process.communicate(timeout=SETTLE_S)

        assert process.returncode in {3, 4}, talk  # 3 where a credential is only withheld by then
        assert () == left_behind(here, before)
        records = read_journal(here.kept / "journal.jsonl").records
        assert "run.interrupted" == records[-1].type
        assert "contained" != json.loads((here.kept / "report.json").read_bytes())["verdict"]


def test_a_terminal_that_is_closed_ends_the_drill_and_its_agent() -> None:
    """SIGHUP, as from a lost connection, is no way to leave a rogue agent running."""
    need_a_place()
    before = cgroups()
    with turn(), place() as here, running(here) as process:
        until(process, "agent  ")
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=SETTLE_S)

        assert 4 == process.returncode
        assert () == left_behind(here, before)
