"""The seal of a kit, ``kit.json``: the digest of every file, for admins to sign.

Signatures lie beside it in ``kit.<version>/<person>.sig`` (namespace ``breakglass-kit-v1@<org>``), those of
the roster in ``roster.<version>/``: both kinds come after the seal and are not covered by it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from breakglass.canon import canonical, parse_canonical, sha256
from breakglass.clock import Instant
from breakglass.errors import MalformedInput
from breakglass.kit.model import KitSettings, Seal, SealedFile
from breakglass.shape import decode, encode

SEAL_FILE: Final = "kit.json"
MAX_SEAL_BYTES: Final = 2 * 1024 * 1024
_SIGNATURE = re.compile(r"(?:kit|roster)\.[1-9][0-9]*/[^/]+\.sig")


def is_covered(path: str) -> bool:
    """Say whether the seal covers a file of the kit."""
    return path != SEAL_FILE and _SIGNATURE.fullmatch(path) is None


def make_seal(settings: KitSettings, files: Mapping[str, bytes]) -> Seal:
    """Return the seal over the files as they are."""
    covered = sorted(path for path in files if is_covered(path))
    return Seal(
        v=1,
        type="kit",
        org=settings.org,
        version=settings.version,
        expires=settings.expires,
        files=tuple(SealedFile(path, sha256(files[path])) for path in covered),
    )


def seal_bytes(seal: Seal) -> bytes:
    """Return the canonical bytes: the ones that are signed and written to kit.json."""
    return canonical(encode(seal))


def read_seal(data: bytes, *, where: str) -> Seal:
    """Read a seal.

    Raises:
        MalformedInput: not canonical, not exactly the fields of a seal, or its paths not sorted and unique.
    """
    seal = decode(Seal, parse_canonical(data, where=where, max_bytes=MAX_SEAL_BYTES), where=where)
    if (seal.v, seal.type) != (1, "kit"):
        raise MalformedInput(f"not a kit's seal of version 1: {seal.type!r} {seal.v!r}", where=where)
    paths = [file.path for file in seal.files]
    if paths != sorted(set(paths)):
        raise MalformedInput("its files are not sorted, or one is listed twice", where=where)
    return seal


def differences(seal: Seal, contents: Seal) -> tuple[str, ...]:
    """Say, file by file, how what is there differs from what was sealed; nothing where it does not."""
    sealed = {file.path: file.sha256 for file in seal.files}
    there = {file.path: file.sha256 for file in contents.files}
    found: list[str] = []
    for path in sorted(sealed.keys() | there.keys()):
        if path not in there:
            found.append(f"{path} is missing; version {seal.version} was sealed with it")
        elif path not in sealed:
            found.append(f"{path} is extra; version {seal.version} was sealed without it")
        elif there[path] != sealed[path]:
            found.append(f"{path} was changed after version {seal.version} was sealed")
    if not found and seal != contents:
        found.append(f"{SEAL_FILE} states another org, version or expiry than breakglass.yaml")
    return tuple(found)


def has_expired(expires: Instant, now: Instant) -> bool:
    """Say whether a kit's time is over; the instant itself counts as over."""
    return now >= expires
