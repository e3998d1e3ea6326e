"""Finds the key with which a person can sign here and now: FIDO first, then ssh-agent, keyring, file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from breakglass.errors import BreakglassError, NotAuthorised, SignaturesMissing, Unreachable
from breakglass.keys.key_file import FileSigner
from breakglass.keys.keyring_store import KeyringSigner, load
from breakglass.keys.public_key import PublicKey
from breakglass.keys.signer import Signer
from breakglass.keys.ssh_agent import AgentSigner, agent_signers
from breakglass.model.roster import KeyStore, OperatorKey

AskPassphrase = Callable[[str], bytes]


def find_signer(
    person_keys: Sequence[OperatorKey],
    environ: Mapping[str, str],
    key_file: Path | None,
    ask_passphrase: AskPassphrase,
) -> Signer:
    """Return the best signer for one of the person's keys; nothing is signed or decrypted yet.

    A key file that was named is used and nothing else. `ask_passphrase` gets the question to ask.

    Raises:
        SignaturesMissing: none of the keys is here; the remedy says where each was looked for.
        NotAuthorised: the named key file is not one of the person's keys, or cannot be used.
    """
    entries = {PublicKey.parse(entry.pub): entry for entry in person_keys}
    if key_file is not None:
        return _named_file(key_file, entries, ask_passphrase)
    looked: list[str] = []
    for look in (_in_agent, _in_keyring):
        try:
            found = look(entries, environ)
        except BreakglassError as error:
            looked.append(error.what)
        else:
            if found is not None:
                return found
    raise SignaturesMissing(
        "none of the person's keys is here" + "".join(f"; {reason}" for reason in looked),
        remedy="load the key into an ssh-agent (ssh-add -c FILE), or name its file with --key FILE",
    )


def warnings(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return what a person should know before signing here."""
    if environ.get("SSH_CONNECTION") and environ.get("SSH_AUTH_SOCK"):
        forwarded = "a forwarded ssh-agent can be asked to sign by anybody with root here"
        return (f"this is a remote session: {forwarded}; approve on your own machine",)
    return ()


def _named_file(
    path: Path, entries: Mapping[PublicKey, OperatorKey], ask_passphrase: AskPassphrase
) -> Signer:
    signer = FileSigner(path, lambda: ask_passphrase(f"passphrase of {path}: "))
    key = PublicKey.parse(signer.public_line)
    if key not in entries:
        raise NotAuthorised(f"key {key.fingerprint} is not one of the person's keys", where=str(path))
    return signer


def _in_agent(entries: Mapping[PublicKey, OperatorKey], environ: Mapping[str, str]) -> AgentSigner | None:
    socket = environ.get("SSH_AUTH_SOCK", "")
    if not socket:
        raise Unreachable("no ssh-agent (SSH_AUTH_SOCK is not set)")
    found = [signer for signer in agent_signers(socket) if signer.key in entries]
    return min(found, key=lambda signer: not signer.key.hardware, default=None)


def _in_keyring(entries: Mapping[PublicKey, OperatorKey], environ: Mapping[str, str]) -> KeyringSigner | None:
    """Ask first for what the roster says is there; a roster may be wrong about where a software key lies."""
    software = [(key, entry.store) for key, entry in entries.items() if not key.hardware]
    for key, _ in sorted(software, key=lambda item: item[1] is not KeyStore.KEYRING):
        if load(key, environ) is not None:
            return KeyringSigner(key, environ)
    return None
