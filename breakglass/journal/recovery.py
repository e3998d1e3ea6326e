"""Puts a journal in order after a crash: what was never durable is moved aside, the rest written afresh."""

from __future__ import annotations

from pathlib import Path

from breakglass.canon import JsonObject
from breakglass.clock import Clock
from breakglass.journal.chain import head_of, prepare, write_line
from breakglass.journal.durable import read_regular, replace
from breakglass.journal.reader import MAX_JOURNAL_BYTES, JournalContents
from breakglass.model.records import RECORD_TYPES, Record


def rewrite(path: Path, contents: JournalContents, clock: Clock) -> Record | None:
    """Write the complete lines to a new file in the old one's place; return the record of a torn tail.

    All of it is written again, even with nothing torn: after a failed fsync the page cache may show lines
    that never reached the disk (https://wiki.postgresql.org/wiki/Fsync_Errors). The tail is durable aside,
    and its record durable in the new file, before the old file goes.

    Raises:
        DiskRefused: the disk would not; the old file stands.
    """
    lines = list(contents.lines)
    recovered: Record | None = None
    if contents.torn_tail:
        body: JsonObject = {"bytes": len(contents.torn_tail), "file": _keep(path, contents.torn_tail).name}
        line, recovered = write_line(
            head_of(contents.records),
            at=clock.now(),
            monotonic_us=int(clock.monotonic_s() * 1e6),
            kind="journal.recovered",
            body=prepare("journal.recovered", body, RECORD_TYPES),
        )
        lines.append(line)
    replace(path, b"".join(line + b"\n" for line in lines))
    return recovered


def _keep(path: Path, tail: bytes) -> Path:
    """Store the tail as ``<journal>.torn.<n>``; one that a crash left there already is used again."""
    n = 1
    while (aside := path.with_name(f"{path.stem}.torn.{n}")).exists():
        if read_regular(aside, max_bytes=MAX_JOURNAL_BYTES) == tail:
            return aside
        n += 1
    replace(aside, tail)
    return aside
