"""Fills a disk under a journal for real: argv[1] is a folder, argv[2] says how the disk is made small.

``tmpfs``: mount a 256 KiB tmpfs there first (a private mount namespace is the caller's business).
``rlimit``: no file may grow beyond 64 KiB.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from breakglass.clock import SystemClock
from breakglass.errors import DiskRefused
from breakglass.journal.reader import read_journal
from breakglass.journal.writer import Journal
from breakglass.model.records import Record

SMALL = 64 * 1024


def fill(folder: Path, kind: str) -> None:
    """Leave about 64 KiB."""
    if kind == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "breakglass-test", folder], check=True)
        (folder / "filler").write_bytes(b"x" * (256 * 1024 - SMALL))
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, resource.RLIM_INFINITY))


def make_room(folder: Path, kind: str) -> None:
    """Give the space back."""
    if kind == "tmpfs":
        (folder / "filler").unlink()
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def append_until_refused(journal: Journal, step: int, durable: list[Record]) -> DiskRefused:
    """Return what the journal says when the disk is full."""
    while True:
        try:
            durable.append(journal.append("step.intent", {"step": step, "objects": {"a": "x" * 700}}))
        except DiskRefused as error:
            return error


def main() -> None:
    """Fill, look, make room, go on."""
    folder, kind = Path(sys.argv[1]), sys.argv[2]
    fill(folder, kind)
    path = folder / "journal.jsonl"
    durable: list[Record] = []
    journal = Journal.create(path, SystemClock())
    with ThreadPoolExecutor(4) as pool:
        refusals = list(pool.map(lambda step: append_until_refused(journal, step, durable), range(4)))
    journal.close()
    for refusal in refusals:
        assert refusal.what in ("the disk is full", "the file size limit is reached"), refusal.what
        assert "no change that waits for it was made" in refusal.not_done, refusal.not_done
        assert f"breakglass resume {folder}" in refusal.remedy, refusal.remedy
    assert len(durable) > 20, len(durable)
    left = {record.digest for record in read_journal(path).records}
    assert {record.digest for record in durable} <= left
    # Whether a recovery fits depends on the tail; that it harms nothing when it does not, is the point.
    with contextlib.suppress(DiskRefused):
        Journal.reopen(path, SystemClock()).close()
    make_room(folder, kind)
    with Journal.reopen(path, SystemClock()) as again:
        again.append("run.resumed", {})
    after = read_journal(path)
    assert {record.digest for record in durable} <= {record.digest for record in after.records}
    assert after.torn_tail == b""
    os.write(1, b"nothing lost\n")


main()
