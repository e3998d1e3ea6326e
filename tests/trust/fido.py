"""An emulated FIDO token, and an ssh-agent that holds some: real ssh-keygen signs through it.

Real tokens need hardware; what this emulates is PROTOCOL.u2f of OpenSSH: the token signs
sha256(application) || flags || counter || sha256(data), and says in `flags` whether it was touched.
"""

from __future__ import annotations

import hashlib
import socketserver
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from breakglass.keys.public_key import SK_ECDSA, SK_ED25519, PublicKey
from breakglass.keys.sshsig import build, to_be_signed
from breakglass.keys.wire import Reader, mpint, string, u32
from breakglass.model.roster import KeyStore

TOUCHED = 0x01
VERIFIED = 0x04


@dataclass(frozen=True, slots=True)
class Token:
    """One key in one token; `flags` is what it claims about touch and PIN."""

    type: str = SK_ED25519
    flags: int = TOUCHED
    application: str = "ssh:"
    _private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey = field(
        default_factory=ed25519.Ed25519PrivateKey.generate
    )

    @classmethod
    def ecdsa(cls, flags: int = TOUCHED) -> Token:
        """Make one with a P-256 key."""
        return cls(SK_ECDSA, flags, _private=ec.generate_private_key(ec.SECP256R1()))

    @property
    def key(self) -> PublicKey:
        """Return the public key."""
        public = self._private.public_key()
        if isinstance(public, ed25519.Ed25519PublicKey):
            point = string(public.public_bytes(Encoding.Raw, PublicFormat.Raw))
        else:
            raw = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            point = string(b"nistp256") + string(raw)
        return PublicKey.from_blob(string(self.type.encode()) + point + string(self.application.encode()))

    def wire_signature(self, data: bytes, counter: int = 7) -> bytes:
        """Return what the device answers."""
        application = hashlib.sha256(self.application.encode()).digest()
        signed = application + bytes([self.flags]) + u32(counter) + hashlib.sha256(data).digest()
        if isinstance(self._private, ec.EllipticCurvePrivateKey):
            r, s = utils.decode_dss_signature(self._private.sign(signed, ec.ECDSA(SHA256())))
            raw = mpint(r) + mpint(s)
        else:
            raw = self._private.sign(signed)
        return string(self.type.encode()) + string(raw) + bytes([self.flags]) + u32(counter)

    @property
    def public_line(self) -> str:
        """Return ``type base64``."""
        return self.key.line

    @property
    def store(self) -> KeyStore:
        """Return where it lives."""
        return KeyStore.FIDO2

    def sign(self, message: bytes, namespace: str) -> bytes:
        """Return an armored SSHSIG."""
        return build(self.key, namespace, self.wire_signature(to_be_signed(message, namespace)))


@contextmanager
def serving(path: Path, answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """Listen on a socket and answer each ssh-agent message with whatever bytes `answer` returns."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while size := self.rfile.read(4):
                self.wfile.write(answer(self.rfile.read(int.from_bytes(size, "big"))))

    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield str(path)
        finally:
            server.shutdown()
            thread.join()


def holding(tokens: Sequence[Token]) -> Callable[[bytes], bytes]:
    """Return the answers of an ssh-agent that holds these tokens."""

    def answer(body: bytes) -> bytes:
        if body[0] == 11:
            keys = b"".join(string(token.key.blob) + string(b"a token") for token in tokens)
            return string(b"\x0c" + u32(len(tokens)) + keys)
        if body[0] == 13:
            reader = Reader(body[1:], "request")
            blob, data = reader.string(), reader.string()
            token = next(token for token in tokens if token.key.blob == blob)
            return string(b"\x0e" + string(token.wire_signature(data)))
        return string(b"\x05")

    return answer
