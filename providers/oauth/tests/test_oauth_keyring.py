"""A token in the platform's keyring, read through a real gnome-keyring."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from breakglass.errors import Denied
from breakglass_oauth.tokens import Place
from tests.backends import need

SCRIPT = """
import subprocess, sys
unlock = ["gnome-keyring-daemon", "--unlock", "--components=secrets"]
subprocess.run(unlock, input=b"pw", check=True, capture_output=True)
from keyring.backends.SecretService import Keyring
Keyring().set_password("support-bot", "api", "tok-123")
from breakglass_oauth.tokens import Place
from breakglass.errors import Gone
print(Place("keyring:support-bot/api").read()[0].value)
try:
    Place("keyring:support-bot/none").read()
except Gone as error:
    print(error.what)
"""


def test_a_token_in_the_keyring_is_found(tmp_path: Path) -> None:
    """The entry is read by a child with an explicit backend; a missing one is Gone."""
    tools = ("dbus-run-session", "gnome-keyring-daemon")
    need("keyring", all(map(shutil.which, tools)), "needs dbus-run-session and gnome-keyring-daemon")
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(
        ["dbus-run-session", "--", sys.executable, "-c", SCRIPT],
        capture_output=True,
        check=False,
        env=environment,
        text=True,
        timeout=60,
    )

    assert done.stdout == "tok-123\nhas no such entry\n", done.stderr


def test_a_keyring_that_is_not_there_is_denied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No session bus, no keyring: said, and never taken for "no token"."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/none")

    with pytest.raises(Denied, match="cannot be read by the executor"):
        Place("keyring:support-bot/api").read()
