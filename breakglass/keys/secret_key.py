"""A private key in memory: read from and written to OpenSSH's own format, used once to sign.

The public half and the encryption stand in clear in front of an OpenSSH private key (OpenSSH,
PROTOCOL.key), so a file can be refused, or shown, before anybody is asked for a passphrase.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from breakglass.errors import NotAuthorised
from breakglass.keys.public_key import ECDSA, ED25519, PublicKey
from breakglass.keys.sshsig import build, to_be_signed
from breakglass.keys.wire import Reader, mpint, string

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAX_PEM_BYTES: Final = 16 * 1024
MAX_ROUNDS: Final = 1024
"""Of bcrypt; ssh-keygen writes 16 or 24. More would let a hostile file keep a machine busy for hours."""
_MAGIC: Final = b"openssh-key-v1\0"
_PEM = re.compile(
    rb"-----BEGIN OPENSSH PRIVATE KEY-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END OPENSSH PRIVATE KEY-----\s*"
)


@dataclass(frozen=True, slots=True)
class Header:
    """What an OpenSSH private key says without its passphrase."""

    key: PublicKey
    encrypted: bool


def read_header(pem: bytes) -> Header:
    """Read the clear part of an OpenSSH private key.

    Raises:
        NotAuthorised: not such a key, of a type that breakglass does not accept, or made to be slow.
    """
    match = _PEM.fullmatch(pem) if len(pem) <= MAX_PEM_BYTES else None
    if match is None:
        raise NotAuthorised(
            "not a private key in OpenSSH's format", remedy="make one: ssh-keygen -t ed25519 -f FILE"
        )
    try:
        blob = base64.b64decode(b"".join(match[1].split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotAuthorised("private key is not base64") from error
    reader = Reader(blob, "private key")
    if reader.take(len(_MAGIC)) != _MAGIC:
        raise NotAuthorised("not a private key in OpenSSH's format")
    cipher, kdf, options = reader.string(), reader.string(), reader.string()
    if reader.u32() != 1:
        raise NotAuthorised("the file holds more than one private key")
    encrypted = cipher != b"none"
    if encrypted:
        _check_kdf(kdf, options)
    return Header(PublicKey.from_blob(reader.string()), encrypted=encrypted)


def _check_kdf(kdf: bytes, options: bytes) -> None:
    if kdf != b"bcrypt":
        raise NotAuthorised(f"key derivation {kdf[:40]!r} is not bcrypt")
    reader = Reader(options, "private key")
    reader.string()
    if (rounds := reader.u32()) > MAX_ROUNDS:
        raise NotAuthorised(f"private key asks for {rounds} rounds of bcrypt; at most {MAX_ROUNDS}")


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A private key that can sign; Ed25519, or ECDSA on P-256."""

    public: PublicKey
    _private: Ed25519PrivateKey | EllipticCurvePrivateKey = field(repr=False, compare=False)

    @classmethod
    def generate(cls) -> SecretKey:
        """Make an Ed25519 key from the system's randomness."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls._wrap(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: bytes, passphrase: bytes | None) -> SecretKey:
        """Open an OpenSSH private key.

        Raises:
            NotAuthorised: wrong passphrase, damaged, or a key that this machine cannot use by itself.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_ssh_private_key

        header = read_header(pem)
        if header.key.hardware:
            raise NotAuthorised(
                "the private half of a FIDO key lies in its device",
                remedy="load it into an ssh-agent: ssh-add FILE",
            )
        try:
            private = load_ssh_private_key(pem, passphrase)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            what = "wrong passphrase, or a damaged private key" if header.encrypted else "damaged private key"
            raise NotAuthorised(what) from error
        found = cls._wrap(private)
        if found.public != header.key:
            raise NotAuthorised("the private key does not belong to the public key in front of it")
        return found

    @classmethod
    def _wrap(cls, private: object) -> SecretKey:
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        if not isinstance(private, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
            raise NotAuthorised("private key is of a type that is not accepted")
        line = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        return cls(PublicKey.parse(line), private)

    def to_pem(self, passphrase: bytes | None) -> bytes:
        """Return the OpenSSH form: encrypted (bcrypt, aes256-ctr), or plain where `passphrase` is None."""
        from cryptography.hazmat.primitives.serialization import (
            BestAvailableEncryption,
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, encryption)

    def sign(self, message: bytes, namespace: str) -> bytes:
        """Return an armored SSHSIG over `message`."""
        from cryptography.hazmat.primitives.asymmetric import ec, utils
        from cryptography.hazmat.primitives.hashes import SHA256

        data = to_be_signed(message, namespace)
        if isinstance(self._private, ec.EllipticCurvePrivateKey):
            r, s = utils.decode_dss_signature(self._private.sign(data, ec.ECDSA(SHA256())))
            signature = string(ECDSA.encode()) + string(mpint(r) + mpint(s))
        else:
            signature = string(ED25519.encode()) + string(self._private.sign(data))
        return build(self.public, namespace, signature)
