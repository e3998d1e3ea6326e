"""Runs the programs that build and start the machine of tests and drills (`machine`)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from breakglass.errors import ProviderError, Unsupported

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
NEEDED = ("systemd-nspawn", "ip", "nsenter", "ssh", "ssh-keygen", "mount", "umount", "cp")
"""Debian: systemd-container, iproute2, util-linux, openssh-client, mount, coreutils."""


def path(name: str) -> str:
    """Return where a program lies; empty: it is not installed."""
    return shutil.which(name, path=f"{_PATH}:{os.environ.get('PATH', '')}") or ""


def found(name: str) -> str:
    """Return where a program lies.

    Raises:
        Unsupported: it is not installed.
    """
    where = path(name)
    if not where:
        raise Unsupported(f"{name} is not installed")
    return where


def call(argv: Sequence[str], *, check: bool = True, timeout_s: float = 30.0) -> str:
    """Run a program to its end and return what it printed.

    Raises:
        ProviderError: it failed, or did not end in time.
    """
    environment = {"PATH": _PATH, "LC_ALL": "C", "HOME": "/root"}
    try:
        done = subprocess.run(  # noqa: S603 - our own list, never a shell
            [found(argv[0]), *argv[1:]],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        raise ProviderError(f"{argv[0]} did not end within {timeout_s:.0f} s: {' '.join(argv)}") from error
    if check and done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-400:]
        raise ProviderError(f"{' '.join(argv)}: exit {done.returncode}: {said}")
    return done.stdout
