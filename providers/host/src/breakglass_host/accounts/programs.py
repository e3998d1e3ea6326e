"""Asks programs of the host: found on a fixed path, given an argv, no shell, no input and little time."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from breakglass.errors import ProviderError, Transient
from breakglass_host import safepath

PATH = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
PATIENCE_S = 10.0
MAX_SAID = 300


@dataclass(frozen=True, slots=True)
class Done:
    """What a program answered; hostile text until it is parsed."""

    status: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Return its complaint in one line that a terminal can show."""
        words = " ".join((self.err or self.out).split())
        return safepath.shown(words)[:MAX_SAID] or f"exit status {self.status}"


def find(name: str) -> str:
    """Return the absolute path of a program; empty: it is not installed."""
    paths = (f"{folder}/{name}" for folder in PATH)
    return next((path for path in paths if os.access(path, os.X_OK) and Path(path).is_file()), "")


def run(name: str, arguments: Sequence[str], *, stdin: bytes = b"", within_s: float = PATIENCE_S) -> Done:
    """Run a program of the host.

    Raises:
        ProviderError: it is not installed, or cannot be started.
        Transient: it did not answer in time.
    """
    path = find(name)
    if not path:
        raise ProviderError("is not installed", where=name)
    return execute([path, *arguments], stdin=stdin, within_s=within_s)


def execute(argv: Sequence[str], *, stdin: bytes = b"", within_s: float = PATIENCE_S) -> Done:
    """Run an argv whose program is known by its absolute path.

    Raises:
        ProviderError: it cannot be started.
        Transient: it did not answer in time.
    """
    try:
        done = subprocess.run(  # noqa: S603 - an absolute path and an argv, never a shell
            list(argv),
            check=False,
            input=stdin,
            capture_output=True,
            env={"LC_ALL": "C", "PATH": ":".join(PATH)},
            cwd="/",
            timeout=within_s,
        )
    except subprocess.TimeoutExpired as error:
        raise Transient(f"did not answer within {within_s:.0f} s", where=argv[0]) from error
    except OSError as error:
        raise ProviderError(f"cannot be started: {error.strerror}", where=argv[0]) from error
    return Done(
        done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    )
