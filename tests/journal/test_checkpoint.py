"""Sealing: the published RFC 6962 roots, stock ssh-keygen, a POSIX shell, and what `journal verify` finds."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from breakglass.errors import RecordDamaged, UsageError
from breakglass.journal.chain import merkle_root
from breakglass.journal.checkpoint import Checkpoint, origin
from breakglass.journal.reader import read_checkpoint, read_sealed
from breakglass.journal.sealing import KEY_NOT_PINNED, NOT_SEALED, seal, verify_folder
from breakglass.journal.writer import Journal
from breakglass.keys.key_file import FileSigner
from breakglass.keys.sshsig import PublicKey
from tests.backends import need
from tests.journal.making import CLOCK, ORG, log_signer, sealed_folder

# The leaves and tree heads that the Certificate Transparency project tests its implementations with
# (certificate-transparency/merkletree/merkle_tree_test.cc).
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SHELL = Path(__file__).with_name("verify_journal.sh")


@pytest.fixture
def signer(tmp_path: Path) -> FileSigner:
    """Make a log key."""
    return log_signer(tmp_path)


@pytest.fixture
def sealed(tmp_path: Path, signer: FileSigner) -> Path:
    """Make a sealed folder of six records."""
    return sealed_folder(tmp_path / "INC-1", signer)


def test_the_root_is_the_one_of_rfc_6962() -> None:
    """All nine published tree heads, from the empty tree to eight leaves."""
    assert ROOTS == [merkle_root(LEAVES[:size]).hex() for size in range(9)]


def test_a_checkpoint_is_the_text_of_c2sp(sealed: Path) -> None:
    """Origin, size, root; one line each; the origin names org, executor and incident."""
    text = (sealed / "checkpoint").read_bytes()
    first, size, root = text.decode().splitlines()

    assert ("example.com/bastion-1/INC-1", "6", 44) == (first, size, len(root))
    assert text == read_checkpoint(sealed).to_bytes()
    assert 6 == len(read_sealed(sealed).records)


@pytest.mark.parametrize(
    "parts", [("a/b", "x", "y"), ("", "x", "y"), ("a", "two words", "y"), ("a", "x", "\n")]
)
def test_an_origin_is_one_word_and_its_org_has_no_slash(parts: tuple[str, str, str]) -> None:
    """The namespace of the signature is made of its first part, so that part must be plain."""
    with pytest.raises(UsageError):
        origin(*parts)


def test_a_later_run_has_an_origin_of_its_own() -> None:
    """Two logs never share a name, or a witness would see a split view."""
    assert "example.com/bastion-1/INC-1/1-restore" == origin(ORG, "bastion-1", "INC-1", "1-restore")


def test_stock_ssh_keygen_accepts_the_signature(sealed: Path, signer: FileSigner) -> None:
    """The third party needs no breakglass: namespace, key and bytes hold, one more byte does not."""
    need("ssh-keygen", shutil.which("ssh-keygen") is not None, "no OpenSSH here")
    (sealed / "allowed_signers").write_text(f"bastion-1 {signer.public_line}\n")
    command: list[str | Path] = [
        "ssh-keygen",
        "-Y",
        "verify",
        "-f",
        sealed / "allowed_signers",
        "-I",
        "bastion-1",
    ]
    command += ["-n", f"breakglass-checkpoint-v1@{ORG}", "-s", sealed / "checkpoint.sig"]
    text = (sealed / "checkpoint").read_bytes()

    assert 0 == subprocess.run(command, input=text, capture_output=True, check=False).returncode
    assert 0 != subprocess.run(command, input=text + b"\n", capture_output=True, check=False).returncode


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 6, 12])
def test_a_posix_shell_verifies_chain_and_root(tmp_path: Path, signer: FileSigner, steps: int) -> None:
    """With sha256sum alone, for trees of every shape; and it sees a change, a cut and a missing newline."""
    folder = sealed_folder(tmp_path / "shell", signer, steps)
    whole = (folder / "journal.jsonl").read_bytes()

    def run() -> tuple[int, str]:
        done = subprocess.run(["sh", SHELL, folder], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.strip()

    assert (0, f"{steps + 1} records, whole") == run()
    for damaged in (whole.replace(b"contained", b"conTained"), whole[:-1], whole + whole):
        (folder / "journal.jsonl").write_bytes(damaged)
        assert 7 == run()[0]


def test_a_whole_folder_verifies_with_a_pinned_key(sealed: Path, signer: FileSigner) -> None:
    """Chain, checkpoint and signature hold, and there is nothing to add."""
    check = verify_folder(sealed, signer.public_line)

    assert check.ok
    assert check.sealed
    assert check.chain_ok
    assert check.checkpoint_ok
    assert check.signature_ok
    assert (6, "example.com/bastion-1/INC-1") == (check.records, check.origin)
    assert PublicKey.parse(signer.public_line).fingerprint == check.key
    assert () == check.notes


def test_without_a_kit_the_key_is_said_not_to_be_pinned(sealed: Path) -> None:
    """The folder's own key proves that nothing changed, not who wrote it."""
    check = verify_folder(sealed, None)

    assert check.ok
    assert not check.key_pinned
    assert (KEY_NOT_PINNED,) == check.notes


