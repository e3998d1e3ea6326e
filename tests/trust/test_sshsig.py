"""SSHSIG, both ways with the stock ssh-keygen, and the holes of other verifiers as regression tests."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from breakglass.errors import NotAuthorised
from breakglass.keys import sshsig
from breakglass.keys.key_file import FileSigner, generate
from breakglass.keys.public_key import PublicKey
from breakglass.keys.secret_key import SecretKey
from breakglass.keys.wire import mpint, string, u32
from tests.trust import ssh
from tests.trust.fido import TOUCHED, VERIFIED, Token, holding, serving

SPACE = sshsig.namespace("plan", "example.com")
MESSAGE = b'{"type":"plan"}'
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def allowed(who: str, key: PublicKey) -> bytes:
    return f'{who} namespaces="{SPACE}" {key.line}\n'.encode()


def refusal(armored: bytes, message: bytes = MESSAGE, space: str = SPACE) -> str:
    with pytest.raises(NotAuthorised) as caught:
        sshsig.verify(armored, message, space)
    return caught.value.what


def envelope(  # noqa: PLR0913 - each field of the format, so that a test can spoil one
    secret: SecretKey,
    *,
    magic: bytes = b"SSHSIG",
    version: int = 1,
    space: bytes = SPACE.encode(),
    reserved: bytes = b"",
    hash_name: str = "sha512",
    inner_type: bytes = b"ssh-ed25519",
    inner_tail: bytes = b"",
    tail: bytes = b"",
) -> bytes:
    """Return a signature that is valid but for the field that the caller spoiled."""
    digest = hashlib.new(hash_name, MESSAGE).digest()
    data = b"SSHSIG" + string(space) + string(reserved) + string(hash_name.encode()) + string(digest)
    raw = bytes(secret._private.sign(data))  # type: ignore[call-arg]  # noqa: SLF001 - Ed25519 in these tests
    inner = string(inner_type) + string(raw) + inner_tail
    fields = (secret.public.blob, space, reserved, hash_name.encode(), inner)
    return sshsig.armor(magic + u32(version) + b"".join(string(item) for item in fields) + tail)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_signature_by_ssh_keygen_is_accepted(tmp_path: Path, kind: str) -> None:
    """What stock ssh-keygen signs with a file key verifies here, under the key's own fingerprint."""
    ssh.openssh()
    ssh.keygen(tmp_path / "key", kind)
    key = PublicKey.parse((tmp_path / "key.pub").read_text())

    proof = sshsig.verify(ssh.sign(tmp_path / "key", MESSAGE, SPACE), MESSAGE, SPACE)

    assert (key.blob, key.fingerprint) == (proof.blob, proof.fingerprint)
    assert (False, False) == (proof.user_present, proof.user_verified)


def test_a_signature_over_sha256_by_ssh_keygen_is_accepted(tmp_path: Path) -> None:
    """Both hashes of the format are read."""
    ssh.openssh()
    ssh.keygen(tmp_path / "key")
    armored = ssh.sign(tmp_path / "key", MESSAGE, SPACE, "-O", "hashalg=sha256")

    assert "ssh-ed25519" == sshsig.verify(armored, MESSAGE, SPACE).type


def test_our_signature_is_byte_identical_to_the_one_of_ssh_keygen(tmp_path: Path) -> None:
    """Ed25519 is deterministic, so the whole armored text must be equal."""
    ssh.openssh()
    generate(tmp_path / "key", b"correct horse", "alice")
    signer = FileSigner(tmp_path / "key", lambda: b"correct horse")
    (tmp_path / "plain").write_bytes(SecretKey.from_pem(_pem(tmp_path), b"correct horse").to_pem(None))
    (tmp_path / "plain").chmod(0o600)

    assert ssh.sign(tmp_path / "plain", MESSAGE, SPACE) == signer.sign(MESSAGE, SPACE)


def _pem(folder: Path) -> bytes:
    return (folder / "key").read_bytes()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_ssh_keygen_accepts_our_signature(tmp_path: Path, kind: str) -> None:
    """What we sign with a key that ssh-keygen made, ssh-keygen verifies; of another message it does not."""
    ssh.openssh()
    ssh.keygen(tmp_path / "key", kind, "correct horse")
    signer = FileSigner(tmp_path / "key", lambda: b"correct horse")
    lines = allowed("alice", PublicKey.parse(signer.public_line))
    armored = signer.sign(MESSAGE, SPACE)

    assert ssh.verify(tmp_path, lines, "alice", SPACE, armored, MESSAGE)
    assert not ssh.verify(tmp_path, lines, "alice", SPACE, armored, MESSAGE + b" ")


