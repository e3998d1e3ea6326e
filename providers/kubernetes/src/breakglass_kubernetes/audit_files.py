"""Reads the lines of the API server's audit log, whatever lies in its place, and of its rotated files.

The server rotates by time stamp: ``audit.log`` becomes ``audit-2026-01-31T03-12-08.123.log``, with ``.gz``
behind it where it compresses (kube-apiserver flags ``--audit-log-maxsize`` and ``--audit-log-compress``).
"""

from __future__ import annotations

import gzip
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from breakglass.clock import Instant
from breakglass.errors import Denied, Gone

CHUNK = 256 * 1024
_STAMP = r"-(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)\.(\d{3})"
_PACKED = 12
"""How much more there is in a packed file, about: JSON lines of one shape pack well."""


def _no_bound() -> float:
    return 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is read; what is more is left where it is, the oldest first."""

    bytes: int = 512 * 1024**2
    line: int = 16 * 1024**2
    """A line that is longer is passed over and counted."""
    left_s: Callable[[], float] = _no_bound
    """How much time is left; at 0 the reading ends."""


@dataclass(slots=True)
class Tally:
    """What was read, and what was not."""

    lines: int = 0
    unreadable: int = 0
    """Lines that are no audit events."""
    overlong: int = 0
    events: int = 0
    left_out: list[str] = field(default_factory=list)
    """What the bounds did not reach, in words."""
    _said: set[str] = field(default_factory=set)

    def leave_out(self, words: str) -> None:
        """Say it once."""
        if words not in self._said:
            self._said.add(words)
            self.left_out.append(words)


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    stamp: str
    """When it was rotated away, RFC 3339; empty for the one that is written now."""
    size: int
    packed: bool


def lines(path: Path, since: Instant | None, limits: Limits, tally: Tally) -> Iterator[bytes]:
    """Yield the lines of the log, oldest first; of what is too much the newest.

    Raises:
        Gone: no file lies there.
        Denied: it cannot be read, or it is no plain file.
    """
    with _open(path) as live:
        size = os.fstat(live.fileno()).st_size
        chosen = _chosen([*_rotated(path, live.fileno(), since), _File(path, "", size, packed=False)], limits)
        if cut := -sum(room for _file, room in chosen if room < 0):
            tally.leave_out(f"the oldest {cut} bytes of the audit log")
        for file, room in chosen:
            if room <= 0:
                continue
            try:
                yield from _of(file, live, room, limits, tally)
            except (Gone, Denied, OSError, EOFError, zlib.error) as error:
                tally.leave_out(f"{file.path.name}: {str(error) or type(error).__name__}"[:200])


def _chosen(files: list[_File], limits: Limits) -> list[tuple[_File, int]]:
    """Return how much of each file is read, oldest first: the newest bytes that the bound allows.

    A file of which nothing is read stands there with what is left of it, below 0.
    """
    room, found = limits.bytes, list[tuple[_File, int]]()
    for file in reversed(files):
        expected = file.size * (_PACKED if file.packed else 1)
        take = min(expected, room)
        room -= take
        # A packed file cannot be begun in its middle: its oldest part would be taken.
        if file.packed and take < expected:
            take = 0
        if take < expected:
            found.append((file, take - expected))
        if take > 0:
            found.append((file, take))
    return found[::-1]


def _of(file: _File, live: IO[bytes], room: int, limits: Limits, tally: Tally) -> Iterator[bytes]:
    if not file.stamp:
        yield from _split(live, file.size - room, room, limits, tally)
        return
    with _open(file.path) as raw:
        if not file.packed:
            yield from _split(raw, file.size - room, room, limits, tally)
            return
        with gzip.GzipFile(fileobj=raw) as unpacked:
            # A small packed file may hold very much: what is read of it has the bound of all.
            yield from _split(unpacked, 0, limits.bytes, limits, tally)


def _split(
    source: IO[bytes] | gzip.GzipFile, start: int, room: int, limits: Limits, tally: Tally
) -> Iterator[bytes]:
    """Yield the lines between two places; the first may be the end of one, the last may be being written."""
    if start > 0:
        source.seek(start)
    rest, skipping = b"", start > 0
    while room > 0:
        if limits.left_s() <= 0:
            tally.leave_out("what its time did not suffice for")
            return
        data = source.read(min(CHUNK, room))
        if not data:
            return
        room -= len(data)
        *whole, rest = (rest + data).split(b"\n") if b"\n" in data else (rest + data,)
        for line in whole:
            if skipping:
                skipping = False
            elif line:
                tally.lines += 1
                yield line
        if skipping:
            rest = b""
        elif len(rest) > limits.line:
            tally.overlong += 1
            rest, skipping = b"", True
    if isinstance(source, gzip.GzipFile):
        tally.leave_out("the rest of a packed file that is too large")


def _rotated(path: Path, live: int, since: Instant | None) -> list[_File]:
    """Return the rotated files beside a log that may hold what happened since then, oldest first."""
    name = re.compile(rf"{re.escape(path.stem)}{_STAMP}{re.escape(path.suffix)}(\.gz)?", re.ASCII)
    now, found = os.fstat(live), list[_File]()
    try:
        entries = sorted(os.scandir(path.parent), key=lambda entry: entry.name)
    except OSError as error:
        raise Denied(f"its folder cannot be read: {error.strerror}", where=f"audit log {path}") from error
    for entry in entries:
        if (match := name.fullmatch(entry.name)) is None:
            continue
        day, hour, minute, second, ms, packed = match.groups()
        stamp = f"{day}T{hour}:{minute}:{second}.{ms}Z"
        if since is not None and stamp < str(since):
            continue
        try:
            about = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        # The log that is open here may have been rotated away since.
        if (about.st_dev, about.st_ino) != (now.st_dev, now.st_ino):
            found.append(_File(Path(entry.path), stamp, about.st_size, packed is not None))
    return sorted(found, key=lambda file: file.stamp)


def _open(path: Path) -> IO[bytes]:
    """Open a plain file; a pipe would hang, and a link may lead anywhere."""
    where = f"audit log {path}"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError as error:
        raise Gone("is not there", where=where) from error
    except (OSError, ValueError) as error:
        words = (
            "is a symbolic link: name the file itself" if path.is_symlink() else f"cannot be read: {error}"
        )
        raise Denied(words[:200], where=where) from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Denied("is no plain file", where=where)
    return os.fdopen(fd, "rb", buffering=0)
