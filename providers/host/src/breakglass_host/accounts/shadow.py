"""Edits one line of /etc/shadow as shadow-utils do: under their lock, whole file replaced, durable.

Only two fields of the account's own line are ever written: the password (shadow(5), ``!`` in front as
usermod -L does) and the expiry date (day 1, which PAM's account management and sshd itself refuse).
"""

from __future__ import annotations

import contextlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass

from breakglass.errors import Denied, ProviderError
from breakglass_host import inode, safepath, vault
from breakglass_host.accounts import pwd_lock
from breakglass_host.inode import Inode

FOLDER, NAME = "/etc", "shadow"
FILE = f"{FOLDER}/{NAME}"
MAX_SHADOW = 64 * 1024 * 1024
_MADE = ".breakglass-shadow"
"""One name, so that what a killed run left is replaced by the next one; root alone writes in /etc."""
_PASSWORD, _EXPIRY, _FIELDS = 1, 7, 9
EXPIRED = b"1"
"""1970-01-02: day 0 is read as "never" by some programs (shadow(5))."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the file, without its end."""

    line: bytes

    @property
    def password(self) -> bytes:
        """Return the password field."""
        return _fields(self.line)[_PASSWORD]

    @property
    def expiry(self) -> bytes:
        """Return the day on which the account expires; empty: never."""
        return _fields(self.line)[_EXPIRY]

    @property
    def is_locked(self) -> bool:
        """Return True where neither a password nor anything else lets the account in."""
        return self.password.startswith(b"!") and self.expiry == EXPIRED

    def locked(self) -> Entry:
        """Return the line as a stop leaves it."""
        password = self.password if self.password.startswith(b"!") else b"!" + self.password
        return self._with(password, EXPIRED)

    def restored(self, prior: Entry) -> Entry | None:
        """Return the line with the two fields of `prior`; None: they are not as the stop left them."""
        left = prior.locked()
        if self.line == left.line:
            return prior
        if (self.password, self.expiry) != (left.password, left.expiry):
            return None
        return self._with(prior.password, prior.expiry)

    def same_fields(self, prior: Entry) -> bool:
        """Return whether both fields are those of `prior`."""
        return (self.password, self.expiry) == (prior.password, prior.expiry)

    def _with(self, password: bytes, expiry: bytes) -> Entry:
        fields = _fields(self.line)
        fields[_PASSWORD], fields[_EXPIRY] = password, expiry
        return Entry(b":".join(fields))


@dataclass(frozen=True, slots=True)
class Read:
    """The whole file, and the account's line in it."""

    data: bytes
    inode: Inode
    entry: Entry | None

    def digest(self, key: str) -> str:
        """Return a commitment to the whole file under a key that only the sealed store knows."""
        return commitment(self.data, key)


def commitment(data: bytes, key: str) -> str:
    """Return a commitment to bytes that hold every password hash of this host."""
    return hmac.new(key.encode(), FILE.encode() + b"\0" + data, "sha256").hexdigest()


def exists() -> bool:
    """Return whether this host has the file at all."""
    return os.path.lexists(FILE)


def read(account: str) -> Read:
    """Read the file.

    Raises:
        ProviderError: it is no regular file, or names the account twice.
    """
    with safepath.refusals(FILE), safepath.folder(FOLDER) as at:
        return _read(at, account)


def change(account: str, uid: int, decide: Callable[[Read], tuple[Entry, int | None] | None]) -> bool:
    """Replace the account's line by what `decide` makes of the file as it is under the lock.

    `decide` may also name the time that the new file gets. Returns False where it wants no change.

    Raises:
        Transient: somebody else holds the lock of the account files.
        ProviderError: the kernel refuses; the old file is whole then.
    """
    with safepath.refusals(FILE), pwd_lock.held(uid), safepath.folder(FOLDER) as at:
        found = _read(at, account)
        wanted = decide(found)
        if wanted is None or found.entry is None:
            return False
        entry, mtime_ns = wanted
        _replace(at, found.inode, with_line(found.data, found.entry, entry), mtime_ns)
        return True


def with_line(data: bytes, old: Entry, new: Entry) -> bytes:
    """Return the file with one line replaced, every other byte as it was."""
    return b"\n".join(new.line if line == old.line else line for line in data.split(b"\n"))


def set_flags(flags: int) -> None:
    """Give the file's own attributes back (chattr(1))."""
    with safepath.refusals(FILE), safepath.folder(FOLDER) as at:
        inode.set_flags(NAME, at, flags)


def _read(at: int, account: str) -> Read:
    found = inode.read(NAME, at)
    if found is None:
        raise ProviderError("there is no such file", where=FILE)
    data = inode.content(NAME, at, found, MAX_SHADOW) if found.kind == "file" else None
    if data is None:
        raise Denied(f"is no regular file of at most {MAX_SHADOW} bytes", where=FILE)
    prefix = account.encode() + b":"
    lines = [line for line in data.split(b"\n") if line.startswith(prefix)]
    if len(lines) > 1:
        raise Denied(f"names account {account} {len(lines)} times", where=FILE)
    return Read(data, found, Entry(lines[0]) if lines else None)


def _replace(at: int, old: Inode, data: bytes, mtime_ns: int | None) -> None:
    """Write a new file beside it, with owner, mode and attributes of the old one, and put it in its place."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_MADE, dir_fd=at)
    made = os.open(_MADE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=at)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(made, view) :]
            now = os.fstat(made).st_mtime_ns
            rights = old.to_json() | {"mtime_ns": str(now if mtime_ns is None else mtime_ns)}
            inode.put_rights(_MADE, at, rights, old.xattrs)
            os.fsync(made)
        finally:
            os.close(made)
        if (old.flags or 0) & inode.LOCKS:
            inode.set_flags(NAME, at, (old.flags or 0) & ~inode.LOCKS)
        os.replace(_MADE, NAME, src_dir_fd=at, dst_dir_fd=at)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(_MADE, dir_fd=at)
        raise
    if (old.flags or 0) & inode.LOCKS:
        inode.set_flags(NAME, at, old.flags or 0)
    vault.sync(at)


def _fields(line: bytes) -> list[bytes]:
    fields = line.split(b":")
    return fields + [b""] * (_FIELDS - len(fields))
