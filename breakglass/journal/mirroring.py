"""Copies a journal to mirrors while it is written: one write-once object per segment, in a thread of its own.

A segment is whole lines; its name holds the number of its first record and its digest, so that a gap, a
twin or a changed line is seen by whoever reads the mirror with nothing but ``sha256sum``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from breakglass.canon import sha256
from breakglass.errors import BreakglassError
from breakglass.provider import Mirror

PERIOD_S = 1.0
MAX_SEGMENT_BYTES = 4 * 1024 * 1024


@dataclass(slots=True)
class _Copy:
    """How far one mirror has come."""

    mirror: Mirror
    offset: int = 0
    records: int = 0
    pending: bytes = b""
    """A segment whose answer is not known: sent again as it is, never longer."""
    failure: str = ""
    gate: threading.Lock = field(default_factory=threading.Lock)


class Mirroring:
    """The copies of one journal."""

    def __init__(self, mirrors: Sequence[Mirror], journal: Path, prefix: str) -> None:
        """Copy nothing yet."""
        self._copies = [_Copy(mirror) for mirror in mirrors]
        self._journal = journal
        self._prefix = prefix
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Copy from now on."""
        for copy in self._copies:
            thread = threading.Thread(target=self._keep_up, args=(copy,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def state(self, *, within_s: float) -> Sequence[tuple[str, int, str]]:
        """Copy what is there now; return (name, records copied, what is missing and why) of each mirror."""
        self._all(self._catch_up, within_s)
        return [(copy.mirror.name, copy.records, self._missing(copy)) for copy in self._copies]

    def finish(self, files: Mapping[str, bytes], *, within_s: float) -> Sequence[str]:
        """Copy the rest and these files of the sealed run; return what did not get there, in words."""
        self._ended.set()
        done: set[int] = set()

        def last(copy: _Copy) -> None:
            self._catch_up(copy)
            try:
                for name, data in files.items():
                    copy.mirror.put(f"{self._prefix}/{name}", data)
            except BreakglassError as error:
                copy.failure = error.what
            done.add(id(copy))

        self._all(last, within_s)
        answers = [
            (copy, self._missing(copy) or ("" if id(copy) in done else "no answer in time"))
            for copy in self._copies
        ]
        return [f"{copy.mirror.name}: {why}" for copy, why in answers if why]

    def _missing(self, copy: _Copy) -> str:
        """Return why a copy is not whole, whatever its mirror said last; empty: it is."""
        if copy.failure:
            return copy.failure
        try:
            left = self._journal.stat().st_size - copy.offset
        except OSError as error:
            return f"the journal cannot be read: {error.strerror}"
        return f"{left} bytes were not copied in time" if left else ""

    def _all(self, work: Callable[[_Copy], None], within_s: float) -> None:
        threads = [threading.Thread(target=work, args=(copy,), daemon=True) for copy in self._copies]
        for thread in threads:
            thread.start()
        until_s = time.monotonic() + within_s
        for thread in threads:
            thread.join(max(0.0, until_s - time.monotonic()))

    def _keep_up(self, copy: _Copy) -> None:
        while not self._ended.wait(PERIOD_S):
            self._catch_up(copy)

    def _catch_up(self, copy: _Copy) -> None:
        """Copy whole lines until none is left, or the mirror refuses."""
        with copy.gate:
            while segment := copy.pending or self._next(copy.offset):
                copy.pending = segment
                name = f"{self._prefix}/{copy.records:08d}-{sha256(segment)}.jsonl"
                try:
                    copy.mirror.put(name, segment)
                except BreakglassError as error:
                    copy.failure = error.what
                    return
                except Exception as error:  # noqa: BLE001 - a bug of a mirror stops no stop
                    copy.failure = f"bug in the mirror: {type(error).__name__}: {error}"
                    return
                copy.offset += len(segment)
                copy.records += segment.count(b"\n")
                copy.pending, copy.failure = b"", ""

    def _next(self, offset: int) -> bytes:
        """Return whole lines from there on; nothing where none is whole yet."""
        try:
            with self._journal.open("rb") as file:
                file.seek(offset)
                data = file.read(MAX_SEGMENT_BYTES)
                if b"\n" not in data and len(data) == MAX_SEGMENT_BYTES:
                    data += file.readline()  # one record may be longer than a segment, and goes whole
        except OSError:
            return b""
        return data[: data.rfind(b"\n") + 1]
