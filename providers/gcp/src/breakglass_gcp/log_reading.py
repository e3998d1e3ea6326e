"""Reads log entries page by page within a time: from the newest back, and then from the oldest on.

An agent may write so much that nothing reads it all in time: then both ends are kept, and what lies between
is said. ListLogEntries is limited to 60 calls a minute and project (Cloud Logging documentation, "Quotas and
limits"), so that pages are as large as they may be.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from breakglass.canon import Json, JsonObject
from breakglass.errors import ProviderError, Throttled, Transient
from breakglass.provider.redacting import Redactor
from breakglass_gcp.messages import as_json
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import CredentialsExpired

PAGE = 1000
SMALLEST_PAGE = 50
PIECE_BYTES = 8 * 1024 * 1024
MAX_BYTES = 64 * 1024 * 1024
"""Of one step in a stop: what is more stays where it is."""
NEWEST, OLDEST = "timestamp desc", "timestamp asc"
NEWEST_SHARE = 0.6
"""Of the time and of the bytes of one filter."""
_PAUSE_S = 0.3

Left = Callable[[], float]
Put = Callable[[str, bytes], None]
"""(name of the piece, its bytes)"""


@dataclass(slots=True)
class Reading:
    """How far one filter was read."""

    entries: int = 0
    complete: bool = False
    back_to: str = ""
    """The oldest entry that was read from the newest back."""
    up_to: str = ""
    """The newest entry that was read from the oldest on; empty: not read from there."""
    failed: str = ""

    def facts(self) -> JsonObject:
        """Return it for a record."""
        return {
            "entries": self.entries,
            "complete": self.complete,
            "back_to": self.back_to,
            "up_to": self.up_to,
            "failed": self.failed,
        }


@dataclass(slots=True)
class Pieces:
    """Redacts entries and hands them on in pieces."""

    name: str
    redactor: Redactor
    put: Put
    size: int = 0
    _n: int = 0
    _waiting: list[bytes] = field(default_factory=list)
    _bytes: int = 0

    def add(self, entry: Any) -> None:  # noqa: ANN401 - LogEntry
        """Take an entry; a full piece is handed on."""
        line = json.dumps(self.redactor.value(readable(entry)), separators=(",", ":")).encode() + b"\n"
        self._waiting.append(line)
        self._bytes += len(line)
        self.size += len(line)
        if self._bytes >= PIECE_BYTES:
            self.end()

    def end(self) -> None:
        """Hand on what waits."""
        if self._waiting:
            self._n += 1
            data, self._waiting, self._bytes = b"".join(self._waiting), [], 0
            self.put(f"{self.name}-{self._n:04d}.jsonl", data)


def readable(entry: Any) -> dict[str, Json]:  # noqa: ANN401 - LogEntry
    """Return an entry as JSON; one that JSON cannot hold (NaN, an unknown type within) as one text."""
    from google.cloud.audit import audit_log_pb2  # noqa: F401 - known by name from here on
    from google.iam.v1.logging import audit_data_pb2  # noqa: F401 - what SetIamPolicy's entries carry

    try:
        return as_json(entry)
    except (TypeError, ValueError, RecursionError):  # json_format.Error is a ValueError or not, by version
        return {"as_text": str(entry)}
    except Exception as error:  # noqa: BLE001 - no entry that an agent wrote may end the collection
        return {"as_text": str(entry), "not_json": type(error).__name__}


def read(project: Project, text: str, pieces: Pieces, left_s: Left, most_bytes: int = MAX_BYTES) -> Reading:
    """Read what a filter picks, as far as time and size go.

    Raises:
        CredentialsExpired: new ones let it go on.
        ProviderError: a piece could not be kept.
    """
    reading, begun = Reading(), pieces.size
    share_s = left_s() * (1 - NEWEST_SHARE)
    newest = _Side(project, text, NEWEST, pieces, begun + int(most_bytes * NEWEST_SHARE))
    reading.complete = newest.run(lambda: left_s() - share_s)
    reading.entries, reading.back_to, reading.failed = newest.entries, newest.last, newest.failed
    if not reading.complete and not reading.failed:
        oldest = _Side(project, text, OLDEST, pieces, begun + most_bytes, until=newest.last)
        reading.complete = oldest.run(left_s)
        reading.entries += oldest.entries
        reading.up_to, reading.failed = oldest.last, oldest.failed
        newest.trouble = oldest.trouble or newest.trouble
    if not (reading.complete or reading.entries or reading.failed):
        # Nothing read is not the same as nothing there.
        reading.failed = newest.trouble or "its time was over before the first entry"
    pieces.end()
    return reading


@dataclass(slots=True)
class _Side:
    """One listing in one order."""

    project: Project
    text: str
    order: str
    pieces: Pieces
    most_bytes: int
    until: str = ""
    """Where the other side has been."""
    entries: int = 0
    last: str = ""
    failed: str = ""
    trouble: str = ""
    """What a page last failed with that was tried again."""
    _size: int = PAGE

    def run(self, left_s: Left) -> bool:
        """Read pages until there are no more (True), or time or size is over."""
        token, seen = "", set[str]()
        while left_s() > 0 and self.pieces.size < self.most_bytes:
            page = self._page(token, left_s)
            if self.failed:
                return False
            if page is None:
                continue
            if not self._take(page.entries, left_s):
                return self._met()
            token = str(page.next_page_token)
            if not token:
                return True
            if token in seen:
                self.failed = "the same page comes again and again"
                return False
            seen.add(token)
        return False

    def _page(self, token: str, left_s: Left) -> Any:  # noqa: ANN401 - ListLogEntriesResponse
        """Return the next page; None: try again."""
        asked = {
            "resource_names": [self.project.name],
            "filter": self.text,
            "order_by": self.order,
            "page_size": self._size,
            "page_token": token,
        }
        try:
            return next(iter(self.project.call("logs", "list_log_entries", asked).pages))
        except CredentialsExpired:
            raise
        except Transient as error:
            # A page of very large entries may be what does not come in time.
            self._size = max(SMALLEST_PAGE, self._size // 2)
            self.trouble = str(error)[:300]
            pause_s = error.retry_after_s if isinstance(error, Throttled) else _PAUSE_S
            self.project.connection.clock.sleep(max(0.0, min(pause_s, left_s())))
        except ProviderError as error:
            self.failed = str(error)[:300]
        return None

    def _take(self, entries: Iterable[Any], left_s: Left) -> bool:
        """Keep entries; False: time or size is over, or the other side was met."""
        for entry in entries:
            moment = moment_of(entry)
            if self._beyond(moment):
                self.last = moment
                return False
            if left_s() <= 0 or self.pieces.size >= self.most_bytes:
                return False
            self.pieces.add(entry)
            self.entries += 1
            self.last = moment
        return True

    def _beyond(self, moment: str) -> bool:
        # Entries of the very moment at which the other side ended are read twice rather than never.
        return bool(self.until) and moment > self.until

    def _met(self) -> bool:
        return self._beyond(self.last)


def moment_of(entry: Any) -> str:  # noqa: ANN401 - LogEntry
    """Return when an entry happened, in words that sort."""
    stamp = type(entry).pb(entry).timestamp
    seconds: str = stamp.ToDatetime().strftime("%Y-%m-%dT%H:%M:%S")
    return f"{seconds}.{stamp.nanos:09d}Z"
