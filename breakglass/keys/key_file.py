"""Key files as stock ssh-keygen makes them: encrypted for a person, plain only for an executor's log key."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from breakglass.errors import NotAuthorised, UsageError
from breakglass.keys.secret_key import MAX_PEM_BYTES, SecretKey, read_header
from breakglass.model.roster import KeyStore

_OTHERS: Final = 0o077
MIN_PASSPHRASE_BYTES: Final = 8


class FileSigner:
    """Signs with a key file; asks for its passphrase once, when it is needed and not before."""

    def __init__(self, path: Path, passphrase: Callable[[], bytes], *, allow_plain: bool = False) -> None:
        """Read and judge the file; nothing is decrypted yet.

        Raises:
            NotAuthorised: others may read it, it is no OpenSSH key, or it is not encrypted.
        """
        self._pem = read_private(path)
        self._path = path
        self._passphrase = passphrase
        self._secret: SecretKey | None = None
        header = read_header(self._pem)
        if not header.encrypted and not allow_plain:
            raise NotAuthorised(
                "the private key is not encrypted",
                where=str(path),
                remedy=f"give it a passphrase: ssh-keygen -p -f {path}",
            )
        if header.key.hardware:
            raise NotAuthorised(
                "the private half of a FIDO key lies in its device",
                where=str(path),
                remedy=f"load it into an ssh-agent: ssh-add {path}",
            )
        self._encrypted = header.encrypted
        self._key = header.key

    @property
    def public_line(self) -> str:
        """Return ``type base64`` of the key."""
        return self._key.line

    @property
    def store(self) -> KeyStore:
        """Return where the key lives."""
        return KeyStore.FILE

    def sign(self, message: bytes, namespace: str) -> bytes:
        """Return an armored SSHSIG over `message`. Raises NotAuthorised: wrong passphrase."""
        if self._secret is None:
            passphrase = self._passphrase() if self._encrypted else None
            try:
                self._secret = SecretKey.from_pem(self._pem, passphrase)
            except NotAuthorised as error:
                raise NotAuthorised(error.what, where=str(self._path), remedy=error.remedy) from error
        return self._secret.sign(message, namespace)


def read_private(path: Path) -> bytes:
    """Return the bytes of a private key file that nobody else can read.

    Raises:
        NotAuthorised: it cannot be read, is no plain file, or belongs or is open to somebody else.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise NotAuthorised(f"cannot read the private key: {error.strerror}", where=str(path)) from error
    try:
        _check_private(os.fstat(handle), path)
        return os.read(handle, MAX_PEM_BYTES + 1)
    finally:
        os.close(handle)


def _check_private(found: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotAuthorised("the private key is not a plain file", where=str(path))
    if found.st_uid != os.geteuid():
        raise NotAuthorised("the private key belongs to somebody else", where=str(path))
    if found.st_mode & _OTHERS:
        raise NotAuthorised(
            f"others may use the private key (mode {stat.S_IMODE(found.st_mode):04o})",
            where=str(path),
            remedy=f"chmod 600 {path}",
        )


def generate(path: Path, passphrase: bytes | None, comment: str, *, allow_plain: bool = False) -> str:
    """Make an Ed25519 key as `path` (0600) and `path`.pub; return the public line without its comment.

    Raises:
        UsageError: no passphrase worth the name, or one of the files exists already.
    """
    if passphrase is None and not allow_plain:
        raise UsageError("a person's key file needs a passphrase")
    if passphrase is not None and len(passphrase) < MIN_PASSPHRASE_BYTES:
        raise UsageError(f"the passphrase is shorter than {MIN_PASSPHRASE_BYTES} bytes")
    if not comment.isprintable():
        raise UsageError("the comment of a key is one printable line")
    secret = SecretKey.generate()
    public = f"{secret.public.line} {comment}".rstrip() + "\n"
    _write_new(path, secret.to_pem(passphrase), 0o600)
    _write_new(path.with_name(path.name + ".pub"), public.encode(), 0o644)
    return secret.public.line


def _write_new(path: Path, data: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    except OSError as error:
        raise UsageError(f"cannot make the file: {error.strerror}", where=str(path)) from error
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(handle)
