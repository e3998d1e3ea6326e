"""Reads a table by a declaration of its keys: types, what is required, and suggestions for what is misspelt.

A mistake is noted and reading goes on: the getters of `Values` then answer with an empty value of the
right type, and `Complaints.raise_all` ends the reading before anybody can use it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import cast

from breakglass.canon import MAX_INTEGER
from breakglass.clock import Instant
from breakglass.errors import MalformedInput
from breakglass.kit.complaints import Complaints, did_you_mean, quoted
from breakglass.kit.nodes import Items, Mark, Node, Scalar, Table

MAX_LINE = 2000


class Kind(Enum):
    """What the value of a key must be."""

    TEXT = auto()
    """One line."""
    PROSE = auto()
    """May span lines; white space becomes single spaces."""
    FLAG = auto()
    NUMBER = auto()
    TIME = auto()
    TEXTS = auto()
    PROSES = auto()
    MAPPING = auto()
    """Text to text."""
    TABLE = auto()
    TABLES = auto()


@dataclass(frozen=True, slots=True)
class Field:
    """One key that a table knows."""

    name: str
    kind: Kind = Kind.TEXT
    required: bool = False
    one_of: tuple[str, ...] = ()
    pattern: str = ""
    meaning: str = ""
    """What `pattern` means, in words."""
    lowest: int = 0
    highest: int = MAX_INTEGER


@dataclass(frozen=True, slots=True)
class Values:
    """What was read of one table, by key, and where each value stands."""

    mark: Mark
    found: Mapping[str, object]
    marks: Mapping[str, Mark]

    def has(self, name: str) -> bool:
        """Say whether the key was there with a value of the right type."""
        return name in self.found

    def at(self, name: str) -> Mark:
        """Return the place of a value, or of the table where the key is absent."""
        return self.marks.get(name, self.mark)

    def text(self, name: str, default: str = "") -> str:
        """Return a TEXT or PROSE."""
        return cast("str", self.found.get(name, default))

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a FLAG."""
        return cast("bool", self.found.get(name, default))

    def number(self, name: str, default: int = 0) -> int:
        """Return a NUMBER."""
        return cast("int", self.found.get(name, default))

    def time(self, name: str) -> Instant:
        """Return a TIME; the year 1970 where it is absent."""
        return cast("Instant", self.found.get(name, Instant(0)))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return TEXTS or PROSES."""
        return cast("tuple[str, ...]", self.found.get(name, ()))

    def mapping(self, name: str) -> Mapping[str, str]:
        """Return a MAPPING."""
        return cast("Mapping[str, str]", self.found.get(name, {}))

    def table(self, name: str) -> Table:
        """Return a TABLE, not yet read; an empty one where it is absent."""
        return cast("Table", self.found.get(name, Table((), self.mark)))

    def tables(self, name: str) -> tuple[Table, ...]:
        """Return TABLES, not yet read."""
        return cast("tuple[Table, ...]", self.found.get(name, ()))


def read_table(node: Node, fields: Sequence[Field], what: str, complaints: Complaints) -> Values:
    """Check a node against the keys that `what` ("a reach of provider aws") knows."""
    if not isinstance(node, Table):
        complaints.add(node.mark, f"expected {what} as a mapping, found {_found(node)}")
        return Values(node.mark, {}, {})
    known = {field.name: field for field in fields}
    hint = f"{what} knows: {', '.join(known)}"
    found: dict[str, object] = {}
    marks: dict[str, Mark] = {}
    for entry in node.entries:
        field = known.get(entry.key)
        if field is None:
            near = did_you_mean(entry.key, tuple(known))
            complaints.add(entry.mark, f"unknown key {quoted(entry.key)}{near}", hint)
            continue
        marks[field.name] = entry.value.mark
        before = len(complaints)
        value = _READ[field.kind](entry.value, field, complaints)
        if len(complaints) == before:
            found[field.name] = value
    for field in fields:
        if field.required and field.name not in marks:
            complaints.add(node.mark, f'missing key "{field.name}"', hint)
    return Values(node.mark, found, marks)


def _text(node: Node, field: Field, complaints: Complaints) -> str:
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        complaints.add(node.mark, f"{field.name}: expected a text, found {_found(node)}{_quote_it(node)}")
        return ""
    text = node.value
    if field.kind in (Kind.PROSE, Kind.PROSES):
        text = " ".join(text.split())
    if "\n" in text:
        complaints.add(node.mark, f"{field.name}: expected one line, found several")
    elif not text or text != text.strip(" "):
        complaints.add(
            node.mark, f"{field.name}: expected a text without spaces around it, found {quoted(text)}"
        )
    elif len(text) > MAX_LINE:
        complaints.add(node.mark, f"{field.name}: longer than {MAX_LINE} characters")
    elif field.one_of and text not in field.one_of:
        near = did_you_mean(text, field.one_of)
        known = ", ".join(field.one_of)
        complaints.add(node.mark, f"{field.name}: {quoted(text)} is none of: {known}{near}")
    elif field.pattern and re.fullmatch(field.pattern, text, re.ASCII) is None:
        complaints.add(node.mark, f"{field.name}: {quoted(text)} is not {field.meaning or field.pattern}")
    return text


def _flag(node: Node, field: Field, complaints: Complaints) -> bool:
    if not isinstance(node, Scalar) or not isinstance(node.value, bool):
        complaints.add(
            node.mark, f"{field.name}: expected true or false, found {_found(node)}{_flag_hint(node)}"
        )
        return False
    return node.value


def _number(node: Node, field: Field, complaints: Complaints) -> int:
    if not isinstance(node, Scalar) or isinstance(node.value, bool) or not isinstance(node.value, int):
        complaints.add(node.mark, f"{field.name}: expected a whole number, found {_found(node)}")
        return 0
    if not field.lowest <= node.value <= field.highest:
        between = f"between {field.lowest} and {field.highest}"
        complaints.add(node.mark, f"{field.name}: {node.value} is not {between}")
    return node.value


def _time(node: Node, field: Field, complaints: Complaints) -> Instant:
    before = len(complaints)
    text = _text(node, field, complaints)
    if len(complaints) > before:
        return Instant(0)
    try:
        return Instant.parse(text)
    except MalformedInput as error:
        complaints.add(node.mark, f"{field.name}: {quoted(text)} is {error.what}")
        return Instant(0)


def _texts(node: Node, field: Field, complaints: Complaints) -> tuple[str, ...]:
    if not isinstance(node, Items):
        wrap = f"; write [{node.written}]" if isinstance(node, Scalar) and node.written else ""
        complaints.add(node.mark, f"{field.name}: expected a list of texts, found {_found(node)}{wrap}")
        return ()
    texts: list[str] = []
    for item in node.items:
        text = _text(item, field, complaints)
        if text and text in texts:
            complaints.add(item.mark, f"{field.name}: {quoted(text)} is listed twice")
        texts.append(text)
    return tuple(texts)


def _mapping(node: Node, field: Field, complaints: Complaints) -> dict[str, str]:
    if not isinstance(node, Table):
        complaints.add(node.mark, f"{field.name}: expected a mapping of text to text, found {_found(node)}")
        return {}
    return {
        entry.key: _text(entry.value, Field(f"{field.name}.{entry.key[:80]}"), complaints)
        for entry in node.entries
    }


def _table(node: Node, field: Field, complaints: Complaints) -> Table:
    if not isinstance(node, Table):
        complaints.add(node.mark, f"{field.name}: expected a mapping, found {_found(node)}")
        return Table((), node.mark)
    return node


def _tables(node: Node, field: Field, complaints: Complaints) -> tuple[Table, ...]:
    if not isinstance(node, Items):
        complaints.add(node.mark, f"{field.name}: expected a list of mappings, found {_found(node)}")
        return ()
    return tuple(_table(item, field, complaints) for item in node.items)


_READ: Mapping[Kind, Callable[[Node, Field, Complaints], object]] = {
    Kind.TEXT: _text,
    Kind.PROSE: _text,
    Kind.FLAG: _flag,
    Kind.NUMBER: _number,
    Kind.TIME: _time,
    Kind.TEXTS: _texts,
    Kind.PROSES: _texts,
    Kind.MAPPING: _mapping,
    Kind.TABLE: _table,
    Kind.TABLES: _tables,
}


def _found(node: Node) -> str:
    if isinstance(node, Table):
        return "a mapping"
    if isinstance(node, Items):
        return "a list"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, bool):
        return node.written
    return (
        f"the number {node.written[:40]}" if isinstance(node.value, int) else f"the text {quoted(node.value)}"
    )


def _quote_it(node: Node) -> str:
    """Advise quotes for a number or a flag in the place of a text: nearly always an account id."""
    if isinstance(node, Scalar) and node.value is not None:
        return f'; put it in quotes: "{node.written[:40]}"'
    return ""


def _flag_hint(node: Node) -> str:
    if not isinstance(node, Scalar):
        return ""
    word = node.written.lower()
    if word in {"yes", "on", "true", "y"}:
        return "; write true"
    return "; write false" if word in {"no", "off", "false", "n"} else ""
