"""Compares the journal with the bare write and fdatasync that it cannot do without, in one run.

Prints ratios: absolute figures say more about the disk than about us.

usage: python benchmarks/bench_journal.py [FOLDER] [SECONDS A CASE]
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from breakglass.canon import JsonObject
from breakglass.clock import SystemClock
from breakglass.journal.chain import merkle_root
from breakglass.journal.durable import sync
from breakglass.journal.reader import read_journal
from breakglass.journal.writer import Journal

BODY: JsonObject = {"step": 3, "round": 1, "token": "a" * 64, "objects": {"key": "Active"}, "complete": True}
ROUNDS = 5


def per_second(work: Callable[[], object], seconds: float, threads: int = 1) -> float:
    """Return how often `work` is done in a second by that many threads together."""
    counts = [0] * threads
    end = time.perf_counter() + seconds

    def loop(n: int) -> None:
        while time.perf_counter() < end:
            work()
            counts[n] += 1

    workers = [threading.Thread(target=loop, args=(n,)) for n in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - began)


def bare(path: Path, line: bytes, seconds: float) -> float:
    """Write and sync the same bytes with nothing around them."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def once() -> None:
        os.write(fd, line)
        sync(fd)

    try:
        return per_second(once, seconds)
    finally:
        os.close(fd)


def journal(path: Path, seconds: float, threads: int) -> float:
    """Append to a journal."""
    with Journal.create(path, SystemClock()) as opened:
        return per_second(lambda: opened.append("step.intent", BODY), seconds, threads)


def main() -> None:
    """Run every case in turn, several times, and print the medians."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 0.4  # noqa: PLR2004 - the second argument
    rates: dict[int, list[float]] = {0: [], 1: [], 8: [], 32: []}
    with tempfile.TemporaryDirectory(dir=folder) as name:
        here = Path(name)
        with Journal.create(here / "one", SystemClock()) as one:
            one.append("step.intent", BODY)
        line = (here / "one").read_bytes()
        for n in range(ROUNDS):
            rates[0].append(bare(here / f"bare{n}", line, seconds))
            for threads in (1, 8, 32):
                rates[threads].append(journal(here / f"journal{n}-{threads}", seconds, threads))
        middle = {threads: statistics.median(found) for threads, found in rates.items()}
        print(f"bare write + fdatasync, {len(line)} bytes {middle[0]:9.0f} a second = 1.00")
        for threads in (1, 8, 32):
            ratio = middle[threads] / middle[0]
            print(
                f"journal, {threads:2} threads                 {middle[threads]:9.0f} a second = {ratio:.2f}"
            )
        began = time.perf_counter()
        contents = read_journal(here / f"journal{ROUNDS - 1}-32")
        read = time.perf_counter() - began
        merkle_root(contents.lines)
        rooted = time.perf_counter() - began - read
        count = len(contents.records)
        print(f"read and check a record: {read / count * middle[0]:.3f} of a bare write ({count} records)")
        print(f"Merkle root, a record:   {rooted / count * middle[0]:.3f} of a bare write")


if __name__ == "__main__":
    main()
