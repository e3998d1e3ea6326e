"""Lays a journal file out that journalctl reads, and passes with ``--verify``.

Source: systemd.io/JOURNAL_FILE_FORMAT, in the form of systemd 246 that every later one reads: hashes without
a key, nothing compressed, nothing sealed. Where each object lies is computed first, so that the file is
written from front to back: header, both hash tables, fields, data, the array of all entries, the entries, and
an array for each data object that more than one entry refers to.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_ARCHIVED = 2
_DATA, _FIELD, _ENTRY, _DATA_TABLE, _FIELD_TABLE, _ARRAY = 1, 2, 3, 4, 5, 6
_HEADER = struct.Struct("<8sIIB7x16s16s16s16s21Q")
_OBJECT = struct.Struct("<B7xQ")
_DATA_HEAD = struct.Struct("<B7x7Q")
_FIELD_HEAD = struct.Struct("<B7x4Q")
_ENTRY_HEAD = struct.Struct("<B7xQQQQ16sQ")
_ARRAY_HEAD = struct.Struct("<B7xQQ")
_ITEM = 16
_FIELD_BUCKETS = 333


@dataclass(frozen=True, slots=True)
class Written:
    """An entry, with its data by number."""

    seqnum: int
    realtime: int
    monotonic: int
    boot: bytes
    items: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """What goes into a file, all by number: data and fields with their hashes, and who refers to what."""

    data: Sequence[bytes]
    data_hashes: Sequence[int]
    field_of: Sequence[int]
    used_by: Sequence[Sequence[int]]
    fields: Sequence[bytes]
    field_hashes: Sequence[int]
    entries: Sequence[Written]


@dataclass(frozen=True, slots=True)
class _Chain:
    """A hash table, and which object follows each in its bucket."""

    table: bytes
    follows: Sequence[int]
    depth: int


@dataclass(frozen=True, slots=True)
class _Places:
    """Where everything lies."""

    data_table: int
    field_table: int
    fields: Sequence[int]
    data: Sequence[int]
    main_array: int
    entries: Sequence[int]
    arrays: Sequence[int]
    """For each data object its array; 0: one entry alone refers to it."""
    end: int

    @property
    def tail(self) -> int:
        """Return the last object."""
        return max(self.arrays, default=0) or (self.entries[-1] if self.entries else self.field_table)


def chunks(content: Content, *, file_id: bytes, machine_id: bytes, seqnum_id: bytes) -> Iterator[bytes]:
    """Yield the bytes of the file."""
    buckets = len(content.data) * 4 // 3 + 7
    places = _placed(content, buckets)
    chain = _chain(content.data_hashes, buckets, places.data)
    field_chain = _chain(content.field_hashes, _FIELD_BUCKETS, places.fields)
    last_boot = content.entries[-1].boot if content.entries else bytes(16)
    ids = (file_id, machine_id, last_boot, seqnum_id)
    numbers = _numbers(content, places, buckets)
    yield _HEADER.pack(b"LPKSHHRH", 0, 0, _ARCHIVED, *ids, *numbers, chain.depth, field_chain.depth)
    yield _OBJECT.pack(_DATA_TABLE, _OBJECT.size + len(chain.table)) + chain.table
    yield _OBJECT.pack(_FIELD_TABLE, _OBJECT.size + len(field_chain.table)) + field_chain.table
    follows_in_field, first_of_field = _by_field(content, places)
    for n, name in enumerate(content.fields):
        numbers_of = (content.field_hashes[n], field_chain.follows[n], first_of_field[n])
        yield _filled(_FIELD_HEAD.pack(_FIELD, _FIELD_HEAD.size + len(name), *numbers_of) + name)
    for n, text in enumerate(content.data):
        users = content.used_by[n]
        links = (content.data_hashes[n], chain.follows[n], follows_in_field[n], places.entries[users[0]])
        head = _DATA_HEAD.pack(_DATA, _DATA_HEAD.size + len(text), *links, places.arrays[n], len(users))
        yield _filled(head + text)
    if content.entries:
        yield _array(places.entries)
    yield from _entries(content, places)
    for users in content.used_by:
        if len(users) > 1:
            yield _array([places.entries[n] for n in users[1:]])


def _placed(content: Content, buckets: int) -> _Places:
    data_table = _HEADER.size
    field_table = data_table + _OBJECT.size + buckets * _ITEM
    at = field_table + _OBJECT.size + _FIELD_BUCKETS * _ITEM
    fields, at = _offsets(at, (_FIELD_HEAD.size + len(name) for name in content.fields))
    data, at = _offsets(at, (_DATA_HEAD.size + len(text) for text in content.data))
    main_array = at if content.entries else 0
    at += _ARRAY_HEAD.size + 8 * len(content.entries) if content.entries else 0
    entries, at = _offsets(at, (_ENTRY_HEAD.size + _ITEM * len(one.items) for one in content.entries))
    arrays = []
    for users in content.used_by:
        arrays.append(at if len(users) > 1 else 0)
        at += _ARRAY_HEAD.size + 8 * (len(users) - 1) if len(users) > 1 else 0
    return _Places(data_table, field_table, fields, data, main_array, entries, arrays, at)


def _numbers(content: Content, places: _Places, buckets: int) -> tuple[int, ...]:
    """Return the header's numbers up to the depths of the chains, in its order."""
    n_arrays = sum(at > 0 for at in places.arrays) + bool(content.entries)
    objects = 2 + len(content.fields) + len(content.data) + len(content.entries) + n_arrays
    first, last = (content.entries[0], content.entries[-1]) if content.entries else (_NOTHING, _NOTHING)
    return (
        _HEADER.size,
        places.end - _HEADER.size,
        places.data_table + _OBJECT.size,
        buckets * _ITEM,
        places.field_table + _OBJECT.size,
        _FIELD_BUCKETS * _ITEM,
        places.tail,
        objects,
        len(content.entries),
        last.seqnum,
        first.seqnum,
        places.main_array,
        first.realtime,
        last.realtime,
        last.monotonic,
        len(content.data),
        len(content.fields),
        0,
        n_arrays,
    )


