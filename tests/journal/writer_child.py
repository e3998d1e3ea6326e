"""Writes the journal argv[1] on four threads until killed; says each record once it is durable."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from breakglass.clock import SystemClock
from breakglass.journal.writer import Journal, Watch
from breakglass.model.records import Record


def say(record: Record) -> None:
    """Tell the parent the record's digest, past every buffer."""
    os.write(1, f"{record.seq} {record.digest}\n".encode())


def work(journal: Journal, thread: int) -> None:
    """Append until killed, in bodies that span more than one page of memory."""
    while True:
        journal.append("step.intent", {"step": thread, "objects": {"crontab": "x" * 3000}})


def main() -> None:
    """Run."""
    path = Path(sys.argv[1])
    begin = Journal.reopen if path.exists() else Journal.create
    journal = begin(path, SystemClock(), watch=Watch(after=say))
    for thread in range(4):
        threading.Thread(target=work, args=(journal, thread)).start()


main()
