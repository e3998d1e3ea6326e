"""Puts a file aside byte for byte and puts it back; whatever the agent does to the path in between.

The file is moved, not copied: the inode keeps its bytes, times and attributes. `observe` is what the engine
makes durable before `apply` moves anything. Each version that appears at the path afterwards is moved too,
each to a slot of its own, and nothing is ever replaced. `put_back` works by compare-and-set: it never
overwrites, and brings only the first-seen version back, from its slot, or, where somebody wrote into it
through a descriptor, from the sealed copy if one was kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from breakglass.canon import Json, JsonObject, canonical
from breakglass.errors import Denied, Gone, ProviderError, RecordDamaged, Unsettled
from breakglass.model.resource import State
from breakglass.provider import Outcome, SealedStore
from breakglass_host import inode, safepath, vault
from breakglass_host.inode import Inode
from breakglass_host.rebuild import rebuild

MAX_CONTENT = 16 * 1024 * 1024
ABSENT: Mapping[str, Json] = {"present": False}


@dataclass(frozen=True, slots=True)
class Place:
    """One path that is kept empty during an incident."""

    path: str
    incident: str
    sealed: SealedStore
    keeps_copy: bool
    """Seal a copy of the content. False for credentials: their bytes only ever lie under another name."""
    tightens: bool = False
    """Take the rights from the inode too, for the sake of its other hard links."""

    @property
    def folder(self) -> str:
        """Return the folder of the path."""
        return os.path.dirname(self.path)  # noqa: PTH120 - kept as text, as it is signed

    @property
    def name(self) -> str:
        """Return the last part of the path."""
        return os.path.basename(self.path)  # noqa: PTH119 - kept as text, as it is signed

    @property
    def prefix(self) -> str:
        """Return the name of this path's slots in a vault."""
        return hashlib.sha256(f"{self.incident}\0{self.path}".encode()).hexdigest()[:24]


def observe(place: Place) -> State:
    """Read what stands at the path, and what already lies aside.

    A file that is present is named twice: by its path, whose first-seen state is what `put_back` restores,
    and by its inode and time, so that a later version is recorded too before it is moved.
    """
    try:
        with safepath.folder(place.folder) as folder_fd:
            found = inode.read(place.name, folder_fd)
            if found is None:
                return State({place.path: {**ABSENT, "aside": _aside(place)}})
            value = _described(place, found, folder_fd)
    except FileNotFoundError:
        return State({place.path: ABSENT}) if not os.path.lexists(place.path) else _moving(place)
    except OSError as error:
        note = f"{safepath.shown(place.path)}: {error.strerror}; a part of the path may have been swapped"
        return State({place.path: {"present": None}}, complete=False, note=note)
    return State({place.path: value, f"{place.path} ({found.ino} {found.mtime_ns})": value})


def apply(place: Place, before: State) -> None:
    """Move what stands at the path to a new slot; does nothing where nothing stands.

    Raises:
        Unsettled: another file stands there than the one that was recorded, which must be recorded first;
            or a part of the path is a link by now.
        Denied: it is a mount point, or the kernel refuses.
    """
    expected = before.objects.get(place.path)
    gone = contextlib.suppress(FileNotFoundError)
    with safepath.refusals(place.path), gone, safepath.folder(place.folder) as folder_fd:
        found = inode.read(place.name, folder_fd)
        if found is None:
            return
        if not isinstance(expected, Mapping) or expected.get("inode") != found.id:
            raise Unsettled("another file appeared while it was read", where=safepath.shown(place.path))
        vault_path = vault.make(place.folder)
        with safepath.folder(vault_path) as vault_fd, _unlocked(place, folder_fd):
            if found.flags is not None and found.flags & inode.LOCKS:
                inode.set_flags(place.name, folder_fd, found.flags & ~inode.LOCKS)
            if place.tightens:
                inode.tighten(place.name, folder_fd, found.id)
            _move_away(place, folder_fd, vault_path, vault_fd)


