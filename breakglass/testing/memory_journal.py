"""A journal in memory that can be told to die after any record: the crash campaign's disk."""

from __future__ import annotations

from breakglass.canon import JsonObject, canonical, sha256
from breakglass.clock import Clock
from breakglass.model.records import ZERO_DIGEST, Record


class Crash(BaseException):
    """The process ended here; nothing after this point ran."""


class MemoryJournal:
    """Keeps records as the real writer makes them, and raises `Crash` right after the n-th."""

    def __init__(
        self,
        clock: Clock,
        records: tuple[Record, ...] = (),
        *,
        die_after: int | None = None,
        lose: bool = False,
    ) -> None:
        """Go on from `records`; `die_after` counts this process's records, `lose` loses the last of them."""
        self._clock = clock
        self._die_after = die_after
        self._lose = lose
        self._written = 0
        self.records = list(records)

    def append(self, type: str, body: JsonObject) -> Record:  # noqa: A002 - the port's own name
        """Keep one record."""
        prev = self.records[-1].digest if self.records else ZERO_DIGEST
        line = canonical({"body": body, "prev": prev, "seq": len(self.records), "type": type})
        record = Record(
            seq=len(self.records),
            at=self._clock.now(),
            monotonic_us=int(self._clock.monotonic_s() * 1e6),
            type=type,
            body=body,
            prev=prev,
            digest=sha256(line),
        )
        self._written += 1
        if self._lose and self._written == self._die_after:
            raise Crash
        self.records.append(record)
        if self._written == self._die_after:
            raise Crash
        return record
