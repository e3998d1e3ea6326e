"""Reads a journal: every line checked against the chain; a sealed one against its checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from breakglass.errors import RecordDamaged
from breakglass.journal.chain import merkle_root, read_lines, split
from breakglass.journal.checkpoint import CHECKPOINT, JOURNAL, MAX_CHECKPOINT_BYTES, Checkpoint
from breakglass.journal.durable import read_regular
from breakglass.model.records import RECORD_TYPES, Record

MAX_JOURNAL_BYTES = 4 * 1024**3


@dataclass(frozen=True, slots=True)
class JournalContents:
    """What a journal holds."""

    records: tuple[Record, ...]
    torn_tail: bytes
    """What stands after the last newline: a record that was never durable, and so never happened."""
    lines: tuple[bytes, ...]
    """The records' own bytes, without newlines."""


def read_journal(path: Path, *, known: frozenset[str] = RECORD_TYPES) -> JournalContents:
    """Read a journal that may still be written.

    Raises:
        RecordDamaged: a complete line is not what the chain allows there, or the file cannot be read.
    """
    lines, tail = split(read_regular(path, max_bytes=MAX_JOURNAL_BYTES))
    return JournalContents(read_lines(lines, known=known, where=str(path)), tail, tuple(lines))


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read the checkpoint of a sealed run.

    Raises:
        RecordDamaged: there is none, or it does not parse.
    """
    path = folder / CHECKPOINT
    return Checkpoint.from_bytes(read_regular(path, max_bytes=MAX_CHECKPOINT_BYTES), where=str(path))


def read_sealed(folder: Path) -> JournalContents:
    """Read the journal of a sealed run; any difference from the checkpoint is damage.

    Raises:
        RecordDamaged: a line, the number of records, the final newline or the root differs.
    """
    checkpoint = read_checkpoint(folder)
    contents = read_journal(folder / JOURNAL)
    compare(contents, checkpoint, where=str(folder / JOURNAL))
    return contents


def compare(contents: JournalContents, checkpoint: Checkpoint, *, where: str) -> None:
    """Hold a journal against its checkpoint.

    Raises:
        RecordDamaged: they differ.
    """
    if contents.torn_tail:
        raise RecordDamaged(
            f"{len(contents.torn_tail)} bytes stand after the last record of a sealed journal", where=where
        )
    if len(contents.lines) != checkpoint.size:
        raise RecordDamaged(
            f"holds {len(contents.lines)} records, the checkpoint says {checkpoint.size}", where=where
        )
    if merkle_root(contents.lines) != checkpoint.root:
        raise RecordDamaged("the records are not those that the checkpoint was made of", where=where)