def contents(place: Place) -> Iterator[bytes]:
    """Yield what stands at the path and what lies aside of it: a secret to keep out of logs."""
    folders = [(place.folder, [place.name])]
    for path in _vaults(place):
        with contextlib.suppress(OSError):
            folders.append((path, vault.slots(path, place.prefix)))
    for folder_path, names in folders:
        for name in names:
            with contextlib.suppress(OSError, ProviderError), safepath.folder(folder_path) as at:
                found = inode.read(name, at)
                if found is not None and (data := inode.content(name, at, found, MAX_CONTENT)) is not None:
                    yield data


def put_back(place: Place, before: State) -> tuple[Outcome, str]:
    """Bring the first-seen version back, never over anything; says in words what was done."""
    prior = before.objects.get(place.path)
    if not isinstance(prior, Mapping) or prior.get("present") is not True:
        return Outcome.ALREADY, "nothing was there before the stop"
    try:
        with safepath.refusals(place.path), safepath.folder(place.folder) as folder_fd:
            standing = inode.read(place.name, folder_fd)
            if standing is not None:
                return _standing(place, prior, standing, folder_fd)
            with _unlocked(place, folder_fd):
                done = _from_slot(place, prior, folder_fd) or _from_copy(place, prior, folder_fd)
    except Gone:
        return Outcome.CANNOT, "its folder is gone"
    except (Denied, Unsettled) as error:
        return Outcome.DRIFTED, error.what
    for path in list(_vaults(place)):
        vault.remove_if_empty(path)
    return done


def _described(place: Place, found: Inode, folder_fd: int) -> dict[str, Json]:
    data = inode.content(place.name, folder_fd, found, MAX_CONTENT)
    value = found.to_json() | {"slot": place.prefix, "folder": _folder_flags(place)}
    value["content"] = None if data is None else _commitment(place, data)
    if found.xattrs and place.keeps_copy:
        kept = canonical({name: found.xattrs[name].hex() for name in sorted(found.xattrs)})
        value["xattrs_content"] = place.sealed.put(f"{place.path} attributes", kept)
    return value


def _commitment(place: Place, data: bytes) -> JsonObject:
    """Return a reference to a sealed copy, or a commitment alone, under a key that only the store knows."""
    if place.keeps_copy:
        return place.sealed.put(place.path, data)
    key = str(place.sealed.put("key of the commitments to withheld files", b"")["commitment"])
    return {"commitment": hmac.new(key.encode(), place.path.encode() + b"\0" + data, "sha256").hexdigest()}


def _is_recorded(place: Place, data: bytes, prior: JsonObject) -> bool:
    """Return True for the bytes that were recorded."""
    if not place.keeps_copy:
        return _commitment(place, data) == prior.get("content")
    try:
        return place.sealed.get(prior["content"]) == data
    except RecordDamaged:
        return False


def _moving(place: Place) -> State:
    return State({place.path: {"present": None}}, complete=False, note="the path changes while it is read")


def _aside(place: Place) -> list[Json]:
    found: list[Json] = []
    for path in _vaults(place):
        with safepath.folder(path) as vault_fd:
            for slot in vault.slots(path, place.prefix):
                about = inode.read(slot, vault_fd)
                if about is not None:
                    found.append(about.to_json() | {"at": f"{path}/{slot}"})
    return found


def _vaults(place: Place) -> Iterator[str]:
    with contextlib.suppress(OSError):
        yield from vault.existing(place.folder)


def _folder_flags(place: Place) -> int | None:
    with contextlib.suppress(OSError), safepath.folder(place.folder) as folder_fd:
        found = inode.read(".", folder_fd)
        return found.flags if found else None
    return None


@contextlib.contextmanager
def _unlocked(place: Place, folder_fd: int) -> Iterator[None]:
    """Take immutable and append-only from the folder while something is moved out of it or into it."""
    locks = _folder_flags(place) or 0
    if locks & inode.LOCKS:
        inode.set_flags(".", folder_fd, locks & ~inode.LOCKS)
    try:
        yield
    finally:
        if locks & inode.LOCKS:
            inode.set_flags(".", folder_fd, locks)


