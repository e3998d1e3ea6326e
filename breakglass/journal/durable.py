"""Puts bytes on the disk so that they are still there after a power cut, or says that they are not."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from breakglass.clock import Clock
from breakglass.errors import NOTHING_CHANGED, DiskRefused, RecordDamaged, Unreachable, UsageError

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
LOCK_WAIT_S = 10
_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)
_CAUSES = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file size limit is reached",
    errno.EIO: "the disk reported an error",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "this account may not write here",
    errno.EPERM: "this account may not write here",
}


def refused(error: OSError, where: Path | str, *, not_done: str = NOTHING_CHANGED) -> DiskRefused:
    """Return the error to raise when the operating system would not keep something at `where`."""
    cause = _CAUSES.get(error.errno or 0, os.strerror(error.errno or 0))
    remedy = "free space there or choose another folder, then run the command again"
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        remedy = "repair it or choose another folder, then run the command again"
    return DiskRefused(cause, where=str(where), not_done=not_done, remedy=remedy)


def sync(fd: int) -> None:
    """Wait until the file's bytes and size are on the medium.

    On macOS fsync may leave bytes in the drive's cache and F_FULLFSYNC does not (fsync(2) there); file
    systems that do not know it get fsync. Elsewhere fdatasync is enough: it writes the size too.
    """
    if _FULL_SYNC is not None:
        try:
            fcntl.fcntl(fd, _FULL_SYNC)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY):
                raise
        else:
            return
    getattr(os, "fdatasync", os.fsync)(fd)


def sync_folder(folder: Path) -> None:
    """Wait until the folder's names are on the medium."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    """Write with as few calls as the kernel allows: one, unless the disk is nearly full."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def replace(path: Path, data: bytes) -> None:
    """Put `data` at `path` whole or not at all, and durably.

    Raises:
        DiskRefused: the disk would not; the old content stands.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(partial, flags, PRIVATE_FILE)
        try:
            write_all(fd, data)
            sync(fd)
        finally:
            os.close(fd)
        partial.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise refused(error, path) from error


def make_folder(path: Path) -> None:
    """Make a private folder durably; one that is there already is left as it is.

    Raises:
        DiskRefused: it cannot be made.
    """
    try:
        path.mkdir(PRIVATE_FOLDER)
        sync_folder(path.parent)
    except FileExistsError:
        return
    except OSError as error:
        raise refused(error, path) from error


def read_regular(path: Path, *, max_bytes: int) -> bytes:
    """Return the bytes of a regular file, never following a link in its last part.

    Raises:
        RecordDamaged: it is a link, no regular file, larger than `max_bytes`, or cannot be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise RecordDamaged("not a regular file", where=str(path))
            if found.st_size > max_bytes:
                raise RecordDamaged(f"larger than {max_bytes} bytes", where=str(path))
            return file.read()
    except FileNotFoundError as error:
        raise RecordDamaged("there is no such file", where=str(path)) from error
    except OSError as error:
        what = "a symbolic link" if error.errno == errno.ELOOP else os.strerror(error.errno or 0)
        raise RecordDamaged(f"cannot be read: {what}", where=str(path)) from error


def read_given(path: Path, *, max_bytes: int) -> bytes:
    """Return the bytes of a file that a person named: that it is not there is their mistake, not damage.

    Raises:
        UsageError: it is a link, no regular file, larger than `max_bytes`, or cannot be read.
    """
    try:
        return read_regular(path, max_bytes=max_bytes)
    except RecordDamaged as error:
        raise UsageError(error.what, where=error.where) from error


def try_lock(fd: int) -> bool:
    """Take the lock that dies with the process; False when another holds it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def locked(path: Path, clock: Clock) -> Iterator[None]:
    """Hold the lock file at `path`, waiting a while for whoever has it.

    Raises:
        DiskRefused: the lock file cannot be opened.
        Unreachable: somebody has it and does not let go, a stopped process for example.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE_FILE)
    except OSError as error:
        raise refused(error, path) from error
    try:
        until_s = clock.monotonic_s() + LOCK_WAIT_S
        while not try_lock(fd):
            if clock.monotonic_s() > until_s:
                raise Unreachable(
                    f"another process has held this lock for {LOCK_WAIT_S} s",
                    where=str(path),
                    remedy=f"find it with: fuser {path}",
                )
            clock.sleep(0.005)
        yield
    finally:
        os.close(fd)
