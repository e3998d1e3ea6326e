"""SSHSIG: read, check and build detached SSH signatures (OpenSSH, PROTOCOL.sshsig and PROTOCOL.u2f).

Stricter than the tools that one would reach for: SHA-256 and SHA-512 only, no trailing bytes, one
spelling of everything, four key types, the namespace always compared. The touch of a FIDO key is
reported here and demanded by the quorum: ``ssh-keygen -Y verify`` accepts a signature without one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from breakglass.errors import NotAuthorised
from breakglass.keys.public_key import ECDSA, ED25519, SK_ECDSA, SK_ED25519, PublicKey
from breakglass.keys.wire import Reader, string, u32

__all__ = [
    "ECDSA",
    "ED25519",
    "SK_ECDSA",
    "SK_ED25519",
    "Envelope",
    "PublicKey",
    "SignedBy",
    "armor",
    "build",
    "dearmor",
    "digests",
    "namespace",
    "parse",
    "to_be_signed",
    "verify",
]  # fmt: skip - one line a group reads better than fourteen lines

MAGIC: Final = b"SSHSIG"
MAX_ARMORED_BYTES: Final = 8192
_ARMOR = re.compile(
    rb"-----BEGIN SSH SIGNATURE-----\n((?:[A-Za-z0-9+/]{1,76}\n)*[A-Za-z0-9+/]{1,76}={0,2}\n)"
    rb"-----END SSH SIGNATURE-----\n?"
)
_LINE_BYTES: Final = 70
_USER_PRESENT: Final = 0x01
_USER_VERIFIED: Final = 0x04
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ED25519_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class SignedBy:
    """What a valid signature proves; whether that is enough is for the quorum to say."""

    blob: bytes
    type: str
    application: str
    user_present: bool
    """A FIDO device was touched. False for every other key."""
    user_verified: bool
    """A FIDO device asked for a PIN or a finger. False for every other key."""

    @property
    def fingerprint(self) -> str:
        """Return ``SHA256:...`` of the key."""
        return PublicKey.from_blob(self.blob).fingerprint


@dataclass(frozen=True, slots=True)
class Envelope:
    """A well-formed signature whose cryptography was not looked at yet."""

    key: PublicKey
    hash_name: str
    signature: bytes
    """The raw Ed25519 signature, or the two numbers of ECDSA."""
    flags: int
    counter: int

    def check(self, message_digests: Mapping[str, bytes], space: str) -> SignedBy:
        """Verify the signature over a message that is given by its digests.

        Raises:
            NotAuthorised: the signature does not belong to this key, message and namespace.
        """
        signed = _signed_data(space, self.hash_name, message_digests[self.hash_name])
        if self.key.hardware:
            application = hashlib.sha256(self.key.application.encode()).digest()
            tail = bytes([self.flags]) + u32(self.counter) + hashlib.sha256(signed).digest()
            signed = application + tail
        _check_cryptography(self.key, self.signature, signed)
        return SignedBy(
            blob=self.key.blob,
            type=self.key.type,
            application=self.key.application,
            user_present=self.key.hardware and bool(self.flags & _USER_PRESENT),
            user_verified=self.key.hardware and bool(self.flags & _USER_VERIFIED),
        )


def namespace(kind: str, org: str) -> str:
    """Return the namespace of one kind of document; a new meaning gets a new one."""
    return f"breakglass-{kind}-v1@{org}"


def digests(message: bytes) -> Mapping[str, bytes]:
    """Return the digests that a signature may be over, so that many signatures cost one reading."""
    return {name: hashlib.new(name, message).digest() for name in ("sha256", "sha512")}


def to_be_signed(message: bytes, space: str, hash_name: str = "sha512") -> bytes:
    """Return the bytes that the key signs."""
    return _signed_data(space, hash_name, hashlib.new(hash_name, message).digest())


def _signed_data(space: str, hash_name: str, digest: bytes) -> bytes:
    return MAGIC + string(space.encode()) + string(b"") + string(hash_name.encode()) + string(digest)


def build(key: PublicKey, space: str, signature: bytes, hash_name: str = "sha512") -> bytes:
    """Return the armored signature; `signature` is in SSH wire form, as an ssh-agent answers."""
    fields = (key.blob, space.encode(), b"", hash_name.encode(), signature)
    return armor(MAGIC + u32(1) + b"".join(string(item) for item in fields))


def armor(blob: bytes) -> bytes:
    """Return the text form, byte-identical to what ssh-keygen writes."""
    text = base64.b64encode(blob)
    lines = [text[at : at + _LINE_BYTES] for at in range(0, len(text), _LINE_BYTES)]
    return b"\n".join((b"-----BEGIN SSH SIGNATURE-----", *lines, b"-----END SSH SIGNATURE-----", b""))


def dearmor(armored: bytes) -> bytes:
    """Return the binary form.

    Raises:
        NotAuthorised: not exactly one armored signature, nothing before and nothing after it.
    """
    if len(armored) > MAX_ARMORED_BYTES:
        raise NotAuthorised("signature is too long")
    match = _ARMOR.fullmatch(armored)
    if match is None:
        raise NotAuthorised("not an armored SSH signature")
    text = match[1].replace(b"\n", b"")
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotAuthorised("signature is not base64") from error
    if base64.b64encode(blob) != text:
        raise NotAuthorised("signature is not in canonical base64")
    return blob


def parse(armored: bytes, space: str) -> Envelope:
    """Read a signature strictly and require its namespace.

    Raises:
        NotAuthorised: malformed, of another namespace, or with a hash or key type that is not accepted.
    """
    reader = Reader(dearmor(armored), "signature")
    if reader.take(len(MAGIC)) != MAGIC:
        raise NotAuthorised("not an SSH signature")
    if (version := reader.u32()) != 1:
        raise NotAuthorised(f"signature version {version} is not 1")
    key = PublicKey.from_blob(reader.string())
    if (found := reader.string()) != space.encode():
        raise NotAuthorised(f"signed for {found[:80].decode('ascii', 'replace')!r} instead of {space!r}")
    if reader.string():
        raise NotAuthorised("the reserved field of the signature is not empty")
    hash_name = reader.string().decode("ascii", "replace")
    if hash_name not in ("sha256", "sha512"):
        raise NotAuthorised(f"hash {hash_name[:40]!r} is not accepted")
    inner = Reader(reader.string(), "signature")
    reader.end()
    inner_type = inner.string().decode("ascii", "replace")
    if inner_type != key.type:
        raise NotAuthorised(f"signature of type {inner_type[:60]!r} by a key of type {key.type!r}")
    signature = inner.string()
    flags, counter = (inner.take(1)[0], inner.u32()) if key.hardware else (0, 0)
    inner.end()
    return Envelope(key, hash_name, signature, flags, counter)


def verify(armored: bytes, message: bytes, space: str) -> SignedBy:
    """Check one signature over `message` in a namespace.

    Raises:
        NotAuthorised: see `parse` and `Envelope.check`.
    """
    return parse(armored, space).check(digests(message), space)


def _check_cryptography(key: PublicKey, signature: bytes, signed: bytes) -> None:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        if key.type in (ECDSA, SK_ECDSA):
            _check_ecdsa(key.point, signature, signed)
        else:
            _check_ed25519(key.point, signature, signed)
    except InvalidSignature as error:
        raise NotAuthorised("signature does not match the signed bytes") from error
    except (UnsupportedAlgorithm, ValueError) as error:
        raise NotAuthorised(f"signature cannot be checked: {error}") from error


def _check_ed25519(point: bytes, signature: bytes, signed: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if len(signature) != _ED25519_BYTES:
        raise NotAuthorised("an Ed25519 signature has 64 bytes")
    Ed25519PublicKey.from_public_bytes(point).verify(signature, signed)


def _check_ecdsa(point: bytes, signature: bytes, signed: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.hashes import SHA256

    numbers = Reader(signature, "ECDSA signature")
    r, s = numbers.positive_mpint(), numbers.positive_mpint()
    numbers.end()
    if max(r, s) >= _P256_ORDER:
        raise NotAuthorised("ECDSA signature holds a number beyond the order of the curve")
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    public.verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(SHA256()))
