"""Sets facts as lines of plain text that fit a width: visible characters only, wrapped, never cut off."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

WIDTH = 80
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


class Tone(StrEnum):
    """What a line means; a screen with colours may show it, and the words say it without."""

    PLAIN = "plain"
    HEAD = "head"
    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"
    FAINT = "faint"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a screen."""

    text: str = ""
    tone: Tone = Tone.PLAIN


def visible(text: str) -> str:
    r"""Return `text` with every character that acts or hides instead of showing spelt out, as ``\u{1b}``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"\\u{{{ord(character):x}}}" if unicodedata.category(character) in _HIDDEN else character
        for character in text
    )


def width(text: str) -> int:
    """Return how many columns a terminal needs for `text`."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Fill `text` with spaces up to `columns`."""
    fill = " " * max(0, columns - width(text))
    return fill + text if right else text + fill


def cut(text: str, columns: int) -> str:
    """Shorten `text` to `columns`, visibly: only for what stands in full elsewhere."""
    shown = visible(text)
    if width(shown) <= columns:
        return shown
    while width(shown) > columns - 3:
        shown = shown[:-1]
    return f"{shown.rstrip()}..."


def wrap(text: str, *, first: str = "", rest: str | None = None, columns: int = WIDTH) -> tuple[str, ...]:
    """Break `text` into lines of at most `columns`; `first` starts the first line, `rest` the others.

    A word that is longer than a line is broken too: nothing is left out.
    """
    rest = " " * width(first) if rest is None else rest
    lines: list[str] = []
    line, empty = first, True
    for space, word in _words(visible(text), columns - max(width(first), width(rest))):
        if not empty and width(line) + width(space) + width(word) > columns:
            lines.append(line)
            line, empty = rest, True
        line += word if empty else f"{space}{word}"
        empty = False
    return (*lines, line.rstrip() if empty else line)


def _words(text: str, room: int) -> Iterator[tuple[str, str]]:
    """Yield each word with the spaces before it; one that no line can hold comes in pieces."""
    for space, word in re.findall(r"( *)([^ ]+)", text):
        gap, piece = space, ""
        for character in word:
            if width(piece) + width(character) > max(1, room):
                yield gap, piece
                gap, piece = "", ""
            piece += character
        yield gap, piece


def rows(text: str, *, first: str = "", rest: str | None = None, tone: Tone = Tone.PLAIN) -> tuple[Row, ...]:
    """Return wrapped lines of one tone."""
    return tuple(Row(line, tone) for line in wrap(text, first=first, rest=rest))


def labelled(label: str, text: str, *, indent: int = 2, column: int = 12) -> tuple[Row, ...]:
    """Return ``label   text`` with the text in a column of its own; a long label stands on its own line."""
    lead = " " * indent
    gap = " " * (indent + column)
    shown = visible(label)
    if width(shown) <= column - 2:
        return rows(text, first=lead + pad(shown, column), rest=gap)
    return (*rows(label, first=lead), *rows(text, first=gap))


def command(line: str, *, first: str = "") -> tuple[Row, ...]:
    """Set a shell command so that it can be copied: a long one goes on after a backslash."""
    gap = " " * width(first)
    found, text = [], first
    for word in visible(line).split(" "):
        if text.strip() and text != first and width(text) + 1 + width(word) > WIDTH - 2:
            found.append(Row(f"{text} \\"))
            text = f"{gap}  {word}"
        else:
            text += word if text == first else f" {word}"
    return (*found, Row(text))


def seconds(value: float | None) -> str:
    """Write a duration for people: ``0.02 s``, ``38.2 s``, ``4 m 12 s``, ``26 h 05 m``, or ``-``."""
    if value is None:
        return "-"
    if value < 0:
        return f"-{seconds(-value)}"
    if value < 99.95:  # noqa: PLR2004 - what rounds to 100 is written in minutes
        return f"{value:.2f} s" if value < 9.995 else f"{value:.1f} s"  # noqa: PLR2004 - three digits
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} m" if hours else f"{minutes} m {rest:02d} s"


def plural(count: int, noun: str, many: str = "") -> str:
    """Return ``1 step`` or ``3 steps``."""
    return f"{count} {noun if count == 1 else many or noun + 's'}"


def text_of(lines: Sequence[Row]) -> str:
    """Return the lines as one text that ends in a newline."""
    return "".join(f"{row.text}\n" for row in lines)


def table(lines: Sequence[Sequence[str]], *, indent: int = 0) -> tuple[Row, ...]:
    """Set cells in columns; the last column wraps, and a cell that is too long pushes it to the next line."""
    shown = [[visible(cell) for cell in line] for line in lines]
    columns = max((len(line) for line in shown), default=0)
    widths = [
        min(30, max((width(line[n]) for line in shown if n < len(line) - 1), default=0))
        for n in range(columns)
    ]
    found: list[Row] = []
    for line in shown:
        first, column = " " * indent, indent
        for cell, room in zip(line[:-1], widths, strict=False):
            column += room + 2
            first += f"{pad(cell, room)}  "
        if width(first) > column or width(first) > WIDTH - 20:
            found += rows(first.rstrip())
            first = " " * min(column, WIDTH - 20)
        found += rows(line[-1], first=first, rest=" " * min(column, WIDTH - 20))
    return tuple(found)
