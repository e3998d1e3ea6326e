"""The form of a journal's lines: canonical, each naming the digest of the one before; their Merkle root."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from breakglass.canon import Json, JsonObject, Profile, canonical, parse, parse_canonical, sha256
from breakglass.clock import Instant
from breakglass.errors import BreakglassError, MalformedInput, RecordDamaged
from breakglass.model.records import ZERO_DIGEST, Record
from breakglass.shape import Count, Digest, decode, encode

VERSION = 1
MAX_LINE_BYTES = 64 * 1024 * 1024
_REMEDY = "do not repair it: keep the folder as it is and compare it with a mirror or a copy"


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain stands: the next record's number and the digest that it must name."""

    seq: int = 0
    prev: str = ZERO_DIGEST


@dataclass(frozen=True, slots=True)
class Body:
    """A body in the bytes that will be written and the values that a reader will find."""

    raw: bytes
    value: JsonObject


@dataclass(frozen=True, slots=True)
class _Line:
    v: int
    seq: Count
    t: Count
    m: Count
    type: str
    body: Mapping[str, Json]
    prev: Digest


def prepare(kind: str, body: JsonObject, known: frozenset[str]) -> Body:
    """Check that a reader will accept the record, before it is written.

    Raises:
        BreakglassError: a bug of ours: an unknown type, or a body that strict JSON cannot carry.
    """
    if kind not in known:
        raise BreakglassError(f"no record has the type {kind!r}", where="journal")
    try:
        raw = canonical(encode(body))
        # One level deeper than it is, as the line around it will make it.
        whole = parse(
            b'{"body":%b}' % raw, where="journal", profile=Profile.DATA, max_bytes=MAX_LINE_BYTES - 4096
        )
    except (TypeError, ValueError, RecursionError, MalformedInput) as error:
        raise BreakglassError(f"the body of {kind} is not strict JSON: {error}", where="journal") from error
    value = whole["body"] if isinstance(whole, Mapping) else None
    if not isinstance(value, Mapping):
        raise BreakglassError(f"the body of {kind} is not an object", where="journal")
    return Body(raw, value)


def write_line(head: Head, *, at: Instant, monotonic_us: int, kind: str, body: Body) -> tuple[bytes, Record]:
    """Return the line without its newline, and the record that it is.

    The fields stand in sorted order, which makes the line canonical without encoding the body again.
    """
    line = b'{"body":%b,"m":%d,"prev":"%b","seq":%d,"t":%d,"type":"%b","v":%d}' % (
        body.raw,
        monotonic_us,
        head.prev.encode(),
        head.seq,
        at.epoch_ms,
        kind.encode(),
        VERSION,
    )
    return line, Record(head.seq, at, monotonic_us, kind, body.value, head.prev, sha256(line))


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """Return the complete lines without their newlines, and what stands after the last newline."""
    *lines, tail = data.split(b"\n")
    return lines, tail


def read_lines(lines: Sequence[bytes], *, known: frozenset[str], where: str) -> tuple[Record, ...]:
    """Return the records of complete lines.

    Raises:
        RecordDamaged: a line does not parse, is not canonical, has another number or type than it may, or
            does not name the digest of the line before it.
    """
    records: list[Record] = []
    prev = ZERO_DIGEST
    for n, line in enumerate(lines):
        record = _read_line(line, f"{where}:{n + 1}")
        if record.type not in known:
            raise _damaged(f"unknown record type {record.type[:80]!r}", where, n)
        if record.seq != n:
            raise _damaged(f"record {record.seq} stands where {n} belongs", where, n)
        if record.prev != prev:
            raise _damaged("does not follow from the line before it", where, n)
        records.append(record)
        prev = record.digest
    return tuple(records)


def head_of(records: Sequence[Record]) -> Head:
    """Return where the chain stands after `records`."""
    return Head(len(records), records[-1].digest) if records else Head()


def merkle_root(leaves: Iterable[bytes]) -> bytes:
    """Return the tree head of RFC 6962 section 2.1."""
    stack: list[tuple[int, bytes]] = []
    for leaf in leaves:
        height, node = 0, hashlib.sha256(b"\x00" + leaf).digest()
        while stack and stack[-1][0] == height:
            node = _join(stack.pop()[1], node)
            height += 1
        stack.append((height, node))
    if not stack:
        return hashlib.sha256(b"").digest()
    root = stack.pop()[1]
    while stack:
        root = _join(stack.pop()[1], root)
    return root


def _join(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _read_line(line: bytes, where: str) -> Record:
    try:
        data = parse_canonical(line, where=where, profile=Profile.DATA, max_bytes=MAX_LINE_BYTES)
        fields = decode(_Line, data, where=where)
    except MalformedInput as error:
        raise RecordDamaged(error.what, where=error.where, remedy=_REMEDY) from error
    if fields.v != VERSION:
        raise RecordDamaged(f"version {fields.v} is not {VERSION}", where=where, remedy=_REMEDY)
    at = Instant(fields.t)
    return Record(fields.seq, at, fields.m, fields.type, fields.body, fields.prev, sha256(line))


def _damaged(what: str, where: str, n: int) -> RecordDamaged:
    return RecordDamaged(what, where=f"{where}:{n + 1}", remedy=_REMEDY)
