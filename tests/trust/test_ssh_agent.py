"""The ssh-agent client: a real one, an emulated token behind one, and hostile answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from breakglass.clock import SystemClock
from breakglass.errors import NotAuthorised, Unreachable
from breakglass.keys import sshsig
from breakglass.keys.ssh_agent import agent_signers
from breakglass.keys.wire import string, u32
from breakglass.model.roster import KeyStore
from tests.trust import ssh
from tests.trust.fido import Token, holding, serving

SPACE = sshsig.namespace("plan", "example.com")
SECRET = b"correct horse"


def test_a_real_ssh_agent_signs(tmp_path: Path) -> None:
    """List, sign, verify; keys of other types are left out."""
    ssh.openssh()
    with ssh.real_agent(tmp_path) as socket:
        for kind in ("ed25519", "ecdsa", "rsa"):
            ssh.keygen(tmp_path / kind, kind)
            ssh.load(socket, tmp_path / kind)
        signers = agent_signers(socket)
        signed = [signer.sign(b"plan", SPACE) for signer in signers]

    assert ["ssh-ed25519", "ecdsa-sha2-nistp256"] == [signer.key.type for signer in signers]
    assert ["a person", "a person"] == [signer.comment for signer in signers]
    for signer, armored in zip(signers, signed, strict=True):
        assert signer.key.blob == sshsig.verify(armored, b"plan", SPACE).blob


def test_a_token_behind_an_ssh_agent_is_hardware(tmp_path: Path) -> None:
    """Its store is fido2, and the proof carries the touch."""
    token = Token()
    with serving(tmp_path / "s", holding([token])) as socket:
        (signer,) = agent_signers(socket)
        proof = sshsig.verify(signer.sign(b"plan", SPACE), b"plan", SPACE)

    assert (KeyStore.FIDO2, True) == (signer.store, proof.user_present)


KEY = Token()
LISTED = u32(1) + string(KEY.key.blob) + string(b"x")


def listing_then(reply: bytes) -> Callable[[bytes], bytes]:
    """Answer the list truly, and the request to sign with `reply`."""
    return lambda body: string(b"\x0c" + LISTED) if body[0] == 11 else reply


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (string(b"\x05"), "the ssh-agent refused"),
        (string(b"\x06"), "answered with message 6"),
        (u32(0), "announced 0 bytes"),
        (u32(2**31), "announced 2147483648 bytes"),
        (string(b"\x0e" + u32(9999)), "is cut short"),
        (string(b"\x0e" + string(b"abc") + b"!"), "trailing bytes"),
        (string(b"\x0e" + string(b"abc")), "cut short"),
        (string(b"\x0e" + string(Token().wire_signature(b"x"))), "does not match the signed bytes"),
        (u32(100) + b"short", "hung up|does not answer"),
    ],
    ids=range(9),
)
def test_nothing_that_a_hostile_ssh_agent_answers_is_believed(
    tmp_path: Path, reply: bytes, reason: str
) -> None:
    """Lies about sizes, other messages, and signatures that do not verify."""
    with serving(tmp_path / "s", listing_then(reply)) as socket:
        (signer,) = agent_signers(socket, timeout_s=0.5)
        with pytest.raises((NotAuthorised, Unreachable), match=reason):
            signer.sign(b"plan", SPACE)


def test_an_ssh_agent_that_claims_a_million_keys_is_refused(tmp_path: Path) -> None:
    """The count is held before a single key is read."""
    with (
        serving(tmp_path / "s", lambda _body: string(b"\x0c" + u32(1_000_000))) as socket,
        pytest.raises(NotAuthorised, match="claims to hold 1000000 keys"),
    ):
        agent_signers(socket)


def test_an_ssh_agent_that_never_answers_does_not_hold_us_up(tmp_path: Path) -> None:
    """Bytes that drip in do not prolong the wait either."""
    clock = SystemClock()
    with serving(tmp_path / "s", listing_then(u32(1000) + b"drip")) as socket:
        (signer,) = agent_signers(socket, timeout_s=0.3)
        begun = clock.monotonic_s()
        with pytest.raises(Unreachable, match="does not answer"):
            signer.sign(b"plan", SPACE)

    assert clock.monotonic_s() - begun < 2.0


def test_no_ssh_agent_says_how_to_start_one(tmp_path: Path) -> None:
    """Exit 69, with the command."""
    with pytest.raises(Unreachable, match="no ssh-agent: No such file") as caught:
        agent_signers(str(tmp_path / "none"))

    assert "eval $(ssh-agent)" in caught.value.remedy