@pytest.mark.parametrize(
    "token", [Token(), Token.ecdsa(), Token(flags=TOUCHED | VERIFIED)], ids=["ed25519", "ecdsa", "pin"]
)
def test_a_fido_signature_made_through_ssh_keygen_is_accepted(tmp_path: Path, token: Token) -> None:
    """Real ``ssh-keygen -Y sign`` asks an emulated token; the proof carries what the token said."""
    ssh.openssh()
    public = tmp_path / "token.pub"
    public.write_text(token.public_line + " token\n")
    with serving(tmp_path / "s", holding([token])) as socket:
        armored = ssh.sign(public, MESSAGE, SPACE, environ={"SSH_AUTH_SOCK": socket})

    proof = sshsig.verify(armored, MESSAGE, SPACE)

    assert ("ssh:", True) == (proof.application, proof.user_present)
    assert bool(token.flags & VERIFIED) == proof.user_verified
    assert ssh.verify(tmp_path, allowed("bob", token.key), "bob", SPACE, armored, MESSAGE)


@pytest.mark.parametrize("token", [Token(flags=0), Token.ecdsa(flags=0)], ids=["ed25519", "ecdsa"])
def test_a_missing_touch_is_reported_where_ssh_keygen_says_good(tmp_path: Path, token: Token) -> None:
    """``ssh-keygen -Y verify`` accepts flags = 0 in silence; our proof says that nobody touched it."""
    ssh.openssh()
    armored = token.sign(MESSAGE, SPACE)

    assert ssh.verify(tmp_path, allowed("bob", token.key), "bob", SPACE, armored, MESSAGE)
    assert not sshsig.verify(armored, MESSAGE, SPACE).user_present


def test_a_fido_signature_with_a_raised_touch_flag_is_refused() -> None:
    """The flags are signed: turning the bit on afterwards breaks the signature."""
    token = Token(flags=0)
    wire = token.wire_signature(sshsig.to_be_signed(MESSAGE, SPACE))
    forged = wire[:-5] + bytes([TOUCHED]) + wire[-4:]

    assert "does not match" in refusal(sshsig.build(token.key, SPACE, forged))


def test_a_fido_key_is_not_its_plain_twin() -> None:
    """The whole blob is compared: cryptography's loader would call these two keys equal."""
    token = Token()
    twin = PublicKey.from_blob(string(b"ssh-ed25519") + string(token.key.point))
    other = Token(application="ssh:work", _private=token._private)  # noqa: SLF001 - the same key pair

    assert 3 == len({token.key, twin, other.key})


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [
        ({"magic": b"SSHSIX"}, "not an SSH signature"),
        ({"version": 2}, "version 2 is not 1"),
        ({"space": b"git"}, "signed for 'git' instead of"),
        ({"space": b"breakglass-kit-v1@example.com"}, "signed for 'breakglass-kit"),
        ({"space": b"breakglass-plan-v1@evil.example"}, "signed for 'breakglass-plan-v1@evil"),
        ({"reserved": b"x"}, "reserved field"),
        ({"hash_name": "md5"}, "hash 'md5' is not accepted"),
        ({"hash_name": "sha1"}, "hash 'sha1' is not accepted"),
        ({"hash_name": "sha384"}, "hash 'sha384' is not accepted"),
        ({"inner_type": b"ssh-rsa"}, "signature of type 'ssh-rsa' by a key of type 'ssh-ed25519'"),
        ({"inner_type": b"sk-ssh-ed25519@openssh.com"}, "by a key of type 'ssh-ed25519'"),
        ({"inner_tail": b"\0"}, "trailing bytes"),
        ({"tail": b"\0"}, "trailing bytes"),
    ],
    ids=str,
)
def test_each_field_of_the_format_is_held(spoiled: dict[str, object], reason: str) -> None:
    """A signature that is cryptographically good and has one odd field is refused for that field."""
    secret = SecretKey.generate()

    assert reason in refusal(envelope(secret, **spoiled))  # type: ignore[arg-type]  # any field, by name
    assert sshsig.verify(envelope(secret), MESSAGE, SPACE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"-----BEGIN", b"\n-----BEGIN"),
        (b"SIGNATURE-----\n", b"SIGNATURE-----\n\n"),
        (b"\n", b"\r\n"),
        (b"SSH SIGNATURE", b"PGP SIGNATURE"),
        (b"\n-----END", b" \n-----END"),
        (b"-----BEGIN SSH SIGNATURE-----\n", b""),
        (b"-----END SSH SIGNATURE-----\n", b"-----END SSH SIGNATURE-----\n-----BEGIN SSH SIGNATURE-----\n"),
    ],
    ids=str,
)
def test_the_armor_is_strict(old: bytes, new: bytes) -> None:
    """One signature, one spelling: nothing before, after or between."""
    text = SecretKey.generate().sign(MESSAGE, SPACE)

    assert "not an armored SSH signature" == refusal(text.replace(old, new))


