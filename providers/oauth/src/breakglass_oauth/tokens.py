"""Reads the agent's tokens where the inventory says that they lie: a file or an entry of the keyring.

The file belongs to the agent, which may have put anything there: a link to somebody else's secret, a pipe
that never ends, a token of another client. So no part of the path may be a link, only a regular file is
read, only its first 64 KiB, and only what looks like a token (RFC 6749 appendix A: visible ASCII) leaves.
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from breakglass.errors import Denied, Gone, ProviderError
from breakglass.provider import Machines
from breakglass_oauth.keyring_child import GONE

ACCESS = "access_token"
REFRESH = "refresh_token"
MAX_FILE_BYTES = 64 * 1024
KEYRING_S = 3.0
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Held:
    """One token that the agent holds."""

    kind: str
    """``access_token`` or ``refresh_token``: also the hint of RFC 7009."""
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where tokens lie: ``file:/path``, ``file://machine/path`` or ``keyring:service/name``."""

    name: str
    machines: Machines | None = field(default=None, repr=False, compare=False)
    """Where a file of another machine is read."""

    @classmethod
    def of(cls, settings: Mapping[str, str], machines: Machines | None = None) -> Place:
        """Make a place from the mapping `token` of the inventory, links in its folders resolved.

        On another machine they are resolved there, each time that the file is read.
        """
        if (path := settings.get("file")) is not None:
            if host := settings.get("host"):
                return cls(f"file://{host}{path}", machines)
            folder, name = os.path.split(os.path.normpath(path))
            return cls(f"file:{os.path.join(os.path.realpath(folder), name)}")  # noqa: PTH118 - kept as text, as it is signed
        return cls(f"keyring:{settings['keyring']}")

    def read(self) -> tuple[Held, ...]:
        """Return the tokens that lie there now.

        Raises:
            Gone: nothing is there (any more).
            Denied: the executor may not read it, or it is a trap.
            ProviderError: what lies there is no token, or the keyring does not answer.
        """
        scheme, _, rest = self.name.partition(":")
        if scheme != "file":
            data = _read_keyring(rest)
        elif rest.startswith("//"):
            data = self._read_there(*rest[2:].split("/", 1))
        else:
            data = _read_file(rest)
        return parse(data, self.name)

    def _read_there(self, host: str, path: str = "") -> bytes:
        if self.machines is None:
            raise Denied("no reach of this agent is connected to that machine", where=self.name)
        return self.machines.read_file(host, f"/{path}", max_bytes=MAX_FILE_BYTES)


def parse(data: bytes, where: str) -> tuple[Held, ...]:
    """Return the tokens in a plain token file or in a token answer (RFC 6749 5.1).

    Raises:
        ProviderError: there is no token in it; the message never quotes it.
    """
    found: tuple[tuple[str, str], ...] = ()
    try:
        text = data.decode("ascii").strip()
        if not text.startswith("{"):
            found = ((ACCESS, text),)
        else:
            body = json.loads(text)
            found = tuple((kind, body[kind]) for kind in (REFRESH, ACCESS) if isinstance(body.get(kind), str))
    except (ValueError, RecursionError, AttributeError):
        found = ()  # the text of these errors could quote the file
    tokens = tuple(Held(kind, value) for kind, value in found if _TOKEN.fullmatch(value))
    if not tokens:
        raise ProviderError("neither a token nor JSON with access_token or refresh_token", where=where)
    return tokens


def _read_file(path: str) -> bytes:
    try:
        descriptor = _open(path)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Denied("not a regular file", where=path)
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise Gone("is not there", where=path) from error
    except OSError as error:
        raise Denied(f"cannot be read: {error.strerror}", where=path) from error
    if len(data) > MAX_FILE_BYTES:
        raise Denied(f"larger than {MAX_FILE_BYTES} bytes", where=path)
    return data


def _open(path: str) -> int:
    """Walk to the file one folder at a time, following no link."""
    *folders, name = path.split("/")
    at = os.open("/", _FOLDER)
    try:
        for part in folders:
            if part:
                below = os.open(part, _FOLDER, dir_fd=at)
                os.close(at)
                at = below
        return os.open(name, _FILE, dir_fd=at)
    finally:
        os.close(at)


def _read_keyring(entry: str) -> bytes:
    """Ask a child: a locked keyring may hang, and a backend's code stays out of this process."""
    service, _, name = entry.rpartition("/")
    command = [sys.executable, "-I", str(Path(__file__).with_name("keyring_child.py")), service, name]
    where = f"keyring:{entry}"
    try:
        done = subprocess.run(command, capture_output=True, timeout=KEYRING_S, check=False)  # noqa: S603 - our own interpreter and file
    except subprocess.TimeoutExpired as error:
        raise Denied("the keyring does not answer: is it locked?", where=where) from error
    if done.returncode == GONE:
        raise Gone("has no such entry", where=where)
    if done.returncode != 0:
        raise Denied("the keyring cannot be read by the executor", where=where)
    return done.stdout
