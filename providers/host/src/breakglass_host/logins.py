"""Reads the records of logins that a Linux machine keeps: utmp(5), lastlog(8) and what is in their place now.

Only what is about one user is taken. What somebody typed as the name of a failed login may be a password, so
that of btmp nothing but this user's own name is taken.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from breakglass.canon import Json
from breakglass.clock import Instant
from breakglass_host import safepath
from breakglass_host.redact import Redactor

_UTMP = struct.Struct("<h2xi32s4s32s256s2hi2i4I20x")
"""struct utmp of glibc, also with 64 bits (bits/utmp.h)."""
_LASTLOG = struct.Struct("<i32s256s")
_TAIL = 8 * 1024 * 1024 // _UTMP.size * _UTMP.size
_MOST_ROWS = 10_000
_DEAD = 8
TYPES = {
    1: "run_level",
    2: "boot",
    3: "new_time",
    4: "old_time",
    5: "init",
    6: "login",
    7: "user",
    8: "dead",
}
UTMP_FILES = ("/var/log/wtmp.1", "/var/log/wtmp", "/var/log/btmp.1", "/var/log/btmp", "/run/utmp")
_LASTLOG_FILE = "/var/log/lastlog"
_DATABASES = (
    ("/var/lib/wtmpdb/wtmp.db", "SELECT * FROM wtmp WHERE User = ? ORDER BY ID DESC LIMIT ?"),
    ("/var/log/wtmp.db", "SELECT * FROM wtmp WHERE User = ? ORDER BY ID DESC LIMIT ?"),
    ("/var/lib/lastlog/lastlog2.db", "SELECT * FROM Lastlog2 WHERE Name = ? LIMIT ?"),
)

Line = dict[str, Json]


@dataclass(slots=True)
class Records:
    """One reading of all records of one user."""

    user: str
    uid: int
    redactor: Redactor
    left_out: list[str]

    def lines(self) -> Iterator[Line]:
        """Yield what each record says."""
        for path in UTMP_FILES:
            yield from self._utmp(path)
        yield from self._lastlog()
        for path, query in _DATABASES:
            yield from self._database(path, query)
        yield from self._sessions()

    def _utmp(self, path: str) -> Iterator[Line]:
        data = self._bytes(path, from_end=_TAIL)
        if data is None:
            return
        if len(data) % _UTMP.size:
            self.left_out.append(f"{path}: ends within a record")
        lines_of_user: set[bytes] = set()
        for at in range(0, len(data) - _UTMP.size + 1, _UTMP.size):
            kind, pid, line, id_, user, host, *numbers = _UTMP.unpack_from(data, at)
            name = _text(user)
            is_end = kind == _DEAD and not name and line in lines_of_user
            if name != self.user.encode()[:32] and not is_end:
                continue
            (lines_of_user.discard if is_end else lines_of_user.add)(line)
            yield {
                "source": path,
                "type": TYPES.get(kind, str(kind)),
                "pid": pid,
                "line": self._shown(line),
                "id": self._shown(id_),
                "user": self.user,
                "host": self._shown(host),
                "session": numbers[2],
                **_time(numbers[3] & 0xFFFFFFFF, numbers[4]),
                "address": _address(numbers[5:9]),
            }

    def _lastlog(self) -> Iterator[Line]:
        data = self._bytes(_LASTLOG_FILE, start=self.uid * _LASTLOG.size, most=_LASTLOG.size)
        if not data or len(data) < _LASTLOG.size or not any(data):
            return
        seconds, line, host = _LASTLOG.unpack(data)
        yield {
            "source": _LASTLOG_FILE,
            "type": "last login",
            "user": self.user,
            "line": self._shown(line),
            "host": self._shown(host),
            **_time(seconds & 0xFFFFFFFF, 0),
        }

    def _database(self, path: str, query: str) -> Iterator[Line]:
        """Yield rows of wtmpdb(8) or lastlog2(8), which keep what utmp cannot: times beyond 2038."""
        if not os.path.isfile(path) or os.path.islink(path):  # noqa: PTH113, PTH114 - kept as text
            return
        try:
            import sqlite3
        except ImportError:
            self.left_out.append(f"{path}: this Python has no sqlite3")
            return
        try:
            opened = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1.0)
            try:
                rows = opened.execute(query, (self.user, _MOST_ROWS))
                names = [one[0] for one in rows.description]
                for row in rows:
                    values = {
                        name: value if isinstance(value, int) else self._shown(str(value).encode())
                        for name, value in zip(names, row, strict=True)
                    }
                    yield {"source": path, "type": "row", "row": {**values}}
            finally:
                opened.close()
        except sqlite3.Error as error:
            self.left_out.append(f"{path}: {error}")

    def _sessions(self) -> Iterator[Line]:
        """Yield what logind says of the user and of each of its sessions now (/run/systemd)."""
        for folder in ("/run/systemd/sessions", "/run/systemd/users"):
            try:
                names = sorted(os.listdir(folder))[:_MOST_ROWS]  # noqa: PTH208 - names of one folder
            except OSError:
                continue
            for name in names:
                data = self._bytes(f"{folder}/{name}", most=65_536) if not name.endswith(".ref") else None
                values = dict(
                    one.split(b"=", 1)
                    for one in (data or b"").split(b"\n")
                    if b"=" in one and one[:1] != b"#"
                )
                if values.get(b"UID") == str(self.uid).encode() or (
                    folder[-5:] == "users" and name == str(self.uid)
                ):
                    shown: Line = {self._shown(key): self._shown(value) for key, value in values.items()}
                    yield {"source": f"{folder}/{safepath.shown(name)}", "type": "session", "values": shown}

    def _bytes(self, path: str, *, start: int = 0, most: int = _TAIL, from_end: int = 0) -> bytes | None:
        folder, name = os.path.split(path)
        try:
            folder = os.path.realpath(folder)
            with safepath.folder(folder) as at, safepath.readable(name, at) as found:
                about = os.fstat(found)
                if not stat.S_ISREG(about.st_mode):
                    return None
                begin = max(start, about.st_size - from_end) if from_end else start
                if from_end and begin > start:
                    self.left_out.append(f"{path}: all but the last {from_end} bytes")
                return os.pread(found, most, begin)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.left_out.append(f"{path}: {error.strerror}")
            return None

    def _shown(self, value: bytes) -> str:
        return safepath.shown(self.redactor.data(_text(value), path=True))


def _text(value: bytes) -> bytes:
    return value.partition(b"\0")[0]


def _time(seconds: int, micros: int) -> Line:
    return {"time": str(Instant(seconds * 1000 + micros // 1000)), "epoch_s": seconds, "micros": micros}


def _address(words: list[int]) -> str:
    """Return the address: IPv4 stands in the first of four words, in network order."""
    import socket

    raw = struct.pack("<4I", *words)
    if not any(raw):
        return ""
    return (
        socket.inet_ntop(socket.AF_INET6, raw) if any(raw[4:]) else socket.inet_ntop(socket.AF_INET, raw[:4])
    )
