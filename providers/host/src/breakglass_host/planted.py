"""Describes what lies in a folder that the agent may have filled: links, pipes, huge files, deep trees.

No link is followed but to a regular file of the agent's own, and to a folder of its own where systemd itself
would look into it: so it leads to nobody else's secrets. What is no regular file is only named. All of it is
bounded, and who calls this does so in a thread that can be left behind: a file system of the agent's own
making may never answer.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from breakglass.canon import Json
from breakglass_host import safepath, unit_redaction
from breakglass_host.redact import Redactor

LARGEST = 256 * 1024
_MOST_ENTRIES = 1_000
_DEEPEST = 4
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOKED_INTO = (".d", ".wants", ".requires", ".upholds", "user", "systemd")
_OWN_FOLDER = "a folder of the agent's own"
_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISREG, "file"),
    (stat.S_ISDIR, "folder"),
    (stat.S_ISLNK, "link"),
    (stat.S_ISFIFO, "pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISBLK, "block device"),
    (stat.S_ISCHR, "character device"),
)


@dataclass(slots=True)
class Looking:
    """One look at several places, within one budget."""

    redactor: Redactor
    owner: int | None
    """Whose files may be read through a link; None: nobody's."""
    left: int = _MOST_ENTRIES
    is_cut: bool = False
    """There was more than the bounds allow."""
    _seen: set[tuple[int, int]] = field(default_factory=set)

    def folder(self, path: str) -> Iterator[dict[str, Json]]:
        """Describe what lies in a folder and below it; nothing where there is none."""
        try:
            below = self._opened(path)
        except FileNotFoundError:
            return
        except OSError as error:
            yield {"path": safepath.shown(path), "not_read": error.strerror}
            return
        try:
            yield from self._below(path, below, _DEEPEST)
        finally:
            os.close(below)

    def file(self, path: str) -> dict[str, Json]:
        """Describe one file by its exact path."""
        parent, name = os.path.split(path)
        try:
            with safepath.folder(parent) as at:
                return self._entry(path, name, at)
        except OSError as error:
            return {"path": safepath.shown(path), "not_read": error.strerror}

    def _opened(self, path: str) -> int:
        """Open a folder by its exact path, or where links lead to one of the agent's own."""
        real = os.path.realpath(path)
        with safepath.folder(real) as at:
            if real != path and os.fstat(at).st_uid != self.owner:
                raise NotADirectoryError(
                    errno.ENOTDIR, "leads through a link to a folder not the agent's own"
                )
            return os.open(".", _FOLDER, dir_fd=at)

    def _below(self, path: str, at: int, depth: int) -> Iterator[dict[str, Json]]:
        with os.scandir(at) as listing:
            names: list[str] = []
            for one in listing:
                if len(names) > self.left:
                    break
                names.append(one.name)
        for name in sorted(names):
            if self.left <= 0:
                self.is_cut = True
                yield {"path": safepath.shown(path), "not_read": f"more than {_MOST_ENTRIES} files in all"}
                return
            self.left -= 1
            found = self._entry(f"{path}/{name}", name, at)
            yield found
            if found.get("kind") == "folder" or found.get("target_is") == _OWN_FOLDER:
                yield from self._deeper(f"{path}/{name}", name, at, depth - 1)

    def _deeper(self, path: str, name: str, at: int, depth: int) -> Iterator[dict[str, Json]]:
        if depth == 0:
            yield {"path": safepath.shown(path), "not_read": f"lies {_DEEPEST} folders deep"}
            return
        try:
            below = os.open(name, _FOLDER & ~os.O_NOFOLLOW, dir_fd=at)
        except OSError as error:
            yield {"path": safepath.shown(path), "not_read": error.strerror}
            return
        try:
            about = os.fstat(below)
            if (about.st_dev, about.st_ino) in self._seen:
                return
            self._seen.add((about.st_dev, about.st_ino))
            is_link = stat.S_ISLNK(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode)
            if not is_link or about.st_uid == self.owner:
                yield from self._below(path, below, depth)
        finally:
            os.close(below)

    def _entry(self, path: str, name: str, at: int) -> dict[str, Json]:
        found: dict[str, Json] = {"path": self.redactor.text(safepath.shown(path).encode(), path=True)}
        try:
            about = os.stat(name, dir_fd=at, follow_symlinks=False)
            kind = next((word for test, word in _KINDS if test(about.st_mode)), "unknown")
            found |= {
                "kind": kind,
                "uid": about.st_uid,
                "gid": about.st_gid,
                "mode": f"{stat.S_IMODE(about.st_mode):04o}",
                "mtime_ns": str(about.st_mtime_ns),
                "size": about.st_size,
            }
            if kind == "link":
                target = os.fsencode(os.readlink(name, dir_fd=at))
                found["target"] = self.redactor.text(safepath.shown(target).encode(), path=True)
                found |= self._content(name, at, follow=True)
            elif kind == "file":
                found |= self._content(name, at, follow=False)
        except OSError as error:
            found["not_read"] = error.strerror
        return found

    def _content(self, name: str, at: int, *, follow: bool) -> dict[str, Json]:
        """Return the text of a regular file; of one behind a link only where it is the agent's own."""
        flags = os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
        try:
            path_fd = os.open(name, flags, dir_fd=at)
        except FileNotFoundError:
            return {"target_is": "nothing"} if follow else {"not_read": "it is gone"}
        try:
            about = os.fstat(path_fd)
            is_own_folder = stat.S_ISDIR(about.st_mode) and about.st_uid == self.owner
            if follow and is_own_folder and name.endswith(_LOOKED_INTO):
                return {"target_is": _OWN_FOLDER}
            if not stat.S_ISREG(about.st_mode) or (follow and about.st_uid != self.owner):
                return {"target_is": "not the agent's own file: not read"} if follow else {}
            readable = os.open(f"/proc/self/fd/{path_fd}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                data = _read(readable, LARGEST + 1)
            finally:
                os.close(readable)
        finally:
            os.close(path_fd)
        cut: dict[str, Json] = {"cut_at": LARGEST} if len(data) > LARGEST else {}
        text = unit_redaction.redacted(self.redactor, data[:LARGEST].rstrip(b"\0"))
        return {"text": text.decode("utf-8", "backslashreplace"), **cut}


def _read(readable: int, most: int) -> bytes:
    data = b""
    while len(data) < most and (more := os.read(readable, most - len(data))):
        data += more
    return data
