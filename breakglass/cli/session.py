"""What every command is given: environment, clock, the two streams, and whether somebody is there."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import typer

from breakglass.cli.render import Screen, stderr, stdout
from breakglass.clock import Clock, SystemClock
from breakglass.report.typeset import Row


@dataclass(frozen=True, slots=True)
class Session:
    """One call of the program."""

    environ: Mapping[str, str]
    clock: Clock
    out: Screen
    """Data."""
    talk: Screen
    """Everything that is said to a person beside the data."""
    interactive: bool
    """Whether a person can be asked: keyboard and screen are terminals."""

    def say(self, *lines: Row) -> None:
        """Tell the person something."""
        self.talk.show(lines)


def session() -> Session:
    """Look at where this process runs."""
    return Session(
        environ=os.environ,
        clock=SystemClock(),
        out=stdout(os.environ),
        talk=stderr(os.environ),
        interactive=sys.stdin.isatty() and sys.stderr.isatty(),
    )


def leave(code: int) -> NoReturn:
    """End the command with an exit code of DESIGN 7."""
    raise typer.Exit(code)


def show_json(screen: Screen, value: object) -> None:
    """Write a value as ASCII JSON, so that no name in it can act on a terminal."""
    import json

    text = json.dumps(value, indent=2, ensure_ascii=True, allow_nan=False).replace("\x7f", "\\u007f")
    screen.raw(f"{text}\n".encode())


def show_rows(screen: Screen, lines: Sequence[Row], *, nothing: str) -> None:
    """Write rows, or say that there are none."""
    screen.show(lines or (Row(nothing),))
