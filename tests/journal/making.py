"""Makes small journals and sealed folders for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from breakglass.clock import Instant, SystemClock
from breakglass.journal.checkpoint import origin
from breakglass.journal.sealing import seal
from breakglass.journal.writer import Journal
from breakglass.keys.key_file import FileSigner, generate

CLOCK = SystemClock()
ORG = "example.com"


class SettableClock:
    """A wall clock that steps when told; the monotonic one never goes back."""

    def __init__(self, epoch_ms: int) -> None:
        """Start at `epoch_ms`."""
        self.epoch_ms = epoch_ms
        self._monotonic_s = 1.0

    def now(self) -> Instant:
        """Return the time that was set."""
        return Instant(self.epoch_ms)

    def monotonic_s(self) -> float:
        """Return one more second each time."""
        self._monotonic_s += 1.0
        return self._monotonic_s

    def sleep(self, seconds: float) -> None:
        """Go on at once."""
        self._monotonic_s += seconds


def write_journal(path: Path, steps: Iterable[int]) -> Path:
    """Write one `step.started` a step."""
    with Journal.create(path, CLOCK) as journal:
        for step in steps:
            journal.append("step.started", {"step": step})
    return path


def log_signer(folder: Path) -> FileSigner:
    """Make a log key in `folder`."""
    path = folder / "log_key"
    generate(path, None, "log", allow_plain=True)
    return FileSigner(path, lambda: b"", allow_plain=True)


def sealed_folder(folder: Path, signer: FileSigner, steps: int = 5) -> Path:
    """Write and seal a journal of `steps` records and the last one."""
    folder.mkdir(parents=True)
    with Journal.create(folder / "journal.jsonl", CLOCK) as journal:
        for step in range(steps):
            journal.append("step.started", {"step": step})
        journal.append("run.sealed", {"verdict": "contained", "open": [], "timings": {}})
    seal(folder, origin=origin(ORG, "bastion-1", "INC-1"), signer=signer)
    return folder
