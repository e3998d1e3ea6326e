"""Reaches a file by exactly the path that was signed: no part of it may be a link, whoever owns the folders.

The agent may own the folder that a file lies in and swap any part of the path at any instant. So a path is
walked one folder at a time, each opened without following links, and everything else is done relative to the
folder that was reached (openat(2), O_NOFOLLOW).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator

from breakglass.errors import Denied, Gone, ProviderError, Transient, Unsettled
from breakglass.model.resource import Resource
from breakglass_host import lsm

_PRINTABLE = re.compile(r"/[\x21-\x7e]([\x20-\x7e]{0,1020}[\x21-\x7e])?")
_PATIENCE = frozenset({errno.EINTR, errno.EAGAIN, errno.ENFILE, errno.EMFILE, errno.ENOMEM})


def shown(text: str | bytes) -> str:
    """Return a name that anybody can see and no terminal obeys: all but printable ASCII is escaped."""
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    plain = range(0x20, 0x7F)
    return "".join(chr(byte) if byte in plain and byte != ord("\\") else f"\\x{byte:02x}" for byte in raw)


def complaint(path: str) -> str:
    """Say why a path cannot be a target; empty: it can."""
    if not path.startswith("/"):
        return "is not an absolute path"
    if _PRINTABLE.fullmatch(path) is None:
        return "holds characters that are not printable ASCII, so that nobody could sign it by reading"
    if os.path.normpath(path) != path:
        return "is not a plain path (no '..', no '//', no '/' at the end)"
    return ""


def resolved(path: str) -> str:
    """Return the path with the links of its folders resolved, for planning: signers see what is meant."""
    folder, name = os.path.split(os.path.normpath(path))
    return os.path.join(os.path.realpath(folder), name)  # noqa: PTH118 - kept as text, as it is signed


@contextlib.contextmanager
def refusals(path: str) -> Iterator[None]:
    """Turn what the kernel refuses into errors that the engine understands."""
    where = shown(path)
    try:
        yield
    except (FileNotFoundError, ProcessLookupError) as error:
        raise Gone("is not there any more", where=where) from error
    except PermissionError as error:
        by = f" ({name})" if (name := lsm.enforcing()) else ""
        raise Denied(f"refused: {error.strerror}{by}", where=where) from error
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            # Whoever owns a folder above may swap it at any moment, and back.
            raise Unsettled("a part of the path is a link or no folder now", where=where) from error
        kind = Transient if error.errno in _PATIENCE else ProviderError
        raise kind(error.strerror or str(error), where=where) from error


@contextlib.contextmanager
def folder(path: str) -> Iterator[int]:
    """Open a folder by its exact path, for use as `dir_fd`.

    Raises:
        OSError: ENOTDIR or ELOOP where a part is a link.
    """
    flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    at = os.open("/", flags)
    try:
        for part in path.split("/"):
            if part:
                below = os.open(part, flags, dir_fd=at)
                os.close(at)
                at = below
        yield at
    finally:
        os.close(at)


@contextlib.contextmanager
def handle(name: str, folder_fd: int) -> Iterator[int]:
    """Open what a folder holds under a name, the link itself and not what it points to, without reading."""
    found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder_fd)
    try:
        yield found
    finally:
        os.close(found)


@contextlib.contextmanager
def readable(name: str, folder_fd: int) -> Iterator[int]:
    """Open a regular file or a folder for reading; never waits for the other end of a pipe.

    Raises:
        OSError: ELOOP for a link.
        ProviderError: it is neither.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    kind = os.stat(name, dir_fd=folder_fd, follow_symlinks=False).st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind) or stat.S_ISLNK(kind)):
        raise ProviderError("is neither a file nor a folder", where=shown(name))
    try:
        found = os.open(name, flags | os.O_NOATIME, dir_fd=folder_fd)
    except PermissionError:  # O_NOATIME is for the owner and for root
        found = os.open(name, flags, dir_fd=folder_fd)
    try:
        kind = os.fstat(found).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise ProviderError("is neither a file nor a folder", where=shown(name))
        yield found
    finally:
        os.close(found)


def text_param(resource: Resource, key: str) -> str:
    """Return a text parameter of a signed target; empty when it has none."""
    value = resource.params.get(key)
    return value if isinstance(value, str) else ""


def number_param(resource: Resource, key: str) -> int | None:
    """Return a numeric parameter of a signed target; None when it has none."""
    value = resource.params.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
