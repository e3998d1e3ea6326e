"""A person's own key: make one, and show which of the keys that are here the roster knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from breakglass.clock import Instant
from breakglass.errors import BreakglassError
from breakglass.keys import key_file, keyring_store
from breakglass.keys.public_key import PublicKey
from breakglass.keys.ssh_agent import agent_signers
from breakglass.model.roster import KeyStore, Roster


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made; its public line goes to the admins, who put it into the roster."""

    public_line: str
    fingerprint: str
    store: KeyStore
    file: Path | None


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A key that can sign here, and what the roster says of it."""

    public_line: str
    fingerprint: str
    store: KeyStore
    comment: str
    person: str | None
    """Whose it is; None: the roster does not know it."""
    not_after: Instant | None
    usable: bool
    """It is in the roster, not revoked and has not run out."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The keys that are here, and where we could not look."""

    keys: tuple[ShownKey, ...]
    not_looked: tuple[str, ...]


def new_in_file(path: Path, passphrase: bytes, comment: str) -> NewKey:
    """Make an encrypted key file, as ssh-keygen would.

    Raises:
        UsageError: the passphrase is too short, or one of the files exists already.
    """
    line = key_file.generate(path, passphrase, comment)
    return NewKey(line, PublicKey.parse(line).fingerprint, KeyStore.FILE, path)


def new_in_keyring(environ: Mapping[str, str]) -> NewKey:
    """Make a key in the system's keyring.

    Raises:
        Unreachable: no keyring answers; the remedy is an ssh-agent.
        NotAuthorised: the keyring did not keep it.
    """
    signer = keyring_store.generate(environ)
    return NewKey(signer.public_line, signer.key.fingerprint, KeyStore.KEYRING, None)


def show(
    environ: Mapping[str, str], roster: Roster | None, now: Instant, *, file: Path | None = None
) -> Shown:
    """Return the keys that could sign here: in the ssh-agent, in the keyring, in a file that was named.

    A keyring is only asked for keys that the roster says are in one: it cannot be listed.

    Raises:
        NotAuthorised: the named file holds no key that can be used.
    """
    found: dict[PublicKey, tuple[KeyStore, str]] = {}
    not_looked: list[str] = []
    if file is not None:
        signer = key_file.FileSigner(file, lambda: b"")
        found[PublicKey.parse(signer.public_line)] = (KeyStore.FILE, str(file))
    try:
        if socket := environ.get("SSH_AUTH_SOCK", ""):
            for agent in agent_signers(socket):
                found.setdefault(agent.key, (agent.store, agent.comment))
        else:
            not_looked.append("ssh-agent: SSH_AUTH_SOCK is not set")
    except BreakglassError as error:
        not_looked.append(f"ssh-agent: {error.what}")
    try:
        for key in _said_to_be_in_a_keyring(roster):
            if keyring_store.load(key, environ) is not None:
                found.setdefault(key, (KeyStore.KEYRING, ""))
    except BreakglassError as error:
        not_looked.append(f"keyring: {error.what}")
    keys = tuple(_shown(key, store, comment, roster, now) for key, (store, comment) in found.items())
    return Shown(keys, tuple(not_looked))


def _said_to_be_in_a_keyring(roster: Roster | None) -> tuple[PublicKey, ...]:
    return tuple(
        PublicKey.parse(entry.pub)
        for person in (roster.operators if roster else ())
        for entry in person.keys
        if entry.store is KeyStore.KEYRING
    )


def _shown(key: PublicKey, store: KeyStore, comment: str, roster: Roster | None, now: Instant) -> ShownKey:
    for person in roster.operators if roster else ():
        for entry in person.keys:
            if entry.pub.split() == key.line.split():
                usable = now < entry.not_after and (
                    roster is None or key.fingerprint not in roster.revoked_keys
                )
                return ShownKey(
                    key.line, key.fingerprint, store, comment, person.person, entry.not_after, usable
                )
    return ShownKey(key.line, key.fingerprint, store, comment, None, None, usable=False)
