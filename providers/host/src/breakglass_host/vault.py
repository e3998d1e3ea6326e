"""Keeps what was set aside: a private folder on the same mount, which the agent can neither enter nor move.

A move within a mount keeps the inode, and with it every byte, time and attribute. The folder lies in the
nearest parent that only root (or the executor) may write in; the agent may own everything below that. Where
there is none, it lies beside the file: the agent may then move the folder about, but not what is in it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from breakglass.errors import Denied
from breakglass_host import safepath

NAME = ".breakglass-aside"
MAX_NAMES = 10
_NOREPLACE = 1
_PRIVATE = 0o700
_AT_LEAST_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def home(folder_path: str) -> tuple[str, bool]:
    """Return the folder that the vault of `folder_path` lies in, and whether the agent cannot touch it."""
    with safepath.folder(folder_path) as start:
        mount = _mount_of(start)
    for candidate in (PurePosixPath(folder_path), *PurePosixPath(folder_path).parents):
        with safepath.folder(str(candidate)) as found:
            if _mount_of(found) != mount:
                break
            about = os.fstat(found)
            ours = about.st_uid in (0, os.geteuid()) and os.access(f"/proc/self/fd/{found}", os.W_OK)
            if ours and not about.st_mode & _AT_LEAST_OTHERS_WRITE and _is_guarded(candidate):
                return str(candidate), True
    return folder_path, False


def existing(folder_path: str) -> Iterator[str]:
    """Yield the vaults that hold, or would hold, what lay in `folder_path`."""
    at, guarded = home(folder_path)
    with safepath.folder(at) as parent:
        for name in sorted(names(parent)):
            if (name.startswith(NAME) or not guarded) and _is_ours(name, parent):
                yield f"{at.rstrip('/')}/{name}"


def make(folder_path: str) -> str:
    """Return the vault for `folder_path`, made where it is missing.

    Raises:
        Denied: every name that it could have is taken by somebody else.
    """
    at, _ = home(folder_path)
    with safepath.folder(at) as parent:
        for n in range(MAX_NAMES):
            name = NAME if n == 0 else f"{NAME}-{n}"
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, _PRIVATE, dir_fd=parent)
            if _is_ours(name, parent):
                return f"{at.rstrip('/')}/{name}"
    raise Denied("no private folder can be made to set it aside in", where=safepath.shown(at))


def names(folder_fd: int) -> list[str]:
    """Return the names that a folder holds; the descriptor may be one that cannot be read from."""
    return [entry.name for entry in Path(f"/proc/self/fd/{folder_fd}").iterdir()]


def remove_if_empty(path: str) -> None:
    """Remove a vault that holds nothing any more."""
    folder_path, name = path.rsplit("/", 1)
    with contextlib.suppress(OSError), safepath.folder(folder_path or "/") as parent:
        if _is_ours(name, parent):
            os.rmdir(name, dir_fd=parent)


def slots(vault_path: str, prefix: str) -> list[str]:
    """Return what a vault holds of one file, oldest first."""
    pattern = re.compile(re.escape(prefix) + r"\.(\d{1,6})")
    with safepath.folder(vault_path) as found:
        numbers = [int(match[1]) for name in names(found) if (match := pattern.fullmatch(name))]
    return [f"{prefix}.{n}" for n in sorted(numbers)]


def move(name: str, source_fd: int, target: str, target_fd: int) -> bool:
    """Move without ever replacing anything; False when the target exists. Durable on return.

    Raises:
        OSError: the move was refused.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(source_fd, os.fsencode(name), target_fd, os.fsencode(target), _NOREPLACE) != 0:
        number = ctypes.get_errno()
        if number == errno.EEXIST:
            return False
        if number not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(number, os.strerror(number))
        try:  # a file system without RENAME_NOREPLACE: a link never replaces either
            os.link(name, target, src_dir_fd=source_fd, dst_dir_fd=target_fd, follow_symlinks=False)
        except FileExistsError:
            return False
        os.unlink(name, dir_fd=source_fd)
    for folder_fd in (target_fd, source_fd):
        sync(folder_fd)
    return True


def sync(folder_fd: int) -> None:
    """Make what a folder names durable."""
    real = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder_fd)
    try:
        os.fsync(real)
    finally:
        os.close(real)


def _is_ours(name: str, parent: int) -> bool:
    try:
        about = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except OSError:
        return False
    return (
        stat.S_ISDIR(about.st_mode)
        and about.st_uid == os.geteuid()
        and stat.S_IMODE(about.st_mode) == _PRIVATE
    )


def _is_guarded(path: PurePosixPath) -> bool:
    """Return True when nobody but root and the executor can move any part of the path."""
    for part in path.parents:
        with safepath.folder(str(part)) as found:
            about = os.fstat(found)
        open_to_others = about.st_mode & _AT_LEAST_OTHERS_WRITE and not about.st_mode & stat.S_ISVTX
        if about.st_uid not in (0, os.geteuid()) or open_to_others:
            return False
    return True


def _mount_of(folder_fd: int) -> str:
    """Return the mount of a folder: a bind mount has the device of another, but no move reaches it."""
    with open(f"/proc/self/fdinfo/{folder_fd}", encoding="ascii") as about:  # noqa: PTH123 - a descriptor of /proc
        return next((line.split()[1] for line in about if line.startswith("mnt_id:")), "")
