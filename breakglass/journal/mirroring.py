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

    def state(self, *, within_s: float) -> Mapping[str, tuple[int, str]]:
        """Copy what is there now; return (records copied, what failed last) of each mirror."""
        self._all(self._catch_up, within_s)
        return {copy.mirror.name: (copy.records, copy.failure) for copy in self._copies}

    def finish(self, files: Mapping[str, bytes], *, within_s: float) -> Sequence[str]:
        """Copy the rest and these files of the sealed run; return what did not get there, in words."""
        self._ended.set()
        missing = {copy.mirror.name: "no answer in time" for copy in self._copies}

        def last(copy: _Copy) -> None:
            self._catch_up(copy)
            try:
                for name, data in files.items():
                    copy.mirror.put(f"{self._prefix}/{name}", data)
            except BreakglassError as error:
                copy.failure = error.what
            missing[copy.mirror.name] = copy.failure

        self._all(last, within_s)
        return [f"{name}: {why}" for name, why in missing.items() if why]

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
        except OSError:
            return b""
        return data[: data.rfind(b"\n") + 1]
