"""Strings that fit into a chat message: a request to sign, an approval, a rejection. Any channel will do.

Nothing in them is trusted: the request is the plan's own bytes, and an approval is a signature that
counts only when it verifies over the plan that runs.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass
from typing import Final

from breakglass.errors import MalformedInput, NotAuthorised
from breakglass.keys.sshsig import MAX_ARMORED_BYTES, armor, dearmor
from breakglass.keys.wire import Reader, string
from breakglass.model.plan import MAX_PLAN_BYTES
from breakglass.shape import Name, decode

REQUEST: Final = "bg1."
APPROVAL: Final = "bg1s."
REJECTION: Final = "bg1r."
MAX_REQUEST_CHARS: Final = 8192
"""Above this a request travels as a file only."""
_DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody's signature over the plan of this digest, as it arrived; nothing was verified."""

    person: str
    plan_sha256: str
    signature: bytes
    """Armored."""


def encode_request(plan_bytes: bytes) -> str | None:
    """Return the plan as one pasteable string; None where it is too long and must travel as a file."""
    text = REQUEST + _text(zlib.compress(plan_bytes, 9))
    return text if len(text) <= MAX_REQUEST_CHARS else None


def decode_request(text: str) -> bytes:
    """Return the plan's bytes.

    Raises:
        MalformedInput: not such a string, cut short, or unpacking to more than a plan may have.
    """
    packed = _bytes(text, REQUEST, "request", MAX_REQUEST_CHARS)
    unpacker = zlib.decompressobj()
    try:
        plan = unpacker.decompress(packed, MAX_PLAN_BYTES)
    except zlib.error as error:
        raise _broken("request") from error
    if not unpacker.eof or unpacker.unused_data:
        raise _broken("request")
    return plan


def encode_approval(approval: Approval) -> str:
    """Return the approval as one pasteable string of some 300 characters."""
    parts = (approval.person.encode(), bytes.fromhex(approval.plan_sha256), dearmor(approval.signature))
    return APPROVAL + _text(b"".join(string(part) for part in parts))


def decode_approval(text: str) -> Approval:
    """Read an approval.

    Raises:
        MalformedInput: not such a string, or cut short.
    """
    reader = Reader(_bytes(text, APPROVAL, "approval", MAX_ARMORED_BYTES), "the approval")
    try:
        person, digest, blob = reader.string(), reader.string(), reader.string()
        reader.end()
        name = person.decode("ascii")
    except (NotAuthorised, UnicodeDecodeError) as error:
        raise _broken("approval") from error
    if len(digest) != _DIGEST_BYTES:
        raise _broken("approval")
    return Approval(decode(_Named, {"person": name}, where="approval").person, digest.hex(), armor(blob))


@dataclass(frozen=True, slots=True)
class _Named:
    person: Name


def encode_rejection(document: bytes, signature: bytes) -> str:
    """Return a signed rejection as one pasteable string."""
    return REJECTION + _text(string(document) + string(dearmor(signature)))


def decode_rejection(text: str) -> tuple[bytes, bytes]:
    """Return the document and its armored signature.

    Raises:
        MalformedInput: not such a string, or cut short.
    """
    reader = Reader(_bytes(text, REJECTION, "rejection", MAX_REQUEST_CHARS), "the rejection")
    try:
        document, blob = reader.string(), reader.string()
        reader.end()
    except NotAuthorised as error:
        raise _broken("rejection") from error
    return document, armor(blob)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str, prefix: str, what: str, max_chars: int) -> bytes:
    """Undo `_text`; chat programs wrap long lines, so white space means nothing."""
    bare = "".join(text[: 2 * max_chars].split())
    if not bare.startswith(prefix):
        raise MalformedInput(f"not {_article(what)}: expected a string that begins with {prefix}", where=what)
    if len(bare) > max_chars:
        raise MalformedInput(f"longer than {max_chars} characters", where=what)
    bare = bare[len(prefix) :]
    try:
        data = base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _broken(what) from error
    if _text(data) != bare:
        raise _broken(what)
    return data


def _article(what: str) -> str:
    return f"an {what}" if what[0] in "aeiou" else f"a {what}"


def _broken(what: str) -> MalformedInput:
    return MalformedInput("cut short or changed on its way; paste it again, whole", where=what)
