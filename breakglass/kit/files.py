"""Reads the files of a folder once, into memory: regular files only, no links followed, sizes capped.

Each part of a path is opened relative to the one before with O_NOFOLLOW, and the size is asked of the
open file: a link that is swapped in between cannot be followed, a file of 100 MB is refused unread, and
a pipe cannot hang the reader (O_NONBLOCK).
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from breakglass.errors import MalformedInput

MAX_FILES = 5000
MAX_FOLDER_BYTES = 64 * 1024 * 1024
MAX_LEVELS = 2
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


def shown(path: str) -> str:
    """Return a file name as it can be shown: odd bytes and characters as escapes."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def read_file(path: Path, *, max_bytes: int) -> bytes:
    """Read one regular file that is not a link.

    Raises:
        MalformedInput: it is absent, not a regular file, unreadable or larger than `max_bytes`.
    """
    return _read(str(path), None, shown(str(path)), max_bytes)


def read_folder(folder: Path, *, max_bytes: int, skip: frozenset[str]) -> dict[str, bytes]:
    """Read every file below `folder`, by its path relative to it; names in `skip` at the top are left out.

    Raises:
        MalformedInput: the folder is absent, or holds a link, a device, a name that cannot be written in a
            message, too much, or too deep.
    """
    gathered = _Gathered(shown(str(folder)), max_bytes, skip)
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise MalformedInput(f"cannot be read: {_why(error)}", where=gathered.root) from error
    try:
        gathered.folder(handle, ())
    finally:
        os.close(handle)
    return gathered.found


class _Gathered:
    """The files of one folder, as they are found."""

    def __init__(self, root: str, max_bytes: int, skip: frozenset[str]) -> None:
        self.root = root
        self.found: dict[str, bytes] = {}
        self._max_bytes = max_bytes
        self._skip = skip
        self._total = 0

    def folder(self, handle: int, above: tuple[str, ...]) -> None:
        for name in sorted(os.listdir(handle)):
            if not above and name in self._skip:
                continue
            where = f"{self.root}/{shown('/'.join((*above, name)))}"
            if not name.isascii() or not name.isprintable():
                raise MalformedInput("file names here are plain ASCII", where=where)
            try:
                self._entry(name, handle, above, where)
            except OSError as error:
                raise MalformedInput(f"cannot be read: {_why(error)}", where=where) from error

    def _entry(self, name: str, handle: int, above: tuple[str, ...], where: str) -> None:
        if stat.S_ISDIR(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode):
            if len(above) >= MAX_LEVELS:
                raise MalformedInput("folders nested too deeply", where=where)
            inner = os.open(name, _FOLDER, dir_fd=handle)
            try:
                self.folder(inner, (*above, name))
            finally:
                os.close(inner)
            return
        data = _read(name, handle, where, self._max_bytes)
        self.found["/".join((*above, name))] = data
        self._total += len(data)
        if len(self.found) > MAX_FILES or self._total > MAX_FOLDER_BYTES:
            limit = f"more than {MAX_FILES} files or {MAX_FOLDER_BYTES} bytes"
            raise MalformedInput(f"holds {limit}", where=self.root)


def _read(name: str, folder: int | None, where: str, max_bytes: int) -> bytes:
    try:
        handle = os.open(name, _FILE, dir_fd=folder)
    except OSError as error:
        raise MalformedInput(f"cannot be read: {_why(error)}", where=where) from error
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise MalformedInput("not a regular file", where=where)
        if status.st_size > max_bytes:
            raise MalformedInput(f"larger than {max_bytes} bytes ({status.st_size})", where=where)
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise MalformedInput(f"larger than {max_bytes} bytes", where=where)
    return data


def _why(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "it is a link, and links are not followed"
    return (error.strerror or str(error)).lower()
