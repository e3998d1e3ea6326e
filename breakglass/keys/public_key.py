"""Public keys of the four types that breakglass accepts, compared by their whole SSH blob.

The blob is kept and not a loaded object: `cryptography.load_ssh_public_key` turns an sk-ssh-ed25519 key
into a plain Ed25519 key and drops its application string.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field

from breakglass.errors import NotAuthorised
from breakglass.keys.wire import Reader

ED25519 = "ssh-ed25519"
ECDSA = "ecdsa-sha2-nistp256"
SK_ED25519 = "sk-ssh-ed25519@openssh.com"
SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"
ACCEPTED = (ED25519, ECDSA, SK_ED25519, SK_ECDSA)
MAX_BLOB_BYTES = 1024

_CURVE = b"nistp256"
_ED25519_BYTES = 32
_POINT_BYTES = 65


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One public key; two keys are the same only if their blobs are."""

    blob: bytes
    type: str = field(compare=False)
    point: bytes = field(compare=False, repr=False)
    """32 bytes of Ed25519, or an uncompressed P-256 point."""
    application: str = field(compare=False, default="")
    """Of a FIDO key, e.g. ``ssh:``; empty for every other type."""

    @classmethod
    def parse(cls, line: str) -> PublicKey:
        """Read ``type base64 [comment]``, as a .pub file or ``ssh-add -L`` has it.

        Raises:
            NotAuthorised: not a public key, or of a type that breakglass does not accept.
        """
        words = line.split(maxsplit=2)
        if len(words) < 2:  # noqa: PLR2004 - type and blob
            raise NotAuthorised("not a public key line")
        try:
            blob = base64.b64decode(words[1].encode("ascii"), validate=True)
        except (UnicodeEncodeError, binascii.Error, ValueError) as error:
            raise NotAuthorised("public key is not base64") from error
        key = cls.from_blob(blob)
        if key.type != words[0]:
            raise NotAuthorised(f"public key says {words[0][:60]!r} and holds {key.type}")
        return key

    @classmethod
    def from_blob(cls, blob: bytes) -> PublicKey:
        """Read the SSH wire form.

        Raises:
            NotAuthorised: cut short, trailing bytes, or a type that breakglass does not accept.
        """
        if len(blob) > MAX_BLOB_BYTES:
            raise NotAuthorised("public key is too long")
        reader = Reader(blob, "public key")
        key_type = reader.string().decode("ascii", "replace")
        if key_type not in ACCEPTED:
            raise NotAuthorised(f"key type {key_type[:60]!r} is not accepted")
        if key_type in (ECDSA, SK_ECDSA) and reader.string() != _CURVE:
            raise NotAuthorised("public key is not on curve nistp256")
        point = reader.string()
        expected = _POINT_BYTES if key_type in (ECDSA, SK_ECDSA) else _ED25519_BYTES
        if len(point) != expected:
            raise NotAuthorised(f"public key has {len(point)} bytes instead of {expected}")
        application = ""
        if key_type in (SK_ED25519, SK_ECDSA):
            try:
                application = reader.string().decode("ascii")
            except UnicodeDecodeError as error:
                raise NotAuthorised("the key's application is not ASCII") from error
        reader.end()
        return cls(blob=blob, type=key_type, point=point, application=application)

    @property
    def line(self) -> str:
        """Return ``type base64``, without a comment: the form in which rosters hold it."""
        return f"{self.type} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """Return ``SHA256:...`` as OpenSSH prints it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    @property
    def hardware(self) -> bool:
        """Tell whether the key lives in a FIDO device; only such signatures carry a touch."""
        return self.type in (SK_ED25519, SK_ECDSA)
