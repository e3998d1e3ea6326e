"""A terminal that hangs up and a pipe that nobody reads neither end a stop nor change its exit code."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from breakglass.cli.interrupt import whatever_the_screen_does, wished_to_stop
from tests.cli.ground import PROGRAM, Ground


def nothing() -> None:
    """Tell nobody."""


def test_a_connection_that_is_cut_does_not_end_what_two_people_signed() -> None:
    """SIGHUP is a wish only as long as signatures are waited for; Ctrl-C always is one."""
    with wished_to_stop(nothing, needs_nobody=lambda: True) as wished:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not wished()
        os.kill(os.getpid(), signal.SIGINT)
        assert wished()
    with wished_to_stop(nothing) as wished:
        os.kill(os.getpid(), signal.SIGHUP)
        assert wished()


def test_a_wish_that_cannot_be_confirmed_on_the_screen_stands() -> None:
    """The handler runs between any two instructions: nothing may be raised there."""

    def gone() -> None:
        raise BrokenPipeError

    with wished_to_stop(gone) as wished:
        os.kill(os.getpid(), signal.SIGINT)
        assert wished()


@pytest.mark.parametrize("when", ["begin", "end"])
def test_a_display_that_fails_hides_no_result(when: str) -> None:
    """Neither when it begins nor when it ends."""

    @contextmanager
    def display() -> Iterator[None]:
        if when == "begin":
            raise OSError("no terminal")
        yield
        raise OSError("hung up")

    with whatever_the_screen_does(display()):
        result = "sealed"

    assert "sealed" == result


def test_a_stop_whose_output_nobody_reads_ends_with_the_exit_code_of_its_verdict(
    ground: Ground, agent: str, tmp_path: Path
) -> None:
    """Both streams are pipes without a reader."""
    plan = tmp_path / "plan.json"
    assert 0 == ground.run("plan", agent, "-o", str(plan)).returncode
    for person in ("alice", "bob"):
        assert 0 == ground.run("sign", str(plan), "--yes", person=person).returncode
    names = [part for person in ("alice", "bob") for part in ("--signature", str(tmp_path / f"{person}.sig"))]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*PROGRAM, "stop", "--plan", str(plan), *names, "--keep", str(tmp_path / "kept")],
            env=ground.environ(), stdin=subprocess.DEVNULL, stdout=writer, stderr=writer, check=False,
        )  # fmt: skip
    finally:
        os.close(writer)

    assert 0 == done.returncode
    assert (tmp_path / "kept" / "checkpoint").exists()
