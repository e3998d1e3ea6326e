"""The executor's log key: a plain file that only its account can read, or a key in an ssh-agent.

It signs checkpoints without anybody being there to type a passphrase; the operators' keys never lie so.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from breakglass.errors import NotAuthorised, UsageError
from breakglass.keys.key_file import FileSigner, read_private
from breakglass.keys.key_file import generate as generate_file
from breakglass.keys.public_key import PublicKey
from breakglass.keys.secret_key import read_header
from breakglass.keys.signer import Signer
from breakglass.keys.ssh_agent import agent_signers


def generate(path: Path, comment: str) -> str:
    """Make a log key as `path` (0600) and `path`.pub; return its public line for the roster.

    Raises:
        UsageError: one of the files exists already, or cannot be made.
    """
    return generate_file(path, None, comment, allow_plain=True)


def find(path: Path | None, public_line: str, environ: Mapping[str, str]) -> Signer:
    """Return the signer of the log key that the roster lists for this executor.

    Raises:
        NotAuthorised: the file is open to others, encrypted, or another key; or the ssh-agent lacks it.
        Unreachable: the ssh-agent does not answer.
    """
    wanted = PublicKey.parse(public_line)
    if path is not None:
        return _from_file(path, wanted)
    socket = environ.get("SSH_AUTH_SOCK", "")
    for signer in agent_signers(socket) if socket else ():
        if signer.key == wanted:
            return signer
    raise NotAuthorised(
        f"the log key {wanted.fingerprint} is in no file and in no ssh-agent",
        remedy="name its file in breakglass.yaml, or load it into the ssh-agent of this account",
    )


def _from_file(path: Path, wanted: PublicKey) -> Signer:
    header = read_header(read_private(path))
    if header.encrypted:
        raise NotAuthorised(
            "the log key is encrypted, and nobody is there to type its passphrase",
            where=str(path),
            remedy="load it into an ssh-agent of this account, or keep it plain and 0600",
        )
    if header.key != wanted:
        raise NotAuthorised(
            f"the file holds {header.key.fingerprint}, the roster lists {wanted.fingerprint}", where=str(path)
        )
    return FileSigner(path, _no_passphrase, allow_plain=True)


def _no_passphrase() -> bytes:
    raise UsageError("a log key has no passphrase")
