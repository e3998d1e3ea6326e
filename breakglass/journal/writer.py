"""Appends records: many threads, one write and one sync for all that wait, durable before anyone goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from breakglass.canon import JsonObject
from breakglass.clock import Clock, Instant
from breakglass.errors import BreakglassError, DiskRefused, UsageError
from breakglass.journal.chain import Body, Head, head_of, prepare, write_line
from breakglass.journal.checkpoint import CHECKPOINT
from breakglass.journal.reader import read_journal
from breakglass.journal.recovery import rewrite
from breakglass.journal.segment import NOT_DONE, Segment
from breakglass.model.records import RECORD_TYPES, Record

OnRecord = Callable[[Record], None]


def _unwatched(_record: Record) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Is told of every record: right before it is written, and once it is durable. Tests crash there."""

    before: OnRecord = _unwatched
    after: OnRecord = _unwatched


UNWATCHED = Watch()


@dataclass(slots=True)
class _Waiting:
    """One record on its way to the disk; written by the leader, read by its owner once `done`."""

    at: Instant
    monotonic_us: int
    kind: str
    body: Body
    done: bool = False
    record: Record | None = None
    failure: DiskRefused | None = None
    remedy: str = ""


class Journal:
    """The journal of one run, open for writing by this process alone.

    A thread that appends while nobody writes becomes the leader and pays one sync; those that come
    meanwhile wait, and one of them leads the next batch. A signal handler must not raise in a thread that
    appends: the segment would be dead (nothing is lost, `reopen` goes on).
    """

    def __init__(self, segment: Segment, head: Head, clock: Clock, watch: Watch) -> None:
        """Use `create` or `reopen`; this only keeps what they opened."""
        self._segment = segment
        self._head = head
        self._clock = clock
        self._watch = watch
        self._turn = threading.Condition()
        self._queue: list[_Waiting] = []
        self._leading = False
        self._closed = False

    @classmethod
    def create(cls, path: Path, clock: Clock, *, watch: Watch = UNWATCHED) -> Journal:
        """Start a journal.

        Raises:
            StopInProgress: there is a journal already.
            DiskRefused: it cannot be made.
        """
        return cls(Segment.create(path), Head(), clock, watch)

    @classmethod
    def reopen(cls, path: Path, clock: Clock, *, watch: Watch = UNWATCHED) -> Journal:
        """Go on after a crash; a torn tail is moved aside and recorded.

        Raises:
            UsageError: the run is sealed.
            StopInProgress: another process writes it.
            RecordDamaged: it does not verify; nothing was repaired.
            DiskRefused: it cannot be written.
        """
        if path.with_name(CHECKPOINT).exists():
            raise UsageError("this run is sealed and cannot go on", where=str(path))
        if not path.exists():
            raise UsageError("there is no journal: this run never started", where=str(path))
        old = Segment.open(path)
        try:
            contents = read_journal(path)
            recovered = rewrite(path, contents, clock)
            segment = Segment.open(path)
        finally:
            old.close()
        head = head_of((*contents.records, recovered) if recovered else contents.records)
        journal = cls(segment, head, clock, watch)
        if recovered is not None:
            watch.after(recovered)
        return journal

    def append(self, type: str, body: JsonObject) -> Record:  # noqa: A002 - the field's own name
        """Write one record and return once it is durable.

        Raises:
            DiskRefused: it is not, and no later one will be: the disk failed.
            BreakglassError: a bug of ours: an unknown type, a body that is not strict JSON, a closed journal.
        """
        prepared = prepare(type, body, RECORD_TYPES)
        with self._turn:
            if self._closed:
                raise BreakglassError("the journal is closed", where="journal")
            mine = _Waiting(self._clock.now(), int(self._clock.monotonic_s() * 1e6), type, prepared)
            self._queue.append(mine)
            while self._leading and not mine.done:
                self._turn.wait()
            if mine.done:
                return _result(mine)
            batch = self._take()
        self._lead(batch)
        return _result(mine)

    def close(self) -> None:
        """Write what still waits, then let go of the file and its lock; a second call does nothing."""
        with self._turn:
            while self._leading:
                self._turn.wait()
            if self._closed:
                return
            self._closed = True
            batch = self._take() if self._queue else []
        try:
            if batch:
                self._lead(batch)
        finally:
            self._segment.close()

    def __enter__(self) -> Self:
        """Return the journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _take(self) -> list[_Waiting]:
        """Become the leader of all that waits; the caller holds the turn."""
        self._leading = True
        batch, self._queue = self._queue, []
        return batch

    def _lead(self, batch: list[_Waiting]) -> None:
        """Write the batch with one call and one sync, then tell everybody how it went."""
        try:
            self._write(batch)
        except DiskRefused as error:
            folder = self._segment.path.parent
            for waiting in batch:
                waiting.failure = error
                waiting.remedy = f"free space or repair the disk, then: breakglass resume {folder}"
        finally:
            with self._turn:
                for waiting in batch:
                    waiting.done = True
                self._leading = False
                self._turn.notify_all()

    def _write(self, batch: list[_Waiting]) -> None:
        head, lines, records = self._head, [], []
        for waiting in batch:
            line, record = write_line(
                head,
                at=waiting.at,
                monotonic_us=waiting.monotonic_us,
                kind=waiting.kind,
                body=waiting.body,
            )
            head = Head(record.seq + 1, record.digest)
            lines.append(line + b"\n")
            records.append(record)
        try:
            for record in records:
                self._watch.before(record)
            self._segment.append(b"".join(lines))
            self._head = head
        except BaseException:
            self._segment.abandon()
            raise
        for waiting, record in zip(batch, records, strict=True):
            waiting.record = record
            self._watch.after(record)


def _result(waiting: _Waiting) -> Record:
    """Return the record, or raise an error of this thread's own about the batch's failure."""
    if waiting.record is not None:
        return waiting.record
    failure = waiting.failure
    if failure is None:
        raise DiskRefused("the write was interrupted", where="journal", not_done=NOT_DONE)
    raise DiskRefused(
        failure.what, where=failure.where, not_done=failure.not_done, remedy=waiting.remedy
    ) from failure
