"""One journal file held open for appending: exclusively locked, dead after the first failed write."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from breakglass.errors import BreakglassError, DiskRefused, StopInProgress
from breakglass.journal.durable import PRIVATE_FILE, refused, sync, sync_folder, try_lock, write_all

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
NOT_DONE = "the record was not kept, and no change that waits for it was made"


class Segment:
    """An open journal file. Not safe for threads: its owner lets one of them in at a time."""

    def __init__(self, path: Path, fd: int) -> None:
        """Own `fd`, which is open for appending and locked."""
        self._path = path
        self._fd = fd
        self._failure: OSError | None = None

    @property
    def path(self) -> Path:
        """Return where the file is."""
        return self._path

    @classmethod
    def create(cls, path: Path) -> Segment:
        """Make the file, durably and for us alone.

        Raises:
            StopInProgress: it is there already.
            DiskRefused: it cannot be made.
        """
        try:
            fd = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        except FileExistsError as error:
            raise _taken(path) from error
        except OSError as error:
            raise refused(error, path) from error
        return cls._own(path, fd)

    @classmethod
    def open(cls, path: Path) -> Segment:
        """Open a file that exists.

        Raises:
            StopInProgress: another process writes it.
            DiskRefused: it cannot be opened.
        """
        try:
            fd = os.open(path, _FLAGS)
        except OSError as error:
            raise refused(error, path) from error
        return cls._own(path, fd)

    @classmethod
    def _own(cls, path: Path, fd: int) -> Segment:
        try:
            # The name may lead to another file by now: a recovery puts a fresh one in its place.
            if not try_lock(fd) or not os.path.samestat(os.fstat(fd), path.lstat()):
                raise _taken(path)
            sync_folder(path.parent)
        except OSError as error:
            os.close(fd)
            raise refused(error, path) from error
        except BreakglassError:
            os.close(fd)
            raise
        return cls(path, fd)

    def append(self, data: bytes) -> None:
        """Write whole lines and return once they are durable.

        After a failure the segment stays dead: Linux marks pages clean after a failed fsync, so a second
        one may succeed without having written them (https://wiki.postgresql.org/wiki/Fsync_Errors).

        Raises:
            DiskRefused: they may not be.
        """
        if self._failure is not None:
            raise self._refusal(self._failure)
        try:
            write_all(self._fd, data)
            sync(self._fd)
        except OSError as error:
            self._failure = error
            raise self._refusal(error) from error

    def abandon(self) -> None:
        """Write no more: a signal handler raised in between and what stands in the file is not known."""
        self._failure = self._failure or InterruptedError(errno.EINTR, "interrupted while writing")

    def _refusal(self, error: OSError) -> DiskRefused:
        """Return what to tell the one who wanted the record."""
        return refused(error, self._path, not_done=NOT_DONE)

    def close(self) -> None:
        """Let go of the file and its lock."""
        os.close(self._fd)


def _taken(path: Path) -> StopInProgress:
    return StopInProgress(
        "this journal is written by another run, or by one that did not end",
        where=str(path),
        remedy=f"wait for it, or if it is gone: breakglass resume {path.parent}",
    )
