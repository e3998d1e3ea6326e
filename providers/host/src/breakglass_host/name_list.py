"""Reads and edits the lists of who may use cron and at: one account name a line (crontab(1), at.allow(5))."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from breakglass.canon import Json, JsonObject, sha256
from breakglass.errors import RecordDamaged
from breakglass.model.action import Verdict
from breakglass.model.resource import State
from breakglass.provider import Outcome, SealedStore
from breakglass_host import inode, safepath, vault

MAX_LIST = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Lists:
    """The two lists of one service."""

    service: str
    deny: str
    is_open: bool
    """Where neither list exists, everybody is let in."""

    @property
    def allow(self) -> str:
        """Return the path of the other list: where it exists, it alone decides."""
        folder, _, name = self.deny.rpartition("/")
        return f"{folder}/{name.replace('deny', 'allow') if 'deny' in name else name + '.allow'}"

    def wants(self, path: str) -> bool:
        """Return whether the user is to stand in this list."""
        return path == self.deny

    def to_edit(self, state: State) -> str | None:
        """Return the list that must be edited to keep the user out; None: it is kept out already."""
        allow, deny = (_seen(state, path) for path in (self.allow, self.deny))
        if allow is not None:
            return self.allow if allow else None
        if deny is not None:
            return None if deny else self.deny
        return self.deny if self.is_open else None

    def judge(self, state: State) -> tuple[Verdict, str]:
        """Say whether the lists keep the user out."""
        allow, deny = (_seen(state, path) for path in (self.allow, self.deny))
        if (path := self.to_edit(state)) is not None:
            return Verdict.NOT_CONTAINED, f"{self.service}: {path} lets the user in"
        if allow is None and deny is None:
            if self.service == "at":
                return Verdict.CONTAINED, "at: there is no list, so only root may use it"
            return Verdict.UNKNOWN, "cron: there is no list, and who may use it depends on how it was built"
        return (
            Verdict.CONTAINED,
            f"{self.service}: {self.deny if allow is None else self.allow} keeps the user out",
        )


def read(path: str, account: str, sealed: SealedStore) -> dict[str, Json]:
    """Read one list: whether the account stands in it, its metadata, and its bytes to the sealed store."""
    folder, name = os.path.split(path)
    with safepath.folder(folder) as at:
        found = inode.read(name, at)
        if found is None:
            return {"present": False}
        data = _bytes(name, at, found)
    return found.to_json() | {"listed": _lists(data, account), "content": sealed.put(path, data)}


def edit(path: str, account: str, seen: Json, wanted: bool) -> bool:  # noqa: FBT001 - what Lists.wants said
    """Enter or remove the account, if the list is the one that was seen; False: it is another."""
    folder, name = os.path.split(path)
    with safepath.folder(folder) as at:
        found = inode.read(name, at)
        if found is None:
            if not isinstance(seen, Mapping) or seen.get("present"):
                return False
            with _beside(at, f"{name} {account}", edited(b"", account, wanted), 0o644) as made:
                return vault.move(made, at, name, at)
        if not isinstance(seen, Mapping) or (found.id, str(found.mtime_ns)) != (
            seen["inode"],
            seen["mtime_ns"],
        ):
            return False
        data = edited(_bytes(name, at, found), account, wanted)
        with _beside(at, f"{name} {account}", data, 0o600) as made:
            rights = {**seen, "mtime_ns": str(found.mtime_ns + 1)}
            inode.put_rights(made, at, rights, found.xattrs)
            os.replace(made, name, src_dir_fd=at, dst_dir_fd=at)
        vault.sync(at)
        return True


def put_back(path: str, account: str, prior: JsonObject, wanted: bool, sealed: SealedStore) -> Outcome:  # noqa: FBT001 - what Lists.wants said
    """Put the recorded bytes back, if the list holds just what the stop made of them."""
    folder, name = os.path.split(path)
    try:
        was = sealed.get(prior["content"]) if prior.get("present") else b""
    except RecordDamaged:
        return Outcome.CANNOT
    with safepath.folder(folder) as at:
        found = inode.read(name, at)
        if found is None:
            return Outcome.DRIFTED if prior.get("present") else Outcome.ALREADY
        data = _bytes(name, at, found)
        if prior.get("present") and data == was:
            return Outcome.ALREADY
        if data != edited(was, account, wanted):
            return Outcome.DRIFTED
        if not prior.get("present"):
            os.unlink(name, dir_fd=at)
        else:
            with _beside(at, f"{name} {account}", was, 0o600) as made:
                inode.put_rights(made, at, prior, found.xattrs)
                os.replace(made, name, src_dir_fd=at, dst_dir_fd=at)
        vault.sync(at)
        return Outcome.RESTORED


def edited(data: bytes, account: str, wanted: bool) -> bytes:  # noqa: FBT001 - what Lists.wants said
    """Return the list with the account in it, or without, every other byte as it was."""
    if wanted:
        return (
            data
            if _lists(data, account)
            else data + (b"" if data[-1:] in (b"", b"\n") else b"\n") + account.encode() + b"\n"
        )
    return b"".join(line for line in data.splitlines(keepends=True) if line.strip() != account.encode())


def _lists(data: bytes, account: str) -> bool:
    return any(line.strip() == account.encode() for line in data.splitlines())


def _seen(state: State, path: str) -> bool | None:
    """Return whether the user stands in a list; None: there is no such list."""
    found = state.objects.get(path)
    return bool(found.get("listed")) if isinstance(found, Mapping) and found.get("present") else None


def _bytes(name: str, folder_fd: int, found: inode.Inode) -> bytes:
    data = inode.content(name, folder_fd, found, MAX_LIST)
    if data is None or found.kind != "file":
        raise PermissionError(1, "it is no list of names that could be edited", name)
    return data


@contextlib.contextmanager
def _beside(folder_fd: int, of: str, data: bytes, mode: int) -> Iterator[str]:
    """Write a new file beside the list, durably, for as long as it has a name of its own.

    The name is the same each time, so that what a killed run left is replaced by the next one.
    """
    name = f".breakglass-{sha256(of.encode())[:16]}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder_fd)
    try:
        made = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode, dir_fd=folder_fd)
        with os.fdopen(made, "wb") as file:
            os.fchmod(made, mode)
            file.write(data)
            file.flush()
            os.fsync(made)
        yield name
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder_fd)
