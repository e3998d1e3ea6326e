"""Reads log files as they were when the reading began, however fast the agent goes on writing.

The size is taken once, and nothing behind it is read. Holes are skipped, so that a log blown up with
``truncate`` cannot push what it says out of reach.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from breakglass.errors import ProviderError
from breakglass_host import safepath

HEAD = 1024 * 1024
TAIL = 3 * 1024 * 1024
CHUNK = 65_536
MAX_EXTENTS = 4096

Range = tuple[int, int]


@dataclass(slots=True)
class LogFile:
    """One log file: what is to be read of it, and what was missed."""

    path: str
    size: int = 0
    ranges: tuple[Range, ...] = ()
    missed: str = ""

    @property
    def source(self) -> str:
        """Say which bytes of which file this is."""
        ranges = ", ".join(f"{start}-{end}" for start, end in self.ranges[:4])
        more = " and more" if len(self.ranges) > 4 else ""  # noqa: PLR2004 - enough for a line
        return f"{safepath.shown(self.path)} bytes {ranges or 'none'}{more} of {self.size}"


def measure(path: str) -> LogFile:
    """Take the size and choose what is read: all, or the first and the last part of the data.

    Raises:
        OSError: the file cannot be opened without following a link.
        ProviderError: it is no regular file.
    """
    folder, name = os.path.split(path)
    with safepath.folder(folder) as at, safepath.readable(name, at) as found:
        about = os.fstat(found)
        if not stat.S_ISREG(about.st_mode):
            raise ProviderError("is no regular file", where=safepath.shown(path))
        size = about.st_size
        return LogFile(path, size, tuple(chosen(extents(found, size))))


def chunks(log: LogFile, is_late: Callable[[], bool]) -> Iterator[bytes]:
    """Yield what `measure` chose; a file that was cut or swapped meanwhile is said in `missed`."""
    folder, name = os.path.split(log.path)
    with safepath.folder(folder) as at, safepath.readable(name, at) as found:
        for n, (start, end) in enumerate(log.ranges):
            if n:
                yield b"\n[... %d bytes left out ...]\n" % (start - log.ranges[n - 1][1])
            at_byte = start
            while at_byte < end:
                data = b"" if is_late() else os.pread(found, min(CHUNK, end - at_byte), at_byte)
                if not data:
                    late = f"no time left at byte {at_byte}"
                    log.missed = late if is_late() else f"it was cut while it was read, at byte {at_byte}"
                    return
                yield data
                at_byte += len(data)


def extents(found: int, size: int) -> list[Range]:
    """Return the parts of a file that hold data (lseek(2), SEEK_DATA)."""
    parts: list[Range] = []
    at = 0
    while at < size and len(parts) < MAX_EXTENTS:
        try:
            start = os.lseek(found, at, os.SEEK_DATA)
            at = min(size, os.lseek(found, start, os.SEEK_HOLE))
        except OSError as error:
            if error.errno == errno.ENXIO:
                return parts
            return [(0, size)]
        if start < at:
            parts.append((start, at))
    if at < size and parts:
        parts.append((at, size))
    return parts


def chosen(parts: list[Range]) -> list[Range]:
    """Return the first `HEAD` and the last `TAIL` bytes of the data; all of it where that is everything."""
    if sum(end - start for start, end in parts) <= HEAD + TAIL:
        return parts
    first = _taken(parts, HEAD)
    last = [(-end, -start) for start, end in _taken([(-end, -start) for start, end in reversed(parts)], TAIL)]
    return first + sorted(last)


def _taken(parts: list[Range], wanted: int) -> list[Range]:
    found: list[Range] = []
    for start, end in parts:
        if wanted <= 0:
            break
        found.append((start, min(end, start + wanted)))
        wanted -= end - start
    return found
