"""Operator keys in the system's keyring: explicit backends, a time limit, read back after writing.

There is no fall-back to a file. Where no keyring works the answer is an ssh-agent, and the error says so.
A keyring key is a software key: on macOS any script of the same Python may read the item (keyring's docs).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from breakglass.errors import NotAuthorised, Unreachable
from breakglass.keys.public_key import PublicKey
from breakglass.keys.secret_key import SecretKey
from breakglass.model.roster import KeyStore

SERVICE: Final = "breakglass operator key"
LIMIT_S: Final = 3.0
MAX_ANSWER_BYTES: Final = 64 * 1024
_BOOT: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    "from breakglass.keys.keyring_child import main; main()"
)
_REMEDY: Final = "use ssh-agent: ssh-keygen -t ed25519, ssh-add -c, and breakglass operator show"


@dataclass(frozen=True, slots=True)
class KeyringSigner:
    """Signs with a key of the system's keyring, which is opened for each signature and not kept."""

    key: PublicKey
    environ: Mapping[str, str] = field(repr=False, compare=False)

    @property
    def public_line(self) -> str:
        """Return ``type base64`` of the key."""
        return self.key.line

    @property
    def store(self) -> KeyStore:
        """Return where the key lives."""
        return KeyStore.KEYRING

    def sign(self, message: bytes, namespace: str) -> bytes:
        """Return an armored SSHSIG over `message`.

        Raises:
            Unreachable: no keyring answers in time.
            NotAuthorised: the keyring does not hold the key.
        """
        secret = load(self.key, self.environ)
        if secret is None:
            raise NotAuthorised(f"the keyring does not hold {self.key.fingerprint}", remedy=_REMEDY)
        return secret.sign(message, namespace)


def generate(environ: Mapping[str, str]) -> KeyringSigner:
    """Make a key, store it under its fingerprint, and read it back.

    Raises:
        Unreachable: no keyring answers in time.
        NotAuthorised: the keyring says that it stored the key, and does not have it.
    """
    secret = SecretKey.generate()
    pem = secret.to_pem(None).decode("ascii")
    _ask("set", secret.public.fingerprint, environ, secret=pem)
    if _ask("get", secret.public.fingerprint, environ) != pem:
        raise NotAuthorised("the keyring did not keep the key", remedy=_REMEDY)
    return KeyringSigner(secret.public, environ)


def load(key: PublicKey, environ: Mapping[str, str]) -> SecretKey | None:
    """Return the secret half of a key, or None where the keyring does not hold it.

    Raises:
        Unreachable: no keyring answers in time.
        NotAuthorised: what it holds is not the secret half of this key.
    """
    pem = _ask("get", key.fingerprint, environ)
    if pem is None:
        return None
    secret = SecretKey.from_pem(pem.encode(), None)
    if secret.public != key:
        raise NotAuthorised(f"the keyring holds another key under the name {key.fingerprint}")
    return secret


def forget(key: PublicKey, environ: Mapping[str, str]) -> None:
    """Delete a key from the keyring. Raises Unreachable when no keyring answers, or it holds no such key."""
    _ask("delete", key.fingerprint, environ)


def child_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what chooses a keyring backend or what Python loads."""
    return {name: value for name, value in environ.items() if not name.startswith(("KEYRING_", "PYTHON"))}


def _ask(do: str, user: str, environ: Mapping[str, str], *, secret: str = "") -> str | None:
    question = json.dumps({"do": do, "service": SERVICE, "user": user, "secret": secret})
    path = json.dumps([os.path.abspath(item) for item in sys.path])  # noqa: PTH100 - "" means here, and now
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and our own module
            [sys.executable, "-I", "-c", _BOOT, path],
            input=question.encode(),
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
            env=child_environment(environ),
        )
    except subprocess.TimeoutExpired as error:
        raise Unreachable(
            f"the keyring did not answer within {LIMIT_S:g} s; it may be locked", remedy=_REMEDY
        ) from error
    found = _parse(done.stdout)
    if "error" in found:
        raise Unreachable(f"no usable keyring: {found['error']}", remedy=_REMEDY)
    return found["secret"]


def _parse(data: bytes) -> dict[str, str | None]:
    try:
        found = json.loads(data[:MAX_ANSWER_BYTES])
    except ValueError:
        return {"error": "the process that asks it failed"}
    if not isinstance(found, dict) or not ("error" in found or "secret" in found):
        return {"error": "the process that asks it gave no answer"}
    return {str(name): value if isinstance(value, str) else None for name, value in found.items()}
