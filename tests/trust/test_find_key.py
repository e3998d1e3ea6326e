"""Finding the key of a person, and the log key of an executor."""

from __future__ import annotations

from pathlib import Path

import pytest

from breakglass.errors import NotAuthorised, SignaturesMissing
from breakglass.keys import find, key_file, log_key, sshsig
from breakglass.keys.public_key import PublicKey
from breakglass.keys.secret_key import SecretKey
from breakglass.model.roster import KeyStore, OperatorKey
from tests.trust import ssh
from tests.trust.fido import Token, holding, serving
from tests.trust.team import NOON

SPACE = sshsig.namespace("plan", "example.com")
SECRET = b"correct horse"


def entry(line: str, store: KeyStore = KeyStore.FILE) -> OperatorKey:
    return OperatorKey(line, store, NOON)


def right(_question: str = "") -> bytes:
    return SECRET


def test_a_token_is_preferred_to_a_software_key(tmp_path: Path) -> None:
    """Of two keys of one person in one ssh-agent."""
    soft, hard = Token.ecdsa(), Token()
    entries = [entry(soft.public_line, KeyStore.FIDO2), entry(hard.public_line, KeyStore.FIDO2)]
    plain = SecretKey.generate()
    with serving(tmp_path / "s", holding([soft, hard])) as socket:
        environ = {"SSH_AUTH_SOCK": socket}
        found = find.find_signer([entry(plain.public.line), *entries], environ, None, right)

    assert KeyStore.FIDO2 is found.store


def test_a_named_file_is_used_and_nothing_else(tmp_path: Path) -> None:
    """It must be one of the person's keys."""
    line = key_file.generate(tmp_path / "key", SECRET, "alice")
    other = SecretKey.generate().public.line

    found = find.find_signer([entry(line)], {}, tmp_path / "key", right)

    assert (line, KeyStore.FILE) == (found.public_line, found.store)
    assert sshsig.verify(found.sign(b"plan", SPACE), b"plan", SPACE)
    with pytest.raises(NotAuthorised, match="is not one of the person's keys"):
        find.find_signer([entry(other)], {}, tmp_path / "key", right)


def test_a_key_that_is_nowhere_names_the_places() -> None:
    """Each place that was looked in, and why it had nothing; exit 5."""
    token = Token()

    with pytest.raises(SignaturesMissing, match="none of the person's keys is here; no ssh-agent") as caught:
        find.find_signer([entry(token.public_line)], {}, None, right)

    assert "ssh-add -c FILE" in caught.value.remedy


def test_a_forwarded_ssh_agent_is_warned_of() -> None:
    """Root on the remote machine can ask it to sign anything."""
    remote = {"SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22", "SSH_AUTH_SOCK": "/tmp/s"}  # noqa: S108 - not used

    assert "approve on your own machine" in find.warnings(remote)[0]
    assert () == find.warnings({"SSH_AUTH_SOCK": "/x"})


def test_the_log_key_is_a_plain_file_that_only_its_account_reads(tmp_path: Path) -> None:
    """Made by us, found by the line in the roster, signs without a question."""
    line = log_key.generate(tmp_path / "log.key", "ops-bastion-1")
    space = sshsig.namespace("checkpoint", "example.com")

    signer = log_key.find(tmp_path / "log.key", line, {})

    assert line == signer.public_line
    assert sshsig.verify(signer.sign(b"checkpoint", space), b"checkpoint", space)


def test_a_log_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """It would let them re-sign a journal."""
    line = log_key.generate(tmp_path / "log.key", "ops-bastion-1")
    (tmp_path / "log.key").chmod(0o640)

    with pytest.raises(NotAuthorised, match="others may use the private key"):
        log_key.find(tmp_path / "log.key", line, {})


def test_another_log_key_and_an_encrypted_one_are_refused(tmp_path: Path) -> None:
    """The roster says which key it is; and nobody is there to type a passphrase."""
    log_key.generate(tmp_path / "log.key", "ops-bastion-1")
    line = key_file.generate(tmp_path / "encrypted", SECRET, "x")

    with pytest.raises(NotAuthorised, match="the roster lists"):
        log_key.find(tmp_path / "log.key", line, {})
    with pytest.raises(NotAuthorised, match="the log key is encrypted"):
        log_key.find(tmp_path / "encrypted", line, {})


def test_the_log_key_may_lie_in_an_ssh_agent(tmp_path: Path) -> None:
    """For an executor that has no file; where it is not there either, the error says so."""
    ssh.openssh()
    ssh.keygen(tmp_path / "log")
    line = PublicKey.parse((tmp_path / "log.pub").read_text()).line
    with ssh.real_agent(tmp_path) as socket:
        environ = {"SSH_AUTH_SOCK": socket}
        with pytest.raises(NotAuthorised, match="is in no file and in no ssh-agent"):
            log_key.find(None, line, environ)
        ssh.load(socket, tmp_path / "log")

        assert line == log_key.find(None, line, environ).public_line
