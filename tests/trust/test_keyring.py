"""Operator keys in a real keyring: gnome-keyring in a D-Bus session that belongs to the test alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.backends import need

TOOLS = ("dbus-run-session", "gnome-keyring-daemon")
INSIDE = "tests.trust.keyring_session"
HOSTILE = """
import pathlib, keyring.backend
pathlib.Path({marker!r}).write_text("it ran")
class Keyring(keyring.backend.KeyringBackend):
    priority = 99
    def get_password(self, service, username): return None
    def set_password(self, service, username, password): pathlib.Path({marker!r}).write_text(password)
    def delete_password(self, service, username): pass
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    need("keyring", all(map(shutil.which, TOOLS)), f"needs {' and '.join(TOOLS)}")
    (tmp_path / "run").mkdir(mode=0o700)
    return tmp_path


def run(
    home: Path, what: str, more: Mapping[str, str] = MappingProxyType({}), *, session: bool = True
) -> dict[str, object]:
    """Run one part of `keyring_session` with a home, a runtime folder and nothing else of ours."""
    environ = {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2]),
        **more,
    }
    done = subprocess.run(
        [*(["dbus-run-session", "--"] if session else []), sys.executable, "-m", INSIDE, what],
        env=environ,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert 0 == done.returncode, done.stderr.decode()
    found: dict[str, object] = json.loads(done.stdout)
    return found


def plant(home: Path) -> tuple[Path, dict[str, str]]:
    """Write a keyringrc.cfg and a module as an attacker with write access to the home would."""
    marker = home / "marker"
    (home / "evil").mkdir()
    (home / "evil" / "attacker.py").write_text(HOSTILE.format(marker=str(marker)))
    lines = f"[backend]\ndefault-keyring=attacker.Keyring\nkeyring-path={home / 'evil'}\n"
    for folder in (".config/python_keyring", ".local/share/python_keyring"):
        (home / folder).mkdir(parents=True)
        (home / folder / "keyringrc.cfg").write_text(lines)
    return marker, {
        "PYTHON_KEYRING_BACKEND": "attacker.Keyring",
        "KEYRING_PROPERTY_PREFERRED_COLLECTION": "/org/freedesktop/secrets/collection/evil",
    }


def test_a_key_in_a_real_keyring_signs(home: Path) -> None:
    """Made, read back, found through the roster's entry, used, and forgotten again."""
    found = run(home, "unlocked")

    assert {"store": "keyring", "same_key": True, "unknown_key": True, "forgotten": True} == found


def test_a_hostile_configuration_chooses_no_backend(home: Path) -> None:
    """Neither keyringrc.cfg nor the environment has a say: the attacker's module is not even imported."""
    marker, environ = plant(home)

    found = run(home, "unlocked", environ)

    assert ("keyring", True) == (found["store"], found["same_key"])
    assert not marker.exists()


def test_the_hostile_configuration_works_on_keyrings_own_default(home: Path) -> None:
    """The control: keyring.set_password by its defaults hands the attacker the secret."""
    marker, environ = plant(home)
    subprocess.run(
        [sys.executable, "-c", "import keyring; keyring.set_password('s', 'u', 'the key')"],
        env={"HOME": str(home), "PATH": os.environ["PATH"], **environ, "PYTHONPATH": str(home / "evil")},
        check=True,
    )

    assert "the key" == marker.read_text()


def test_without_a_keyring_nothing_is_stored_anywhere(home: Path) -> None:
    """No D-Bus, a hostile configuration waiting: refused, and the remedy is an ssh-agent."""
    marker, environ = plant(home)
    before = sorted(home.rglob("*"))

    found = run(home, "refused", environ, session=False)

    assert str(found["what"]).startswith("no usable keyring: LookupError: no Secret Service")
    assert "use ssh-agent" in str(found["remedy"])
    assert (False, before) == (marker.exists(), sorted(home.rglob("*")))


def test_a_locked_keyring_is_refused(home: Path) -> None:
    """Nobody is there to unlock it: no usable keyring, and the remedy."""
    found = run(home, "locked")

    assert "keyring" in str(found["what"])
    assert "use ssh-agent" in str(found["remedy"])


def test_a_keyring_that_stops_answering_does_not_hang_us(home: Path) -> None:
    """Its process is stopped in the middle of a session: three seconds, then the remedy."""
    found = run(home, "hanging")

    assert "the keyring did not answer within 3 s; it may be locked" == found["what"]
    assert 2.9 < float(str(found["took_s"])) < 4.5
