"""Key files, as ssh-keygen makes them and as we do: encrypted, private, and slow for nobody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from breakglass.errors import NotAuthorised, UsageError
from breakglass.keys import key_file, sshsig
from breakglass.keys.key_file import FileSigner
from breakglass.keys.public_key import PublicKey
from breakglass.keys.secret_key import SecretKey
from breakglass.keys.wire import u32
from breakglass.model.roster import KeyStore
from tests.trust import ssh

SPACE = sshsig.namespace("plan", "example.com")
SECRET = b"correct horse"


def right(_question: str = "") -> bytes:
    return SECRET


@pytest.mark.parametrize(
    "more", [(), ("-a", "100"), ("-Z", "aes256-gcm@openssh.com"), ("-Z", "aes256-cbc")], ids=str
)
def test_an_encrypted_key_file_of_ssh_keygen_signs(tmp_path: Path, more: tuple[str, ...]) -> None:
    """Any number of rounds and any cipher that ssh-keygen offers and cryptography knows."""
    ssh.openssh()
    ssh.keygen(tmp_path / "key", "ed25519", SECRET.decode(), *more)
    signer = FileSigner(tmp_path / "key", right)

    proof = sshsig.verify(signer.sign(b"plan", SPACE), b"plan", SPACE)

    assert PublicKey.parse((tmp_path / "key.pub").read_text()).blob == proof.blob
    assert KeyStore.FILE is signer.store


def test_the_passphrase_is_asked_for_once_and_only_to_sign(tmp_path: Path) -> None:
    """Looking at the public half asks nobody; two signatures ask once."""
    key_file.generate(tmp_path / "key", SECRET, "alice")
    asked: list[str] = []

    def ask() -> bytes:
        asked.append("passphrase")
        return SECRET

    signer = FileSigner(tmp_path / "key", ask)
    line, before = signer.public_line, len(asked)
    signer.sign(b"one", SPACE)
    signer.sign(b"two", SPACE)

    assert ("ssh-ed25519", 0, 1) == (line.split()[0], before, len(asked))


def test_a_wrong_passphrase_is_said_to_be_one(tmp_path: Path) -> None:
    """With the file that it was for."""
    key_file.generate(tmp_path / "key", SECRET, "alice")
    signer = FileSigner(tmp_path / "key", lambda: b"wrong")

    with pytest.raises(NotAuthorised, match="wrong passphrase") as caught:
        signer.sign(b"plan", SPACE)

    assert str(tmp_path / "key") == caught.value.where


def test_ssh_keygen_opens_the_file_that_we_make(tmp_path: Path) -> None:
    """A key of `operator new` is an ordinary OpenSSH key, encrypted, 0600."""
    ssh.openssh()
    line = key_file.generate(tmp_path / "key", SECRET, "alice@example.com")

    assert line == ssh.public_of(tmp_path / "key", SECRET.decode())
    assert f"{line} alice@example.com\n" == (tmp_path / "key.pub").read_text()
    assert 0o600 == (tmp_path / "key").stat().st_mode & 0o777


def test_an_unencrypted_operator_key_is_refused(tmp_path: Path) -> None:
    """And the remedy is the command that gives it a passphrase."""
    ssh.openssh()
    ssh.keygen(tmp_path / "key")

    with pytest.raises(NotAuthorised, match="the private key is not encrypted") as caught:
        FileSigner(tmp_path / "key", right)

    assert f"give it a passphrase: ssh-keygen -p -f {tmp_path / 'key'}" == caught.value.remedy


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    """As ssh itself does."""
    key_file.generate(tmp_path / "key", SECRET, "alice")
    (tmp_path / "key").chmod(mode)

    with pytest.raises(NotAuthorised, match=f"others may use the private key \\(mode {mode:04o}\\)"):
        FileSigner(tmp_path / "key", right)


def test_a_pipe_and_a_folder_are_no_key_files(tmp_path: Path) -> None:
    """Nothing hangs on a name that is not a file."""
    os.mkfifo(tmp_path / "pipe", 0o600)

    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(NotAuthorised, match="not a plain file"):
            FileSigner(path, right)
    with pytest.raises(NotAuthorised, match="cannot read the private key: No such file"):
        FileSigner(tmp_path / "none", right)


def test_a_key_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """Only the owner of a file signs with it."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    key_file.generate(tmp_path / "key", SECRET, "alice")
    os.chown(tmp_path / "key", 65534, 65534)

    with pytest.raises(NotAuthorised, match="belongs to somebody else"):
        FileSigner(tmp_path / "key", right)


def test_a_file_that_asks_for_hours_of_bcrypt_is_refused(tmp_path: Path) -> None:
    """The number of rounds stands in the clear part; a hostile one is refused before it is tried."""
    pem = SecretKey.generate().to_pem(SECRET)
    blob = sshsig.dearmor(_as_signature(pem))
    at = blob.index(b"bcrypt") + len(b"bcrypt") + 4 + 4 + 16
    slow = blob[:at] + u32(2**31) + blob[at + 4 :]
    text = sshsig.armor(slow).replace(b"SSH SIGNATURE", b"OPENSSH PRIVATE KEY")
    (tmp_path / "key").write_bytes(text)
    (tmp_path / "key").chmod(0o600)

    with pytest.raises(NotAuthorised, match="asks for 2147483648 rounds of bcrypt"):
        FileSigner(tmp_path / "key", right)


def _as_signature(pem: bytes) -> bytes:
    return pem.replace(b"OPENSSH PRIVATE KEY", b"SSH SIGNATURE")


def test_a_file_whose_two_halves_do_not_belong_together_is_refused() -> None:
    """The public half in front of the encrypted part is not believed."""
    mine, other = SecretKey.generate(), SecretKey.generate()
    blob = sshsig.dearmor(_as_signature(mine.to_pem(None)))
    mixed = blob.replace(mine.public.blob, other.public.blob, 1)

    with pytest.raises(NotAuthorised):
        SecretKey.from_pem(sshsig.armor(mixed).replace(b"SSH SIGNATURE", b"OPENSSH PRIVATE KEY"), None)


@pytest.mark.parametrize("text", [b"", b"PuTTY-User-Key-File-3: ssh-ed25519", b"x" * 20_000])
def test_what_is_no_openssh_key_is_refused(text: bytes) -> None:
    """With the command that makes one."""
    with pytest.raises(NotAuthorised, match="not a private key in OpenSSH's format"):
        SecretKey.from_pem(text, None)


def test_making_a_key_overwrites_nothing(tmp_path: Path) -> None:
    """Neither half; and a passphrase must be worth its name."""
    (tmp_path / "key").write_text("precious")

    with pytest.raises(UsageError, match="File exists"):
        key_file.generate(tmp_path / "key", SECRET, "alice")
    with pytest.raises(UsageError, match="needs a passphrase"):
        key_file.generate(tmp_path / "other", None, "alice")
    with pytest.raises(UsageError, match="shorter than 8 bytes"):
        key_file.generate(tmp_path / "other", b"short", "alice")

    assert "precious" == (tmp_path / "key").read_text()
