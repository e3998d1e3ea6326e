"""Where prior state that may hold secrets goes: private, outside of the journal, behind a commitment.

The commitment is sha256(salt || bytes) with a salt beside the file: without the salt nobody can try short
secrets against what the journal says, and once both files are erased the chain still verifies.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from breakglass.canon import Json, JsonObject, sha256
from breakglass.errors import BreakglassError, MalformedInput, ProviderError, RecordDamaged
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.durable import PRIVATE_FOLDER, make_folder, read_regular, replace
from breakglass.shape import Count, Digest, decode

MAX_SEALED_BYTES = 1024**3
SALT_BYTES = 32
_NAME = re.compile(r"[0-9a-f]{32}(-[0-9]{1,6})?", re.ASCII)

# Every provider has a store of its own over the same folder; only one process writes a run.
_WRITING = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Reference:
    sealed: str
    size: Count
    commitment: Digest


class FolderSealed:
    """The ``sealed/`` of an incident's folder; any number of threads may put."""

    def __init__(
        self, folder: IncidentFolder, *, random_bytes: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        """Make nothing yet: a run that seals nothing has no such folder."""
        self._path = folder.sealed
        self._random_bytes = random_bytes

    def put(self, label: str, data: bytes) -> JsonObject:
        """Keep the bytes durably; the same label and bytes give the same reference.

        Raises:
            ProviderError: the disk refused.
        """
        stem = sha256(label.encode("utf-8", "surrogateescape"))[:32]
        with _WRITING:
            try:
                make_folder(self._path)
                self._path.chmod(PRIVATE_FOLDER)
                n = 1
                while (path := self._path / (stem if n == 1 else f"{stem}-{n}")).exists():
                    if read_regular(path, max_bytes=MAX_SEALED_BYTES) == data:
                        return _reference(path, _read_salt(path), data)
                    n += 1
                salt = self._random_bytes(SALT_BYTES)
                replace(_salt_of(path), salt)
                replace(path, data)
            except (BreakglassError, OSError) as error:
                raise ProviderError(f"prior state could not be kept: {error}", where="sealed") from error
        return _reference(path, salt, data)

    def get(self, reference: Json) -> bytes:
        """Return the bytes of a reference that `put` gave.

        Raises:
            RecordDamaged: it is no reference, or the bytes are gone or not the ones that were kept.
        """
        try:
            found = decode(_Reference, reference, where="sealed")
        except MalformedInput as error:
            raise RecordDamaged(f"not a reference to sealed state: {error.what}", where="sealed") from error
        if _NAME.fullmatch(found.sealed) is None:
            raise RecordDamaged("not the name of sealed state", where="sealed")
        path = self._path / found.sealed
        data = read_regular(path, max_bytes=MAX_SEALED_BYTES)
        if _reference(path, _read_salt(path), data) != reference:
            raise RecordDamaged("the bytes are not those that were kept", where=str(path))
        return data


def _salt_of(path: Path) -> Path:
    return path.with_name(path.name + ".salt")


def _read_salt(path: Path) -> bytes:
    return read_regular(_salt_of(path), max_bytes=SALT_BYTES)


def _reference(path: Path, salt: bytes, data: bytes) -> Mapping[str, Json]:
    commitment = hashlib.sha256(salt + data).hexdigest()
    return {"sealed": path.name, "size": len(data), "commitment": commitment}
