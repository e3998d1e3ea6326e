"""Runs inside a D-Bus session of its own, with a real gnome-keyring; prints what happened as JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from breakglass.clock import SystemClock
from breakglass.errors import BreakglassError
from breakglass.keys import keyring_store, sshsig
from breakglass.keys.find import find_signer
from breakglass.keys.secret_key import SecretKey
from breakglass.model.roster import KeyStore, OperatorKey

CLOCK = SystemClock()
SPACE = sshsig.namespace("plan", "example.com")


@contextmanager
def gnome_keyring(*, unlocked: bool) -> Iterator[int]:
    """Run the daemon, with its login collection unlocked by a password or not at all; yield its pid."""
    control = os.environ["XDG_RUNTIME_DIR"] + "/control"
    arguments = ["gnome-keyring-daemon", "--foreground", "--components=secrets"]
    with subprocess.Popen(
        [*arguments, "--control-directory", control, *(["--unlock"] if unlocked else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as daemon:
        with suppress(subprocess.TimeoutExpired):
            daemon.communicate(b"a password", timeout=0.01)
        try:
            yield daemon.pid
        finally:
            daemon.terminate()
            os.kill(daemon.pid, signal.SIGCONT)


def make_key() -> keyring_store.KeyringSigner:
    """Make a key as soon as the daemon answers."""
    until_s = CLOCK.monotonic_s() + 10
    while True:
        try:
            return keyring_store.generate(os.environ)
        except BreakglassError:
            if CLOCK.monotonic_s() > until_s:
                raise
            CLOCK.sleep(0.1)


def unlocked() -> dict[str, object]:
    """Make, find, sign, forget."""
    with gnome_keyring(unlocked=True):
        signer = make_key()
        entry = OperatorKey(signer.public_line, KeyStore.KEYRING, CLOCK.now())
        found = find_signer([entry], os.environ, None, lambda _question: b"")
        proof = sshsig.verify(found.sign(b"plan", SPACE), b"plan", SPACE)
        other = keyring_store.load(SecretKey.generate().public, os.environ)
        keyring_store.forget(signer.key, os.environ)
        gone = keyring_store.load(signer.key, os.environ)
    return {
        "store": found.store.value,
        "same_key": proof.blob == signer.key.blob,
        "unknown_key": other is None,
        "forgotten": gone is None,
    }


def locked() -> dict[str, object]:
    """Ask a keyring that nobody unlocked and for which nobody can be asked."""
    with gnome_keyring(unlocked=False):
        until_s = CLOCK.monotonic_s() + 10
        while "no Secret Service" in str((found := refused())["what"]) and CLOCK.monotonic_s() < until_s:
            CLOCK.sleep(0.1)
        return found


def hanging() -> dict[str, object]:
    """Ask a keyring that took a key and then stopped answering."""
    with gnome_keyring(unlocked=True) as daemon:
        make_key()
        os.kill(daemon, signal.SIGSTOP)
        return refused()


def refused() -> dict[str, object]:
    """Ask where there may be no keyring at all."""
    begun = CLOCK.monotonic_s()
    try:
        keyring_store.generate(os.environ)
    except BreakglassError as error:
        return {"what": error.what, "remedy": error.remedy, "took_s": CLOCK.monotonic_s() - begun}
    return {"what": "the keyring took the key"}


PARTS = {"unlocked": unlocked, "locked": locked, "hanging": hanging, "refused": refused}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(PARTS[sys.argv[1]]()))
