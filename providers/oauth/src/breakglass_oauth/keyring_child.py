"""Prints one entry of the platform's keyring: ``python -I keyring_child.py SERVICE NAME``.

A program of its own, and with a backend named by platform: `keyring.get_keyring` would run whatever a
configuration file in the user's home names.
"""

from __future__ import annotations

import sys

GONE = 3
DENIED = 4


def main(service: str, name: str) -> int:
    """Write the entry to stdout; 3: there is none, 4: it cannot be read."""
    try:
        secret = _read(service, name)
    except Exception:  # noqa: BLE001 - whatever a backend throws, its text could hold the secret
        return DENIED
    if secret is None:
        return GONE
    sys.stdout.write(secret)
    return 0


def _read(service: str, name: str) -> str | None:
    if sys.platform == "darwin":
        from keyring.backends.macOS import Keyring as Backend
    elif sys.platform == "win32":
        from keyring.backends.Windows import WinVaultKeyring as Backend
    else:
        from keyring.backends.SecretService import Keyring as Backend
    found: str | None = Backend().get_password(service, name)  # type: ignore[no-untyped-call]  # keyring has no types here
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
