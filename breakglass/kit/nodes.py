"""Turns YAML text into values that know their line and column, refusing what YAML can do beyond plain data.

Built from the event stream and not from composed nodes: the stream is flat, so that a thousand open
brackets, an alias or a tag is refused where it stands, before anything is built from it.

Plain scalars are read as YAML 1.2 would at its strictest: ``true`` and ``false`` are flags, decimal
integers without leading zeros are numbers, nothing and ``~`` and ``null`` are nothing, and all else is
text. So ``no``, ``on``, ``0123``, ``12:30:45``, ``1e3`` and ``2026-01-31`` are the text that was typed,
where YAML 1.1 (and PyYAML's constructors) would make other things of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from breakglass.canon import MAX_INTEGER, unreadable
from breakglass.errors import MalformedInput

if TYPE_CHECKING:
    import yaml

MAX_YAML_BYTES = 1024 * 1024
MAX_YAML_DEPTH = 16
MAX_TEXT = 4000
_INTEGER = re.compile(r"-?[1-9][0-9]*|0", re.ASCII)
_NOTHING = frozenset({"", "~", "null", "Null", "NULL"})
_LINE_BREAKS = {"\u0085", "\u2028", "\u2029"}


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        """Return file:line:column, as editors and compilers write it."""
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text, a flag, a number, or nothing."""

    value: str | bool | int | None
    mark: Mark
    written: str
    """The characters as typed, without quotes."""


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Node, ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a table and its value."""

    key: str
    mark: Mark
    value: Node


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping; keys are unique texts."""

    entries: tuple[Entry, ...]
    mark: Mark


Node = Scalar | Items | Table


def parse_yaml(data: bytes, *, file: str, libyaml: bool = True) -> Node:
    """Read one document of plain data, with libyaml where PyYAML was built with it and it is wanted.

    Raises:
        MalformedInput: not such a document; `where` is the line and column of the first thing that is not.
    """
    if len(data) > MAX_YAML_BYTES:
        raise MalformedInput(f"larger than {MAX_YAML_BYTES} bytes", where=file)
    text = _readable(data, file)
    import yaml

    fast = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # 20 times as fast
    loader = fast if libyaml else yaml.SafeLoader
    events = yaml.parse(text, Loader=loader)
    try:
        return _Builder(events, file).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.problem, error.context) if part)
        raise MalformedInput(f"not YAML: {said}", where=str(_mark(mark, file))) from error
    except yaml.YAMLError as error:
        raise MalformedInput(f"not YAML: {str(error).splitlines()[0][:200]}", where=file) from error


def _readable(data: bytes, file: str) -> str:
    """Decode, and refuse every character that an editor would hide or a reviewer misread."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        place = Mark(file, data.count(b"\n", 0, error.start) + 1, 1)
        raise MalformedInput(f"not UTF-8 at byte {error.start}", where=str(place)) from error
    text = text.replace("\r\n", "\n")
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    for number, line in enumerate(text.split("\n"), start=1):
        for column, character in enumerate(line, start=1):
            if character == "\t":
                raise MalformedInput("a tab; indent with spaces", where=f"{file}:{number}:{column}")
            if character in _LINE_BREAKS or unreadable(character) is not None:
                raise MalformedInput(
                    f"character U+{ord(character):04X} may not stand in text that people read",
                    where=f"{file}:{number}:{column}",
                )
    return text


def _mark(mark: _Position | None, file: str) -> Mark:
    return Mark(file, mark.line + 1, mark.column + 1) if mark is not None else Mark(file, 1, 1)


class _Position(Protocol):
    """What PyYAML's two parsers both call a mark; they count from 0."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


class _Builder:
    """Builds nodes from events; depth is bounded, so recursion is too."""

    def __init__(self, events: Iterator[yaml.Event], file: str) -> None:
        self._events = events
        self._file = file

    def document(self) -> Node:
        import yaml

        next(self._events)  # the start of the stream
        start = next(self._events)
        if not isinstance(start, yaml.DocumentStartEvent):
            raise MalformedInput("the file is empty", where=f"{self._file}:1:1")
        if start.version or start.tags:
            raise self._refuse(start, "a directive; plain YAML needs none")
        root = self._node(next(self._events), 0)
        next(self._events)  # the end of the document
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise self._refuse(after, "a second document; one file holds one")
        return root

    def _node(self, event: yaml.Event, depth: int) -> Node:
        import yaml

        if isinstance(event, yaml.AliasEvent):
            raise self._refuse(event, "an alias (*); write the value out")
        if not isinstance(event, yaml.NodeEvent):
            raise self._refuse(event, "not plain YAML")
        if event.anchor is not None:
            raise self._refuse(event, "an anchor (&); write the value out where it is needed")
        if depth > MAX_YAML_DEPTH:
            raise self._refuse(event, f"nested more than {MAX_YAML_DEPTH} deep")
        mark = _mark(event.start_mark, self._file)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, mark)
        if not isinstance(event, yaml.CollectionStartEvent):
            raise self._refuse(event, "not plain YAML")
        if event.tag is not None:
            raise self._refuse(event, "a tag (!); types are known from the key")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._items(mark, depth)
        return self._table(mark, depth)

    def _items(self, mark: Mark, depth: int) -> Items:
        import yaml

        found: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            found.append(self._node(event, depth + 1))
        return Items(tuple(found), mark)

    def _table(self, mark: Mark, depth: int) -> Table:
        import yaml

        found: list[Entry] = []
        seen: dict[str, Mark] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key, Scalar) or not key.written:
                raise MalformedInput("a key must be a text", where=str(key.mark))
            if key.written == "<<":
                raise MalformedInput("a merge key (<<); write the values out", where=str(key.mark))
            if (first := seen.get(key.written)) is not None:
                raise MalformedInput(
                    f'duplicate key "{key.written[:80]}"; it stands on line {first.line} too',
                    where=str(key.mark),
                )
            seen[key.written] = key.mark
            found.append(Entry(key.written, key.mark, self._node(next(self._events), depth + 1)))
        return Table(tuple(found), mark)

    def _scalar(self, event: yaml.ScalarEvent, mark: Mark) -> Scalar:
        if event.tag is not None:
            raise self._refuse(event, "a tag (!); types are known from the key")
        text: str = event.value
        if len(text) > MAX_TEXT:
            raise MalformedInput(f"longer than {MAX_TEXT} characters", where=str(mark))
        bare = text.replace("\n", " ")  # block texts hold line ends; only prose fields admit them
        if (hidden := unreadable(bare)) is not None or (_LINE_BREAKS & set(text)):
            raise MalformedInput(
                f"character {hidden or 'U+2028'} may not stand in text that people read", where=str(mark)
            )
        plain = event.style in (None, "")
        return Scalar(_plain(text, mark) if plain else text, mark, text)

    def _refuse(self, event: yaml.Event, what: str) -> MalformedInput:
        return MalformedInput(what, where=str(_mark(event.start_mark, self._file)))


def _plain(text: str, mark: Mark) -> str | bool | int | None:
    if text in _NOTHING:
        return None
    if text in {"true", "false"}:
        return text == "true"
    if _INTEGER.fullmatch(text) is None:
        return text
    if abs(int(text)) > MAX_INTEGER:
        raise MalformedInput(
            f'number {text} is too large; if it is a text, quote it: "{text}"', where=str(mark)
        )
    return int(text)
