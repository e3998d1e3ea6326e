"""Collects entries for a journal file of our own: equal data is kept once, as in journald's files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from breakglass_host.journald import journal_layout
from breakglass_host.journald.export_format import Entry
from breakglass_host.journald.journal_layout import Content, Written
from breakglass_host.journald.lookup3 import hash64

_NAME = re.compile(rb"[A-Z_][A-Z0-9_]{0,63}")
_MAX_TIME = 1 << 55
"""What systemd takes for a time at all, in microseconds (journal-def.h: VALID_REALTIME)."""

_MAX_NUMBER = 1 << 62


@dataclass(slots=True)
class _Chained:
    """Objects of one kind, each once, that a hash table finds."""

    texts: list[bytes] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)
    numbers: dict[bytes, int] = field(default_factory=dict)

    def number(self, text: bytes) -> int:
        """Return the number of an object, which is made when it is new."""
        found = self.numbers.get(text)
        if found is None:
            found = self.numbers[text] = len(self.texts)
            self.texts.append(text)
            self.hashes.append(hash64(text))
        return found


class JournalFile:
    """One journal file in the making."""

    def __init__(self) -> None:
        """Begin without an entry."""
        self._data = _Chained()
        self._fields = _Chained()
        self._field_of: list[int] = []
        self._used_by: list[list[int]] = []
        self._entries: list[Written] = []
        self._counted_within: set[str] = set()
        self.moved = 0
        """Entries whose monotonic time runs back within a boot: a journal file cannot say so."""

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    def add(self, entry: Entry) -> None:
        """Append an entry, or change nothing.

        Raises:
            ValueError: a field's name is none, there is no data, or a time or the boot is missing.
        """
        if not entry.fields or not entry.boot:
            raise ValueError("an entry without data or without a boot")
        monotonic = entry.monotonic
        if not (0 < entry.realtime < _MAX_TIME and monotonic < _MAX_TIME):
            raise ValueError("an entry without a time")
        seqnum = entry.seqnum
        if seqnum >= _MAX_NUMBER:
            raise ValueError("an entry whose number is none")
        for name, _ in entry.fields:
            self._check(name)
        last = self._entries[-1] if self._entries else None
        boot = bytes.fromhex(entry.boot)
        if last is not None and last.boot == boot and last.monotonic > monotonic:
            self.moved += 1
            monotonic = last.monotonic
        items = tuple(sorted({self._datum(name, value) for name, value in entry.fields}))
        for item in items:
            self._used_by[item].append(len(self._entries))
        self._counted_within.add(entry.seqnum_id)
        seqnum = max(seqnum, last.seqnum + 1 if last else 1)
        self._entries.append(Written(seqnum, entry.realtime, monotonic, boot, items))

    def chunks(self, *, file_id: bytes, machine_id: bytes) -> Iterator[bytes]:
        """Yield the bytes of the file; `file_id`: 16 random bytes."""
        one_count = min(self._counted_within) if len(self._counted_within) == 1 else ""
        content = Content(
            data=self._data.texts,
            data_hashes=self._data.hashes,
            field_of=self._field_of,
            used_by=self._used_by,
            fields=self._fields.texts,
            field_hashes=self._fields.hashes,
            entries=self._entries,
        )
        counted = bytes.fromhex(one_count) if one_count else file_id
        yield from journal_layout.chunks(content, file_id=file_id, machine_id=machine_id, seqnum_id=counted)

    def _check(self, name: bytes) -> None:
        if name in self._fields.numbers:
            return
        if _NAME.fullmatch(name) is None or name.startswith(b"__"):
            raise ValueError(f"no field can be named {name[:80]!r}")

    def _datum(self, name: bytes, value: bytes) -> int:
        text = name + b"=" + value
        found = self._data.numbers.get(text)
        if found is not None:
            return found
        self._field_of.append(self._fields.number(name))
        self._used_by.append([])
        return self._data.number(text)