def test_another_log_key_is_refused(tmp_path: Path, sealed: Path) -> None:
    """Who swaps journal, checkpoint, signature and log.pub still has not got the pinned key."""
    (tmp_path / "other").mkdir()
    check = verify_folder(sealed, log_signer(tmp_path / "other").public_line)

    assert not check.ok
    assert check.chain_ok
    assert check.checkpoint_ok
    assert not check.signature_ok
    assert "not signed by the log key" in check.problems[0]


@pytest.mark.parametrize("name", ["journal.jsonl", "checkpoint", "checkpoint.sig", "log.pub"])
def test_each_file_is_needed_and_none_can_be_changed(sealed: Path, name: str) -> None:
    """Changed, emptied, replaced by a link: each is a problem; a missing checkpoint is an unsealed run."""
    path = sealed / name
    whole = path.read_bytes()
    for changed in (whole[:-2], whole.replace(whole[20:24], b"xxxx"), b""):
        path.write_bytes(changed)
        assert not verify_folder(sealed, None).ok
    path.unlink()
    gone = verify_folder(sealed, None)
    path.symlink_to("/etc/hostname")

    assert (name == "checkpoint") == gone.ok
    assert (name != "checkpoint") == gone.sealed
    assert not verify_folder(sealed, None).ok


def test_a_signature_for_another_purpose_is_refused(sealed: Path, signer: FileSigner) -> None:
    """The same key over the same bytes in another namespace says nothing about this checkpoint."""
    text = (sealed / "checkpoint").read_bytes()
    (sealed / "checkpoint.sig").write_bytes(signer.sign(text, f"breakglass-plan-v1@{ORG}"))

    assert not verify_folder(sealed, signer.public_line).ok


def test_an_unsealed_run_is_whole_so_far(tmp_path: Path) -> None:
    """It verifies, says that its end cannot be judged, and that a torn tail was never a record."""
    with Journal.create(tmp_path / "journal.jsonl", CLOCK) as journal:
        journal.append("step.started", {})
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(b"torn")
    check = verify_folder(tmp_path, None)

    assert check.ok
    assert not check.sealed
    assert not check.signature_ok
    assert NOT_SEALED in check.notes
    assert any("4 bytes" in note for note in check.notes)


def test_only_a_run_that_said_its_last_word_is_sealed_and_only_once(
    tmp_path: Path, signer: FileSigner
) -> None:
    """No journal, none that goes on, none that is sealed already."""
    folder = tmp_path / "run"
    folder.mkdir()
    name = origin(ORG, "bastion-1", "INC-1")
    with Journal.create(folder / "journal.jsonl", CLOCK) as journal:
        journal.append("step.started", {})
    with pytest.raises(UsageError, match=r"run\.sealed"):
        seal(folder, origin=name, signer=signer)
    with Journal.reopen(folder / "journal.jsonl", CLOCK) as journal:
        journal.append("run.sealed", {})
    seal(folder, origin=name, signer=signer)
    with pytest.raises(UsageError, match="sealed already"):
        seal(folder, origin=name, signer=signer)


def test_a_checkpoint_for_another_journal_does_not_fit(
    tmp_path: Path, sealed: Path, signer: FileSigner
) -> None:
    """A validly signed checkpoint of one run says nothing about another of the same length."""
    other = sealed_folder(tmp_path / "INC-2", signer)
    for name in ("checkpoint", "checkpoint.sig"):
        (sealed / name).write_bytes((other / name).read_bytes())
    check = verify_folder(sealed, signer.public_line)

    assert check.signature_ok
    assert not check.checkpoint_ok
    assert not check.ok
    with pytest.raises(RecordDamaged, match="not those"):
        read_sealed(sealed)


def test_the_text_parses_back() -> None:
    """A checkpoint survives its own text."""
    checkpoint = Checkpoint("a/b/c", 3, b"\x01" * 32)

    assert checkpoint == Checkpoint.from_bytes(checkpoint.to_bytes(), where="x")
