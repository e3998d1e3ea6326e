"""Reads everything of a file but its content, and puts it back: mode, owner, times, attributes, flags."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from breakglass.canon import Json, JsonObject
from breakglass.errors import ProviderError
from breakglass_host import safepath

# linux/fs.h: FS_IOC_GETFLAGS _IOR('f', 1, long), FS_IOC_SETFLAGS _IOW('f', 2, long); the value is an int.
_LONG = struct.calcsize("l")
_GETFLAGS = 0x80000000 | _LONG << 16 | 0x6601
_SETFLAGS = 0x40000000 | _LONG << 16 | 0x6602
LOCKS = 0x10 | 0x20
"""FS_IMMUTABLE_FL and FS_APPEND_FL: what keeps a file from being moved."""
SETTABLE = 0x000380FF
"""FS_FL_USER_MODIFIABLE: the others are the file system's own."""


@dataclass(frozen=True, slots=True)
class Inode:
    """What a folder holds under a name."""

    kind: str
    """``file``, ``folder``, ``link`` or ``other``."""
    size: int
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    dev: int
    ino: int
    links: int
    flags: int | None
    """Attributes as lsattr shows them; None where the file system has none."""
    xattrs: Mapping[str, bytes]

    @property
    def id(self) -> str:
        """Return ``device:inode``, which names a file whatever it is called."""
        return f"{self.dev}:{self.ino}"

    def to_json(self) -> dict[str, Json]:
        """Return what may stand in the journal: names of attributes, not their values."""
        names: list[Json] = [safepath.shown(name) for name in sorted(self.xattrs)]
        return {
            "present": True,
            "kind": self.kind,
            "size": self.size,
            "mode": f"{self.mode:04o}",
            "uid": self.uid,
            "gid": self.gid,
            "mtime_ns": str(self.mtime_ns),  # larger than the integers of JSON
            "inode": self.id,
            "links": self.links,
            "flags": self.flags,
            "xattrs": names,
        }


def read(name: str, folder_fd: int) -> Inode | None:
    """Read the inode under a name; None when there is none."""
    try:
        with safepath.handle(name, folder_fd) as found:
            about = os.fstat(found)
            return Inode(
                _kind(about.st_mode),
                about.st_size,
                stat.S_IMODE(about.st_mode),
                about.st_uid,
                about.st_gid,
                about.st_mtime_ns,
                about.st_dev,
                about.st_ino,
                about.st_nlink,
                _flags_of(name, folder_fd, about),
                _xattrs(found),
            )
    except FileNotFoundError:
        return None


def content(name: str, folder_fd: int, inode: Inode, limit: int) -> bytes | None:
    """Return the bytes of a file, or where a link points; None for others and beyond `limit`."""
    if inode.kind == "link":
        return os.fsencode(os.readlink(name, dir_fd=folder_fd))
    if inode.kind != "file" or inode.size > limit:
        return None
    with safepath.readable(name, folder_fd) as found:
        if os.fstat(found).st_ino != inode.ino:
            return None
        data = b""
        while len(data) <= limit and (more := os.read(found, 1 << 20)):
            data += more
    return data if len(data) <= limit else None


def set_flags(name: str, folder_fd: int, flags: int) -> None:
    """Set the attributes of a file or folder (needs CAP_LINUX_IMMUTABLE for those in `LOCKS`)."""
    with safepath.readable(name, folder_fd) as found:
        fcntl.ioctl(found, _SETFLAGS, struct.pack("i", flags) + bytes(_LONG - 4))


def tighten(name: str, folder_fd: int, expected: str) -> None:
    """Take all rights from exactly this inode, so that its other hard links cannot be read either."""
    with safepath.handle(name, folder_fd) as found:
        about = os.fstat(found)
        if f"{about.st_dev}:{about.st_ino}" != expected or not stat.S_ISREG(about.st_mode):
            return
        if os.geteuid() == 0:
            os.chown(f"/proc/self/fd/{found}", 0, 0)
        os.chmod(f"/proc/self/fd/{found}", 0)  # noqa: PTH101 - the link of /proc names the inode, not a path


@contextlib.contextmanager
def readable_to_owner(name: str, folder_fd: int, mode: int) -> Iterator[None]:
    """Let the owner read a file that `tighten` closed even to it, for a moment; root needs no such thing."""
    if os.geteuid() == 0 or mode & stat.S_IRUSR:
        yield
        return
    with safepath.handle(name, folder_fd) as found:
        path = f"/proc/self/fd/{found}"
        os.chmod(path, mode | stat.S_IRUSR)  # noqa: PTH101 - the link of /proc names the inode, not a path
        try:
            yield
        finally:
            os.chmod(path, mode)  # noqa: PTH101 - the same


def same_rights(inode: Inode, prior: JsonObject) -> bool:
    """Return True when owner, mode and flags are the recorded ones."""
    rights = (inode.uid, inode.gid, f"{inode.mode:04o}")
    return rights == (prior["uid"], prior["gid"], prior["mode"]) and not flags_differ(
        inode.flags, prior["flags"]
    )


def flags_differ(now: Json, prior: Json) -> bool:
    """Return True when attributes that a person can set are others than before."""
    return isinstance(now, int) and isinstance(prior, int) and (now ^ prior) & SETTABLE != 0


def put_rights(
    name: str, folder_fd: int, prior: JsonObject, xattrs: Mapping[str, bytes] | None = None
) -> None:
    """Give owner, attributes, mode and time back, in the order in which one does not undo another."""
    with safepath.handle(name, folder_fd) as found:
        path = f"/proc/self/fd/{found}"
        is_link = stat.S_ISLNK(os.fstat(found).st_mode)
        if os.geteuid() == 0:
            uid, gid = int(str(prior["uid"])), int(str(prior["gid"]))
            os.chown(name, uid, gid, dir_fd=folder_fd, follow_symlinks=False)
        if not is_link:
            for key, value in (xattrs or {}).items():
                os.setxattr(path, key, value)
            os.chmod(path, int(str(prior["mode"]), 8))  # noqa: PTH101 - the link of /proc names the inode, not a path
        when = int(str(prior["mtime_ns"]))
        os.utime(name, ns=(when, when), dir_fd=folder_fd, follow_symlinks=False)


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISLNK, "link"))
    return next((name for test, name in kinds if test(mode)), "other")


def _flags_of(name: str, folder_fd: int, about: os.stat_result) -> int | None:
    if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
        return None
    with contextlib.suppress(OSError, ProviderError), safepath.readable(name, folder_fd) as found:
        if os.fstat(found).st_ino == about.st_ino:
            answer = fcntl.ioctl(found, _GETFLAGS, bytes(_LONG))
            return int(struct.unpack_from("i", answer)[0])
    return None


def _xattrs(found: int) -> dict[str, bytes]:
    """Read the extended attributes, POSIX ACLs among them; a link's own cannot be read through /proc."""
    path = f"/proc/self/fd/{found}"
    values: dict[str, bytes] = {}
    with contextlib.suppress(OSError):
        if not stat.S_ISLNK(os.fstat(found).st_mode):
            for name in os.listxattr(path):
                with contextlib.suppress(OSError):
                    values[name] = os.getxattr(path, name)
    return values
