"""Reads files that may never answer, without waiting for them longer than a moment.

A process can make a read of its command line or environment hang: they lie in its own memory, which may be
backed by a user's own file system or page-fault handler. So one helper thread does such reads, and is left
behind for a new one when it does not answer.
"""

from __future__ import annotations

import os
import queue
import threading
from dataclasses import dataclass

PATIENCE_S = 0.5
LONGEST_S = 5.0
"""What goes on giving bytes does not hang: a table of ten thousands of connections comes page by page."""
LARGEST = 4 * 1024 * 1024


class HangingRead(OSError):
    """The file did not answer in time."""


class PatientReader:
    """One helper thread at a time; for use by one thread."""

    def __init__(self, patience_s: float = PATIENCE_S, *, largest: int = LARGEST) -> None:
        """Start nothing yet."""
        self._patience_s = patience_s
        self._largest = largest
        self._ask: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[bytes | OSError] = queue.SimpleQueue()
        self._progress = _Progress()
        self._running = False

    def read(self, path: str) -> bytes:
        """Return the bytes of a file, at most the `largest` that was asked for.

        Raises:
            OSError: it cannot be read; `HangingRead` when it did not answer.
        """
        if not self._running:
            threading.Thread(
                target=_serve,
                args=(self._ask, self._answers, self._largest, self._progress),
                daemon=True,
            ).start()
            self._running = True
        self._ask.put(path)
        answer = self._answer()
        if answer is None:
            self._ask.put(None)  # should it ever come back, it ends
            self._ask, self._answers, self._running = queue.SimpleQueue(), queue.SimpleQueue(), False
            self._progress = _Progress()
            raise HangingRead(f"{path} did not answer within {self._patience_s} s")
        if isinstance(answer, OSError):
            raise answer
        return answer

    def _answer(self) -> bytes | OSError | None:
        """Wait as long as pages keep coming, and not for ever; None: it hangs."""
        waited_s, pages = 0.0, -1
        while waited_s < LONGEST_S and self._progress.pages != pages:
            pages = self._progress.pages
            try:
                return self._answers.get(timeout=self._patience_s)
            except queue.Empty:
                waited_s += self._patience_s
        return None

    def close(self) -> None:
        """Let the helper end."""
        if self._running:
            self._ask.put(None)
            self._running = False


@dataclass(slots=True)
class _Progress:
    """How many pages a helper has read: one writer, one reader."""

    pages: int = 0


def _serve(
    ask: queue.SimpleQueue[str | None],
    answers: queue.SimpleQueue[bytes | OSError],
    largest: int,
    progress: _Progress,
) -> None:
    while (path := ask.get()) is not None:
        try:
            answers.put(_read(path, largest, progress))
        except OSError as error:
            answers.put(error)


def _read(path: str, largest: int, progress: _Progress) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = (
            bytearray()
        )  # the kernel gives a table of connections a page at a time, and it may be megabytes
        while len(data) < largest and (more := os.read(handle, 1 << 16)):
            data += more
            progress.pages += 1
    finally:
        os.close(handle)
    return bytes(data)
