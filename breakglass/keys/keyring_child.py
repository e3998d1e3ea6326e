"""The child process that talks to the system's keyring: one question on stdin, one answer on stdout.

It runs apart because a locked collection can wait for ever (poetry #1917). The backend is chosen here by
platform and by nothing else: keyring's own default is taken from a configuration file and the
environment, and a hostile ``keyringrc.cfg`` with ``keyring-path`` would be handed the key.
"""

from __future__ import annotations

import json
import sys
from typing import Protocol

MAX_QUESTION_CHARS = 64 * 1024


class Backend(Protocol):
    """The three calls of a keyring backend that are used."""

    def get_password(self, service: str, username: str) -> str | None:
        """Return a secret."""
        ...

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep a secret."""
        ...

    def delete_password(self, service: str, username: str) -> None:
        """Forget a secret."""
        ...


def choose() -> Backend:
    """Return this platform's own backend; never a file, never null, never a chain.

    Raises:
        LookupError: there is none that works here.
    """
    if sys.platform == "darwin":
        from keyring.backends import macOS

        return macOS.Keyring()
    if sys.platform == "win32":
        from keyring.backends import Windows

        return Windows.WinVaultKeyring()
    from keyring.backends import SecretService, kwallet, libsecret

    for kind in (SecretService.Keyring, libsecret.Keyring, kwallet.DBusKeyring):
        if kind.viable:
            return kind()
    raise LookupError("no Secret Service and no KWallet answers on this session's D-Bus")


def answer(question: dict[str, str]) -> dict[str, str | None]:
    """Do one thing; everything that goes wrong becomes one line."""
    try:
        backend = choose()
        service, user = question["service"], question["user"]
        if question["do"] == "set":
            backend.set_password(service, user, question["secret"])
        elif question["do"] == "delete":
            backend.delete_password(service, user)
        return {"secret": backend.get_password(service, user) if question["do"] == "get" else None}
    except Exception as error:  # noqa: BLE001 - backends raise whatever their platform raises
        return {"error": f"{type(error).__name__}: {error}"[:300]}


def main() -> None:
    """Answer the one question."""
    question = json.loads(sys.stdin.read(MAX_QUESTION_CHARS))
    sys.stdout.write(json.dumps(answer(question)))
