"""What everything that can sign looks like."""

from __future__ import annotations

from typing import Protocol

from breakglass.model.roster import KeyStore


class Signer(Protocol):
    """A key that can be used now, wherever it lives."""

    @property
    def public_line(self) -> str:
        """Return ``type base64`` of the key."""
        ...

    @property
    def store(self) -> KeyStore:
        """Return where the key lives."""
        ...

    def sign(self, message: bytes, namespace: str) -> bytes:
        """Return an armored SSHSIG over `message`. Raises NotAuthorised or Unreachable when it cannot."""
        ...
