"""The stock OpenSSH tools, as a third party would use them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.backends import need


def openssh() -> None:
    """Skip where OpenSSH is not installed."""
    need("openssh", shutil.which("ssh-keygen") is not None, "ssh-keygen is not installed")


def keygen(path: Path, kind: str = "ed25519", passphrase: str = "", *more: str) -> None:
    """Make a key file the way a person does."""
    arguments = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "a person", "-f", str(path), *more]
    subprocess.run(arguments, check=True, stdin=subprocess.DEVNULL)


def sign(
    key: Path, message: bytes, space: str, *more: str, environ: Mapping[str, str] | None = None
) -> bytes:
    """Return what ``ssh-keygen -Y sign`` writes."""
    done = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-n", space, "-f", str(key), *more],
        input=message,
        capture_output=True,
        check=True,
        env={**os.environ, **(environ or {})},
    )
    return done.stdout


def verify(
    folder: Path, allowed: bytes, who: str, space: str, signature: bytes, message: bytes, *more: str
) -> bool:
    """Ask ``ssh-keygen -Y verify`` whether the signature is good."""
    (folder / "allowed_signers").write_bytes(allowed)
    (folder / "one.sig").write_bytes(signature)
    files = ["-f", str(folder / "allowed_signers"), "-s", str(folder / "one.sig")]
    done = subprocess.run(
        ["ssh-keygen", "-Y", "verify", "-I", who, "-n", space, *files, *more],
        input=message,
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


@contextmanager
def real_agent(folder: Path) -> Iterator[str]:
    """Run a stock ssh-agent in the foreground on a socket of its own."""
    path = folder / "real-agent.sock"
    with subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            if process.stdout is not None:
                process.stdout.readline()
            yield str(path)
        finally:
            process.terminate()


def load(agent: str, key: Path) -> None:
    """Load a key into an ssh-agent."""
    subprocess.run(
        ["ssh-add", "-q", str(key)],
        check=True,
        env={**os.environ, "SSH_AUTH_SOCK": agent},
        stderr=subprocess.DEVNULL,
    )


def certify(authority: Path, public: Path) -> None:
    """Have a certificate authority sign a public key."""
    subprocess.run(
        ["ssh-keygen", "-q", "-s", str(authority), "-I", "id", "-n", "alice", str(public)],
        check=True,
        stdin=subprocess.DEVNULL,
    )


def public_of(key: Path, passphrase: str) -> str:
    """Have ssh-keygen open a private key and return its public line, without the comment."""
    done = subprocess.run(
        ["ssh-keygen", "-y", "-P", passphrase, "-f", str(key)], capture_output=True, check=True, text=True
    )
    return " ".join(done.stdout.split()[:2])