def _move_away(place: Place, folder_fd: int, vault_path: str, vault_fd: int) -> None:
    taken = vault.slots(vault_path, place.prefix)
    n = int(taken[-1].rsplit(".", 1)[1]) + 1 if taken else 0
    while not vault.move(place.name, folder_fd, f"{place.prefix}.{n}", vault_fd):
        n += 1


def _standing(place: Place, prior: JsonObject, standing: Inode, folder_fd: int) -> tuple[Outcome, str]:
    """Decide about what stands at the path when it is to be put back."""
    if standing.id != prior["inode"]:
        data = inode.content(place.name, folder_fd, standing, MAX_CONTENT)
        same = standing.size == prior["size"] and str(standing.mtime_ns) == prior["mtime_ns"]
        if same and data is not None and _is_recorded(place, data, prior):
            return Outcome.ALREADY, "is there as before"
        return Outcome.DRIFTED, "something new stands there"
    if inode.same_rights(standing, prior):
        return Outcome.ALREADY, "is there as before"
    _give_back(place, place.name, folder_fd, prior)
    return Outcome.RESTORED, "got its rights back"


def _from_slot(place: Place, prior: JsonObject, folder_fd: int) -> tuple[Outcome, str] | None:
    """Move the very inode back, if it still holds the bytes that were recorded."""
    for path in _vaults(place):
        with safepath.folder(path) as vault_fd:
            for slot in vault.slots(path, str(prior.get("slot"))):
                found = inode.read(slot, vault_fd)
                if found is None or found.id != prior["inode"]:
                    continue
                with inode.readable_to_owner(slot, vault_fd, found.mode):
                    data = inode.content(slot, vault_fd, found, MAX_CONTENT)
                if data is not None and not _is_recorded(place, data, prior):
                    if place.keeps_copy:
                        return None
                    return Outcome.DRIFTED, f"was written to while it lay aside as {path}/{slot}"
                inode.put_rights(slot, vault_fd, prior)
                if not vault.move(slot, vault_fd, place.name, folder_fd):
                    return Outcome.DRIFTED, "something new stands there"
                _give_back(place, place.name, folder_fd, prior)
                return Outcome.RESTORED, "is back, the same file"
    return None


def _from_copy(place: Place, prior: JsonObject, folder_fd: int) -> tuple[Outcome, str]:
    """Make the file again from the sealed copy."""
    if not place.keeps_copy or prior.get("content") is None:
        return Outcome.CANNOT, "is not where it was set aside, and no copy was kept"
    try:
        data = place.sealed.get(prior["content"])
        kept = place.sealed.get(prior["xattrs_content"]) if "xattrs_content" in prior else b"{}"
    except RecordDamaged as error:
        return Outcome.CANNOT, f"the sealed copy cannot be used: {error.what}"
    vault_path = vault.make(place.folder)
    with safepath.folder(vault_path) as vault_fd:
        made = rebuild(prior, data, kept, vault_fd)
        if not vault.move(made, vault_fd, place.name, folder_fd):
            os.unlink(made, dir_fd=vault_fd)
            return Outcome.DRIFTED, "something new stands there"
    _give_back(place, place.name, folder_fd, prior)
    return Outcome.RESTORED, "is back, made again from the sealed copy"


def _give_back(place: Place, name: str, folder_fd: int, prior: JsonObject) -> None:
    """Give rights and flags back at the path; flags last: an immutable file takes nothing more."""
    found = inode.read(name, folder_fd)
    if found is not None and not (found.flags or 0) & inode.LOCKS:
        inode.put_rights(name, folder_fd, prior)
    flags, folder_flags = prior.get("flags"), prior.get("folder")
    if isinstance(flags, int) and found is not None and inode.flags_differ(found.flags, flags):
        inode.set_flags(name, folder_fd, flags)
    if isinstance(folder_flags, int) and folder_flags & inode.LOCKS and _folder_flags(place) != folder_flags:
        inode.set_flags(".", folder_fd, folder_flags)