_NOTHING = Written(0, 0, 0, b"", ())


def _entries(content: Content, places: _Places) -> Iterator[bytes]:
    offsets, hashes = places.data, content.data_hashes
    for one in content.entries:
        mixed = 0
        items: list[int] = []
        for n in one.items:
            mixed ^= hashes[n]
            items += (offsets[n], hashes[n])
        size = _ENTRY_HEAD.size + 8 * len(items)
        head = _ENTRY_HEAD.pack(_ENTRY, size, one.seqnum, one.realtime, one.monotonic, one.boot, mixed)
        yield head + struct.pack(f"<{len(items)}Q", *items)


def _array(offsets: Sequence[int]) -> bytes:
    head = _ARRAY_HEAD.pack(_ARRAY, _ARRAY_HEAD.size + 8 * len(offsets), 0)
    return head + struct.pack(f"<{len(offsets)}Q", *offsets)


def _offsets(at: int, sizes: Iterable[int]) -> tuple[list[int], int]:
    found = []
    for size in sizes:
        found.append(at)
        at += (size + 7) & ~7
    return found, at


def _filled(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def _chain(hashes: Sequence[int], buckets: int, offsets: Sequence[int]) -> _Chain:
    """Link the objects of each bucket in the order in which they lie in the file."""
    table, follows = [0] * (2 * buckets), [0] * len(hashes)
    last: dict[int, int] = {}
    depths = [0] * buckets
    for n, one in enumerate(hashes):
        bucket = one % buckets
        if bucket in last:
            follows[last[bucket]] = offsets[n]
            depths[bucket] += 1
        else:
            table[2 * bucket] = offsets[n]
        table[2 * bucket + 1] = offsets[n]
        last[bucket] = n
    return _Chain(struct.pack(f"<{2 * buckets}Q", *table), follows, max(depths))


def _by_field(content: Content, places: _Places) -> tuple[list[int], list[int]]:
    """Return for each data object the next one of its field, and for each field its first."""
    follows, first = [0] * len(content.data), [0] * len(content.fields)
    for n in range(len(content.data) - 1, -1, -1):
        name = content.field_of[n]
        follows[n] = first[name]
        first[name] = places.data[n]
    return follows, first
