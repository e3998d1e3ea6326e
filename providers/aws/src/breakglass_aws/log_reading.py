"""Reads a log group: by filter from the oldest event on, and by a query from the newest one back.

FilterLogEvents answers at most 1 MB or 10,000 events a page; a page may be empty and not the last
(CloudWatch Logs API reference, FilterLogEvents). A query is started at once and asked later, for groups
that a filter does not get through in time.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from breakglass.errors import Gone, ProviderError, Transient
from breakglass.provider.redacting import Redactor
from breakglass_aws.account import Account
from breakglass_aws.patience import Patience
from breakglass_aws.refusals import CredentialsExpired, code_of

PAGE = 10_000
PIECE_BYTES = 8 * 1024 * 1024
MAX_BYTES = 64 * 1024 * 1024
"""Of one group in a stop: what is more stays where it is."""
QUERY = f"fields @timestamp, @logStream, @ingestionTime, @message | sort @timestamp desc | limit {PAGE}"
"""The most that a query returns (CloudWatch Logs User Guide, "limit")."""
_POLL_S = 0.25
_RUNNING = frozenset({"Scheduled", "Running", "Unknown"})

Left = Callable[[], float]
Put = Callable[[str, bytes], None]
"""(name of the piece, its bytes)"""


@dataclass(slots=True)
class Reading:
    """How far one way of reading came."""

    events: int = 0
    complete: bool = False
    until_ms: int = 0
    """The newest event that the filter reached, or the oldest that the query returned."""
    failed: str = ""


@dataclass(slots=True)
class Pieces:
    """Redacts events and hands them on in pieces."""

    name: str
    redactor: Redactor
    put: Put
    size: int = 0
    _n: int = 0
    _waiting: list[bytes] = field(default_factory=list)
    _bytes: int = 0

    def add(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Take events; a full piece is handed on."""
        for event in events:
            kept = {
                key: self.redactor.text(value) if isinstance(value, str) else value
                for key, value in event.items()
                if isinstance(value, str | int)
            }
            line = json.dumps(kept, separators=(",", ":")).encode() + b"\n"
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


def by_filter(account: Account, group: str, window: tuple[int, int], pieces: Pieces, left_s: Left) -> Reading:
    """Read every event of the window, oldest first, as far as time and size go.

    Raises:
        CredentialsExpired: new ones let it go on.
        ProviderError: a piece could not be kept.
    """
    reading, marks = Reading(), dict[str, str]()
    patience = Patience(account.connection.clock, left_s)
    while left_s() > 0 and pieces.size < MAX_BYTES:
        try:
            call = partial(
                account.call,
                "logs",
                "filter_log_events",
                logGroupName=group,
                startTime=window[0],
                endTime=window[1],
                limit=PAGE,
                **marks,
            )
            page = patience.tried(call, Transient)
        except CredentialsExpired:
            raise
        except Transient:
            break
        except ProviderError as error:
            reading.failed = str(error)[:300]
            break
        events = page.get("events") or []
        pieces.add(events)
        reading.events += len(events)
        reading.until_ms = max([reading.until_ms, *(int(one.get("timestamp") or 0) for one in events)])
        following = page.get("nextToken")
        if not following:
            reading.complete = True
            break
        if following == marks.get("nextToken"):
            reading.failed = "the same page comes again and again"
            break
        marks = {"nextToken": str(following)}
    pieces.end()
    return reading


def start_query(account: Account, group: str, window: tuple[int, int]) -> tuple[str, str]:
    """Start a query; return its id, and why there is none."""
    try:
        answer = account.call(
            "logs",
            "start_query",
            logGroupName=group,
            startTime=window[0] // 1000,
            endTime=window[1] // 1000 + 1,
            queryString=QUERY,
            limit=PAGE,
        )
    except CredentialsExpired:
        raise
    except ProviderError as error:
        return "", str(error)[:300]
    return str(answer["queryId"]), ""


def by_query(account: Account, query: str, pieces: Pieces, left_s: Left) -> Reading:
    """Wait for a query's rows, newest first; a query that does not end in time is stopped.

    Raises:
        CredentialsExpired: new ones let it go on.
        ProviderError: a piece could not be kept.
    """
    reading = Reading()
    patience = Patience(account.connection.clock, left_s)
    status = "Scheduled"
    while status in _RUNNING and left_s() > 0:
        try:
            call = partial(account.call, "logs", "get_query_results", queryId=query)
            answer = patience.tried(call, Transient)
        except CredentialsExpired:
            raise
        except Transient:
            break
        except ProviderError as error:
            reading.failed = str(error)[:300]
            return reading
        status = str(answer.get("status") or "Unknown")
        if status in _RUNNING:
            account.connection.clock.sleep(max(0.0, min(_POLL_S, left_s())))
            continue
        rows = [_row(row) for row in answer.get("results") or []]
        pieces.add(rows)
        reading.events = len(rows)
    if status in _RUNNING:
        with contextlib.suppress(ProviderError):
            account.call("logs", "stop_query", queryId=query)
    reading.complete = status == "Complete" and reading.events < PAGE
    if status != "Complete":
        reading.failed = "it did not end in time" if status in _RUNNING else f"it ended as {status}"
    pieces.end()
    return reading


def protect(account: Account, group: str, *, on: bool) -> str:
    """Set the deletion protection; return why it cannot be, empty where it was set.

    Raises:
        Transient: it may work when it is tried again.
        Gone: the group is not there.
    """
    try:
        account.call(
            "logs",
            "put_log_group_deletion_protection",
            logGroupIdentifier=group,
            deletionProtectionEnabled=on,
        )
    except (Transient, Gone):
        raise
    except ProviderError as error:
        return f"PutLogGroupDeletionProtection: {code_of(error) or error.what}"[:200]
    return ""


def _row(row: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {
        str(one.get("field")).lstrip("@"): str(one.get("value")) for one in row if one.get("field") != "@ptr"
    }
