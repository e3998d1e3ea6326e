"""Collects an agent's journal entries without secrets: as export text and as a journal file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from breakglass.canon import Json
from breakglass.clock import Instant
from breakglass_host.journald.export_format import Entry, printed
from breakglass_host.journald.field_redaction import FieldRedactor
from breakglass_host.journald.journal_file import JournalFile
from breakglass_host.journald.journalctl import Answer, Bounds, Journalctl

_CLAIMS = (b"UNIT", b"USER_UNIT", b"OBJECT_SYSTEMD_UNIT", b"COREDUMP_UNIT")
_MOST_BOOTS = 50


@dataclass(slots=True)
class Collected:
    """What was collected of one journal, in the order in which journalctl printed it."""

    redactor: FieldRedactor
    text: list[bytes] = field(default_factory=list)
    file: JournalFile = field(default_factory=JournalFile)
    entries: int = 0
    first: str = ""
    last: str = ""
    boots: dict[str, None] = field(default_factory=dict)
    cut: tuple[str, str] | None = None
    """The cursors before and behind what was left out, since there is more than one export may hold."""
    claims: int = 0
    """Entries that name a unit in a field that anybody can write, by another sender than the system's own."""
    suppressed: int = 0
    """Messages that journald says it dropped, since they came too fast."""
    begins: int | None = None
    """When the oldest entry of all that journald still has was received, in microseconds."""
    left_out: list[str] = field(default_factory=list)
    not_in_file: int = 0
    """Entries that no journal file can hold: they stand in the export alone."""

    def take(self, entry: Entry) -> None:
        """Add one entry."""
        self.entries += 1
        self.first = self.first or entry.cursor
        if len(self.boots) < _MOST_BOOTS:
            self.boots[entry.boot] = None
        self._count(entry)
        entry = self.redactor.entry(entry)
        self.first = self.first if self.entries > 1 else entry.cursor
        self.last = entry.cursor
        self.text.append(printed(entry))
        try:
            self.file.add(entry)
        except ValueError:
            self.not_in_file += 1

    def facts(self) -> dict[str, Json]:
        """Return what the state and the manifest say."""
        cut: Json = {"after": self.cut[0], "before": self.cut[1]} if self.cut else None
        return {
            "entries": self.entries,
            "first_cursor": self.first,
            "last_cursor": self.last,
            "boots": [*self.boots],
            "cut": cut,
            "journal_begins": str(Instant(self.begins // 1000)) if self.begins is not None else "",
            "entries_redacted": self.redactor.changed,
            "values_shortened": self.redactor.shortened,
            "entries_that_claim_a_unit": self.claims,
            "messages_dropped_by_journald": self.suppressed,
            "times_moved_in_journal_file": self.file.moved,
            "entries_not_in_journal_file": self.not_in_file,
        }

    def _count(self, entry: Entry) -> None:
        is_system = entry.first(b"_UID") == b"0"
        if not is_system and any(entry.first(name) for name in _CLAIMS):
            self.claims += 1
        dropped = entry.first(b"N_DROPPED")
        if dropped.isdigit() and entry.first(b"_TRANSPORT") == b"driver":
            self.suppressed += int(dropped[:9])


def collect(source: Journalctl, collected: Collected, bounds: Bounds, left_s: Callable[[], float]) -> None:
    """Read the oldest entries and, where those are not all, the newest; half of the time for each."""
    half_s = left_s() / 2
    head, seen = Answer(), set()
    for entry in replace(source, left_s=lambda: left_s() - half_s).read(bounds, head):
        seen.add(entry.cursor)
        collected.take(entry)
    if head.ended:
        return
    if head.failed:
        collected.left_out.append(f"journalctl: {head.failed}")
    tail, newest, joined = Answer(), list[Entry](), False
    for entry in source.read(bounds, tail, backwards=True):
        if entry.cursor in seen:
            joined = True
            break
        newest.append(entry)
    if tail.failed:
        collected.left_out.append(f"journalctl, backwards: {tail.failed}")
    if not joined and not tail.ended:
        collected.cut = (collected.last, newest[-1].cursor if newest else "")
        if head.late or tail.late:
            collected.left_out.append("no time left to read all that lies within the bounds")
    while newest and left_s() > 0:
        collected.take(newest.pop())
    if newest:
        collected.left_out.append(f"no time left for the {len(newest)} newest entries")
