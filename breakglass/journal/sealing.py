"""Seals a run's journal, and checks one run's folder the way that anybody else can."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from breakglass.canon import sha256
from breakglass.errors import RecordDamaged, UsageError
from breakglass.journal.chain import merkle_root
from breakglass.journal.checkpoint import (
    CHECKPOINT,
    JOURNAL,
    LOG_KEY,
    MAX_SIGNATURE_BYTES,
    SIGNATURE,
    Checkpoint,
    check_signature,
)
from breakglass.journal.durable import read_regular, replace
from breakglass.journal.reader import JournalContents, compare, read_checkpoint, read_journal
from breakglass.journal.segment import Segment
from breakglass.keys.signer import Signer

KEY_NOT_PINNED = (
    "key not pinned: checked with the folder's own log.pub, which says nothing about who wrote it"
)
NOT_SEALED = "not sealed: the run has not ended, so what is missing at its end cannot be seen"
_LAST = "run.sealed"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FolderCheck:
    """What checking one run's folder found; `problems` are damage, `notes` what the check cannot say."""

    records: int
    sealed: bool
    chain_ok: bool
    checkpoint_ok: bool
    signature_ok: bool
    key_pinned: bool
    key: str
    """Fingerprint of the log key; empty unless the signature verified."""
    origin: str
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Say that nothing is damaged; an unsealed run may be whole so far."""
        return not self.problems


def _forget(_checkpoint_sha256: str) -> None:
    """Do nothing."""


def seal(folder: Path, *, origin: str, signer: Signer, remember: Callable[[str], None] = _forget) -> str:
    """Sign what the journal on the disk says and return the checkpoint's sha256; the writer is closed before.

    The checkpoint's presence is what makes a run sealed. So its signature is durable before it, and what
    `remember` does with its sha256 is done: whoever dies in between can seal again, and nothing is missed.

    Raises:
        UsageError: sealed already, or its last record is not `run.sealed`.
        StopInProgress: it is still being written.
        RecordDamaged: it does not verify.
        DiskRefused: the disk would not; the run stays unsealed.
    """
    from breakglass.keys.sshsig import namespace

    if os.path.lexists(folder / CHECKPOINT):
        raise UsageError("this run is sealed already", where=str(folder))
    held = Segment.open(folder / JOURNAL)
    try:
        contents = read_journal(folder / JOURNAL)
        if contents.torn_tail or not contents.records or contents.records[-1].type != _LAST:
            raise UsageError(
                f"a run is sealed after its last record, {_LAST}",
                where=str(folder / JOURNAL),
                remedy=f"breakglass resume {folder}",
            )
        checkpoint = Checkpoint(origin, len(contents.lines), merkle_root(contents.lines))
        text = checkpoint.to_bytes()
        Checkpoint.from_bytes(text, where="checkpoint")
        signature = signer.sign(text, namespace("checkpoint", checkpoint.org))
        check_signature(text, signature, signer.public_line, org=checkpoint.org, where="checkpoint")
        replace(folder / LOG_KEY, signer.public_line.strip().encode() + b"\n")
        replace(folder / SIGNATURE, signature)
        remember(sha256(text))
        replace(folder / CHECKPOINT, text)
    finally:
        held.close()
    return sha256(text)


def verify_folder(folder: Path, pinned_log_key: str | None) -> FolderCheck:
    """Check chain, checkpoint and signature of one run; damage is an answer, not an exception."""
    problems: list[str] = []
    notes: list[str] = [] if pinned_log_key is not None else [KEY_NOT_PINNED]
    contents = _attempt(problems, lambda: read_journal(folder / JOURNAL))
    checkpoint: Checkpoint | None = None
    matches: bool | None = None
    key: str | None = None
    sealed = os.path.lexists(folder / CHECKPOINT)
    if sealed:
        checkpoint = _attempt(problems, lambda: read_checkpoint(folder))
    else:
        notes.append(NOT_SEALED)
        if contents is not None and contents.torn_tail:
            notes.append(
                f"{len(contents.torn_tail)} bytes of a record that was never durable stand at the end"
            )
    if checkpoint is not None:
        known = checkpoint
        if contents is not None:
            found = contents
            matches = _attempt(problems, lambda: _matches(found, known, folder))
        key = _attempt(problems, lambda: _check_signature(folder, known, pinned_log_key))
    return FolderCheck(
        records=len(contents.records) if contents is not None else 0,
        sealed=sealed,
        chain_ok=contents is not None,
        checkpoint_ok=bool(matches),
        signature_ok=bool(key),
        key_pinned=pinned_log_key is not None,
        key=key or "",
        origin=checkpoint.origin if checkpoint is not None else "",
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _attempt(problems: list[str], check: Callable[[], T]) -> T | None:
    """Return what `check` finds, or None with the damage written down, so that the other checks go on."""
    try:
        return check()
    except RecordDamaged as error:
        problems.append(str(error))
        return None


def _matches(contents: JournalContents, checkpoint: Checkpoint, folder: Path) -> bool:
    compare(contents, checkpoint, where=str(folder / JOURNAL))
    return True


def _check_signature(folder: Path, checkpoint: Checkpoint, pinned_log_key: str | None) -> str:
    """Return the fingerprint of the key that signed these very bytes."""
    path = folder / SIGNATURE
    if pinned_log_key is None:
        line = read_regular(folder / LOG_KEY, max_bytes=MAX_SIGNATURE_BYTES)
        pinned_log_key = line.decode("ascii", "replace").strip()
    signature = read_regular(path, max_bytes=MAX_SIGNATURE_BYTES)
    return check_signature(
        checkpoint.to_bytes(), signature, pinned_log_key, org=checkpoint.org, where=str(path)
    )
