"""Reads and writes the journal export format: what ``journalctl --output=export`` prints.

Source: systemd.io/JOURNAL_EXPORT_FORMATS. A field is ``NAME=text`` on one line, or its name on one line and
then a size of 64 bits, the bytes and a line break; an empty line ends an entry. Fields that begin with two
underscores are the entry's address; they are no data.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from breakglass.errors import MalformedInput

Field = tuple[bytes, bytes]

MAX_NAME = 64
_SIZE = struct.Struct("<Q")
_TEXT = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_CONTENT_HASH = re.compile(rb";x=[0-9a-fA-F]*")
_HEX = re.compile(rb"[0-9a-fA-F]{32}")
_NUMBER = re.compile(rb"\d{1,20}")
_WHERE = "journalctl"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it was printed."""

    address: tuple[Field, ...]
    """``__CURSOR`` and the like, in their order."""
    fields: tuple[Field, ...]

    @property
    def cursor(self) -> str:
        """Return what names this entry in the journal of its own machine; empty: it has none."""
        return self._addressed(b"__CURSOR").decode("ascii", "replace")

    @property
    def realtime(self) -> int:
        """Return when journald received it, in microseconds since 1970."""
        return self._number(b"__REALTIME_TIMESTAMP")

    @property
    def monotonic(self) -> int:
        """Return the microseconds since its boot."""
        return self._number(b"__MONOTONIC_TIMESTAMP")

    @property
    def boot(self) -> str:
        """Return the id of its boot; empty: it has none."""
        found = self.first(b"_BOOT_ID")
        return found.decode().lower() if _HEX.fullmatch(found) else ""

    @property
    def seqnum(self) -> int:
        """Return its sequence number (printed since systemd 254, and part of every cursor); 0: unknown."""
        return self._number(b"__SEQNUM") or int(self._of_cursor("i"), 16)

    @property
    def seqnum_id(self) -> str:
        """Return what the sequence number counts within; empty: unknown."""
        printed = self._addressed(b"__SEQNUM_ID")
        found = printed.decode("ascii", "replace") or self._of_cursor("s")
        return found.lower() if _HEX.fullmatch(found.encode()) else ""

    def first(self, name: bytes) -> bytes:
        """Return the first value of a field; empty: it has none."""
        return next((value for key, value in self.fields if key == name), b"")

    def without_content_hash(self) -> Entry:
        """Return the entry with a cursor from which nobody can check a guess at what was taken out.

        A cursor's ``x=`` is a keyless hash of all fields; journalctl finds an entry without it.
        """
        address = [
            (name, _CONTENT_HASH.sub(b"", value) if name == b"__CURSOR" else value)
            for name, value in self.address
        ]
        return replace(self, address=tuple(address))

    def _addressed(self, name: bytes) -> bytes:
        return next((value for key, value in self.address if key == name), b"")

    def _number(self, name: bytes) -> int:
        found = self._addressed(name)
        return int(found) if _NUMBER.fullmatch(found) else 0

    def _of_cursor(self, key: str) -> str:
        for part in self.cursor.split(";"):
            name, _, value = part.partition("=")
            if name == key and re.fullmatch(r"[0-9a-fA-F]{1,32}", value):
                return value
        return "0"


def entries(stream: BinaryIO, *, largest: int) -> Iterator[tuple[Entry, int]]:
    """Yield each entry with the bytes that it took, until the stream ends.

    Raises:
        MalformedInput: it is no such stream, it ends within an entry, or an entry is larger than `largest`.
    """
    address: list[Field] = []
    fields: list[Field] = []
    size = 0
    while line := stream.readline(largest + 1):
        size += len(line)
        if size > largest:
            raise MalformedInput(f"an entry is larger than {largest} bytes", where=_WHERE)
        if line == b"\n":
            if address or fields:
                yield Entry(tuple(address), tuple(fields)), size
            address, fields, size = [], [], 0
            continue
        name, equals, value = line.partition(b"=")
        if equals:
            if not value.endswith(b"\n"):
                raise MalformedInput("the stream ends within a field", where=_WHERE)
            value = value[:-1]
        else:
            name = line.removesuffix(b"\n")
            value = _binary(stream, largest - size)
            size += len(value) + 9
        (address if name.startswith(b"__") else fields).append((name, value))
    if address or fields:
        raise MalformedInput("the stream ends within an entry", where=_WHERE)


def printed(entry: Entry) -> bytes:
    """Return the entry in the export format."""
    parts: list[bytes] = []
    for name, value in (*entry.address, *entry.fields):
        if is_text(value):
            parts += (name, b"=", value, b"\n")
        else:
            parts += (name, b"\n", _SIZE.pack(len(value)), value, b"\n")
    return b"".join((*parts, b"\n"))


def is_text(value: bytes) -> bool:
    """Return True for what may stand on a line of its own."""
    if _TEXT.fullmatch(value) is None:
        return False
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _binary(stream: BinaryIO, largest: int) -> bytes:
    head = stream.read(_SIZE.size)
    if len(head) < _SIZE.size:
        raise MalformedInput("the stream ends within a field's size", where=_WHERE)
    (size,) = _SIZE.unpack(head)
    if size > largest:
        raise MalformedInput("an entry is larger than what may be read of one", where=_WHERE)
    value = stream.read(size)
    if len(value) < size or stream.read(1) != b"\n":
        raise MalformedInput("the stream ends within a field", where=_WHERE)
    return value
