"""Where collected bytes go: digested while they are written, durable on return, never over one another."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from breakglass.errors import BreakglassError, ProviderError
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.durable import PRIVATE_FILE, make_folder, refused, sync, sync_folder, write_all
from breakglass.provider import EvidenceItem

RESERVE_BYTES = 16 * 1024 * 1024
MAX_PARTS = 16
_PART = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._@:+=,%~][A-Za-z0-9._@:+=,%~-]{0,199}", re.ASCII)
_PARTIAL = ".partial"


class FolderEvidence:
    """The ``evidence/`` of an incident's folder; any number of threads may put."""

    def __init__(self, folder: IncidentFolder, *, reserve_bytes: int = RESERVE_BYTES) -> None:
        """Leave `reserve_bytes` of the disk to the journal: evidence must not be what stops a stop."""
        self._folder = folder
        self._reserve_bytes = reserve_bytes

    def put(self, name: str, source: str, chunks: Iterable[bytes]) -> EvidenceItem:
        """Write ``evidence/<name>``; a name that is taken gets ``.2``, ``.3`` and so on.

        An item that a crash or the disk cut short keeps ``.partial`` in its name or is removed.

        Raises:
            ProviderError: the name is not safe, or the disk refused.
        """
        parts = name.split("/")
        if len(parts) > MAX_PARTS or any(_PART.fullmatch(part) is None for part in parts):
            raise ProviderError(f"no evidence can be named {name[:200]!r}", where="evidence")
        try:
            final, fd = self._reserve(parts)
            partial = final.with_name(final.name + _PARTIAL)
            try:
                digest, size = self._fill(fd, chunks)
                partial.rename(final)
                sync_folder(final.parent)
            except BaseException:
                with contextlib.suppress(OSError):
                    partial.unlink()
                raise
            finally:
                os.close(fd)
        except OSError as error:
            raise ProviderError(refused(error, name).what, where=f"evidence/{name}") from error
        return EvidenceItem(str(final.relative_to(self._folder.path)), digest, size, source)

    def _reserve(self, parts: list[str]) -> tuple[Path, int]:
        """Make the folders and the partial file under a name that nothing has."""
        parent = self._folder.path
        for part in ("evidence", *parts[:-1]):
            parent /= part
            try:
                make_folder(parent)
            except BreakglassError as error:
                raise ProviderError(error.what, where=error.where) from error
            if parent.is_symlink() or not parent.is_dir():
                raise ProviderError("not a folder", where=str(parent))
        n = 1
        while True:
            final = parent / (parts[-1] if n == 1 else f"{parts[-1]}.{n}")
            if (fd := _take(final)) is not None:
                return final, fd
            n += 1

    def _fill(self, fd: int, chunks: Iterable[bytes]) -> tuple[str, int]:
        digest, size = hashlib.sha256(), 0
        for chunk in chunks:
            disk = os.fstatvfs(fd)
            if disk.f_bavail * disk.f_frsize < self._reserve_bytes + len(chunk):
                raise ProviderError(
                    "the disk is nearly full; what is left is kept for the journal", where="evidence"
                )
            write_all(fd, chunk)
            digest.update(chunk)
            size += len(chunk)
        sync(fd)
        return digest.hexdigest(), size


def _take(final: Path) -> int | None:
    """Open the partial file of a name that nothing has; None when it is taken.

    Only who holds the partial file may make the final one, so the order decides: looked for the other way
    round, a final file could appear in between and be overwritten.
    """
    partial = final.with_name(final.name + _PARTIAL)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(partial, flags, PRIVATE_FILE)
    except FileExistsError:
        return None
    if not os.path.lexists(final):
        return fd
    os.close(fd)
    partial.unlink()
    return None
