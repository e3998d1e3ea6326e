"""Public keys: four types, one reading, and what is no key is refused with its reason."""

from __future__ import annotations

import base64
import dataclasses

import pytest

from breakglass.authorise.allowed_signers import allowed_signers
from breakglass.errors import NotAuthorised
from breakglass.keys.public_key import PublicKey
from breakglass.keys.secret_key import SecretKey, read_header
from breakglass.keys.sshsig import armor
from breakglass.keys.wire import string, u32
from tests.trust.fido import Token
from tests.trust.team import ORG, make_team


def line(*parts: bytes, name: str = "") -> str:
    """Return the line of a key made of these wire strings."""
    blob = b"".join(string(part) for part in parts)
    return f"{name or parts[0].decode('ascii', 'replace')} {base64.b64encode(blob).decode()}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a public key line"),
        ("ssh-ed25519", "not a public key line"),
        ("ssh-ed25519 !!!!", "not base64"),
        ("ssh-ed25519 AAAAä", "not base64"),
        ("ssh-ed25519 " + "A" * 4000, "too long"),
        (line(b"ssh-ed25519", b"x" * 32, name="ssh-rsa"), "says 'ssh-rsa' and holds ssh-ed25519"),
        (line(b"ssh-rsa", b"\1\0\1", b"x" * 256), "key type 'ssh-rsa' is not accepted"),
        (line(b"ssh-ed25519", b"x" * 31), "has 31 bytes instead of 32"),
        (line(b"ssh-ed25519", b"x" * 32, b""), "trailing bytes"),
        (line(b"ecdsa-sha2-nistp256", b"nistp384", b"x" * 65), "not on curve nistp256"),
        (line(b"sk-ssh-ed25519@openssh.com", b"x" * 32), "cut short"),
        (line(b"sk-ssh-ed25519@openssh.com", b"x" * 32, b"\xff"), "application is not ASCII"),
    ],
    ids=range(12),
)
def test_what_is_no_key_is_refused(text: str, reason: str) -> None:
    """Each for its own reason."""
    with pytest.raises(NotAuthorised) as caught:
        PublicKey.parse(text)

    assert reason in caught.value.what


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (b"openssh-key-v0\0", "not a private key in OpenSSH's format"),
        (b"openssh-key-v1\0" + string(b"none") + string(b"none") + string(b"") + u32(2), "more than one"),
        (
            b"openssh-key-v1\0" + string(b"aes256-ctr") + string(b"pbkdf1") + string(b"") + u32(1),
            "key derivation b'pbkdf1' is not bcrypt",
        ),
    ],
    ids=["magic", "two", "kdf"],
)
def test_an_odd_private_key_is_refused_before_anything_is_tried(fields: bytes, reason: str) -> None:
    """From its clear part alone."""
    pem = armor(fields).replace(b"SSH SIGNATURE", b"OPENSSH PRIVATE KEY")

    with pytest.raises(NotAuthorised) as caught:
        read_header(pem)

    assert reason in caught.value.what


def test_the_stub_of_a_token_is_not_a_key_that_can_sign() -> None:
    """Its file holds a handle only; the remedy is ssh-add."""
    head = b"openssh-key-v1\0" + string(b"none") + string(b"none") + string(b"") + u32(1)
    pem = armor(head + string(Token().key.blob)).replace(b"SSH SIGNATURE", b"OPENSSH PRIVATE KEY")

    with pytest.raises(NotAuthorised, match="lies in its device") as caught:
        SecretKey.from_pem(pem, None)

    assert "ssh-add" in caught.value.remedy


def test_a_roster_line_that_is_no_key_costs_nobody_else_anything() -> None:
    """It can never match: others sign on, and third parties get the rest."""
    team = make_team()
    broken = dataclasses.replace(team.carol.person.keys[0], pub="ssh-ed25519 AAAA")
    carol = dataclasses.replace(team.carol.person, keys=(broken,))
    team = team.with_roster(operators=(team.alice.person, team.bob.person, carol))

    assert team.authorise(team.sign(team.alice, team.bob))
    assert b"carol" not in allowed_signers(team.roster, ORG)