def test_a_very_long_signature_is_refused_unread() -> None:
    """No signature of the four types is anywhere near the cap."""
    assert "signature is too long" == refusal(sshsig.armor(b"x" * 8192))


def test_base64_has_one_spelling() -> None:
    """Bits that base64 ignores at its end must be zero, or one signature would have many names."""
    text = sshsig.armor(b"ab")

    assert b"ab" == sshsig.dearmor(text)
    assert "signature is not in canonical base64" == refusal(text.replace(b"YWI=", b"YWJ="))


def test_key_types_beyond_the_four_are_refused(tmp_path: Path) -> None:
    """RSA and other curves are kept out, so that the verifier stays small."""
    ssh.openssh()
    for kind, bits in (("rsa", "2048"), ("ecdsa", "384")):
        ssh.keygen(tmp_path / f"{kind}{bits}", kind, "", "-b", bits)
        assert "is not accepted" in refusal(ssh.sign(tmp_path / f"{kind}{bits}", MESSAGE, SPACE))


def test_certificates_are_refused(tmp_path: Path) -> None:
    """A certificate is another key type: whoever may sign certificates must not mint operators."""
    ssh.openssh()
    ssh.keygen(tmp_path / "ca")
    ssh.keygen(tmp_path / "key")
    ssh.certify(tmp_path / "ca", tmp_path / "key.pub")

    with pytest.raises(NotAuthorised, match="is not accepted"):
        PublicKey.parse((tmp_path / "key-cert.pub").read_text())


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        (string(b"") + mpint(1), "not positive"),
        (string(b"\0") + mpint(1), "shortest form"),
        (string(b"\x80") + mpint(1), "not positive"),
        (string(b"\0\x01") + mpint(1), "shortest form"),
        (mpint(P256_ORDER) + mpint(1), "beyond the order"),
        (mpint(1) + mpint(P256_ORDER + 5), "beyond the order"),
        (mpint(1) + mpint(1) + b"\0", "trailing bytes"),
        (mpint(1), "cut short"),
        (mpint(1) + mpint(1), "does not match"),
    ],
    ids=range(9),
)
def test_the_numbers_of_ecdsa_are_held(numbers: bytes, reason: str) -> None:
    """Zero, negative, padded and oversized numbers are refused before any curve arithmetic."""
    key = Token.ecdsa().key
    plain = PublicKey.from_blob(string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(key.point))
    wire = string(b"ecdsa-sha2-nistp256") + string(numbers)

    assert reason in refusal(sshsig.build(plain, SPACE, wire))


def test_a_point_that_is_not_on_the_curve_is_refused() -> None:
    """It fails as a refusal and not as an exception of a library."""
    blob = string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(b"\x04" + b"\x01" * 64)
    wire = string(b"ecdsa-sha2-nistp256") + string(mpint(1) + mpint(1))

    assert "cannot be checked" in refusal(sshsig.build(PublicKey.from_blob(blob), SPACE, wire))


def test_an_ecdsa_key_in_memory_signs_what_ssh_keygen_verifies(tmp_path: Path) -> None:
    """P-256 keys are what Secure Enclave and TPM agents offer."""
    ssh.openssh()
    secret = SecretKey._wrap(ec.generate_private_key(ec.SECP256R1()))  # noqa: SLF001 - no file for this one
    armored = secret.sign(MESSAGE, SPACE)

    assert ssh.verify(tmp_path, allowed("alice", secret.public), "alice", SPACE, armored, MESSAGE)


@given(st.binary(max_size=600))
def test_no_bytes_make_the_reader_fail_otherwise_than_by_refusal(data: bytes) -> None:
    """Whatever the envelope holds, the answer is no and never another exception."""
    for armored in (data, sshsig.armor(data or b"x"), sshsig.armor(b"SSHSIG" + u32(1) + data)):
        with pytest.raises(NotAuthorised):
            sshsig.verify(armored, MESSAGE, SPACE)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_no_changed_byte_of_a_signature_is_accepted(at: int, change: int) -> None:
    """Any byte of the envelope, changed in any way, makes it worthless."""
    secret = SecretKey.generate()
    blob = bytearray(sshsig.dearmor(secret.sign(MESSAGE, SPACE)))
    blob[at % len(blob)] ^= change

    with pytest.raises(NotAuthorised):
        sshsig.verify(sshsig.armor(bytes(blob)), MESSAGE, SPACE)
