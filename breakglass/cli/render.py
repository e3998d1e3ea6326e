"""Shows rows on a stream: the only module that knows Rich, and it gives Rich no markup to read.

On a terminal that takes colours (no NO_COLOR, see no-color.org) the tone of a row becomes one; everywhere
else rows are plain lines. What a row says is made visible once more here, so that no name from the world
can act on a terminal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TextIO

from breakglass.errors import BreakglassError
from breakglass.report.typeset import WIDTH, Row, Tone, rows, visible, width

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_STYLES = {
    Tone.PLAIN: "",
    Tone.HEAD: "bold",
    Tone.GOOD: "bold green",
    Tone.BAD: "bold red",
    Tone.UNKNOWN: "bold yellow",
    Tone.FAINT: "dim",
}
LIVE_PER_S = 8.0


class Screen:
    """One stream that rows are shown on."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str]) -> None:
        """Look once at what the stream can do."""
        self._stream = stream
        self._environ = environ
        self.is_terminal = stream.isatty()
        self.animates = self.is_terminal and environ.get("TERM", "dumb") != "dumb"
        """Whether lines may be drawn again: only on a terminal that can move its cursor."""
        self._colour = self.animates and not environ.get("NO_COLOR")
        self._rich: Console | None = None

    @property
    def columns(self) -> int:
        """Return how wide the terminal is; what is none is taken for one of 80 columns."""
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or WIDTH
        except (OSError, ValueError):
            return WIDTH

    def show(self, lines: Iterable[Row]) -> None:
        """Write the rows, each on its line, and flush."""
        if self._colour or self._rich is not None:  # what is drawn live must know of every other line
            console = self._console()
            for line in lines:
                console.print(self._text(line), soft_wrap=True)
        else:
            self._stream.writelines(f"{visible(line.text)}\n" for line in lines)
        self._stream.flush()

    def raw(self, data: bytes) -> None:
        """Write bytes that are already safe for this stream: JSON, Markdown, a schema."""
        self._stream.write(data.decode())
        self._stream.flush()

    def live(self, region: Callable[[], Sequence[Row]]) -> AbstractContextManager[object]:
        """Keep `region` on the last lines of a terminal while the context lasts; elsewhere do nothing."""
        if not self.animates:
            return nullcontext()
        from rich.console import Group
        from rich.live import Live

        return Live(
            get_renderable=lambda: Group(*(self._text(row) for row in region())),
            console=self._console(),
            refresh_per_second=LIVE_PER_S,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def _console(self) -> Console:
        if self._rich is None:
            from rich.console import Console

            self._rich = Console(
                file=self._stream,
                _environ=self._environ,
                markup=False,
                highlight=False,
                emoji=False,
                legacy_windows=False,
            )
        return self._rich

    def _text(self, row: Row) -> Text:
        return _text(row, _STYLES[row.tone] if self._colour else "")


def _text(row: Row, style: str) -> Text:
    from rich.text import Text

    return Text(visible(row.text), style=style, no_wrap=True, overflow="ellipsis")


def stdout(environ: Mapping[str, str]) -> Screen:
    """Return where data goes."""
    return Screen(sys.stdout, environ)


def stderr(environ: Mapping[str, str]) -> Screen:
    """Return where talk goes."""
    return Screen(sys.stderr, environ)


def error_rows(error: BreakglassError, *, wrapped: bool) -> tuple[Row, ...]:
    """Return what happened and where; what was not done; what to type next.

    A place like file:line is never broken, so that it can be searched and clicked; what is no terminal
    (`wrapped` is false) gets whole lines.
    """
    first, *more = error.what.split("\n")
    if error.where and wrapped and width(error.where) > WIDTH // 2:
        found = [Row(visible(error.where), Tone.BAD)]
        more = [first, *more]
    else:
        found = _lines(
            f"{error.where}  {first}" if error.where else first, "", wrapped=wrapped, tone=Tone.BAD
        )
    for line in more:
        found += _lines(line, "  ", wrapped=wrapped, tone=Tone.BAD)
    rest = ".  ".join(part for part in (error.not_done, error.remedy) if part)
    return (*found, *(_lines(rest, "  ", wrapped=wrapped) if rest else ()))


def _lines(text: str, first: str, *, wrapped: bool, tone: Tone = Tone.PLAIN) -> list[Row]:
    if wrapped:
        return list(rows(text, first=first, rest="  ", tone=tone))
    return [Row(f"{first}{visible(text)}", tone)]


def svg(lines: Iterable[Row], title: str) -> str:
    """Return a picture of a terminal that shows the rows: the one in the README is made of a real run."""
    import io

    from rich.console import Console

    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), markup=False, highlight=False, force_terminal=True
    )
    for line in lines:
        console.print(_text(line, _STYLES[line.tone]), soft_wrap=True)
    return console.export_svg(title=title)
