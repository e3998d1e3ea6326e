"""Builds the file tree that machines of tests and drills start from: a Debian with systemd, once a recipe.

It is kept in the user's cache folder, under the digest of its recipe. A machine never writes to it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from breakglass.errors import ProviderError, Unsupported
from breakglass_host import machine_programs

_FORMAT = 1
"""Raise it when `_finish` changes."""
_BUILD_S = 1800.0
_TOLD_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a tree is made of."""

    suite: str = "bookworm"
    variant: str = "minbase"
    packages: tuple[str, ...] = (
        "systemd",
        "systemd-sysv",
        "dbus",
        "libpam-systemd",
        "cron",
        "at",
        "openssh-server",
        "python3-minimal",
        "libpython3-stdlib",
        "sudo",
        "nftables",
        "iproute2",
    )

    @property
    def digest(self) -> str:
        """Return what tells this recipe from any other."""
        written = json.dumps([_FORMAT, asdict(self)], sort_keys=True).encode()
        return hashlib.sha256(written).hexdigest()[:16]


Say = Callable[[str], None]
Build = Callable[[Recipe, Path, Say], None]


def cache_folder() -> Path:
    """Return where trees are kept."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(named) if os.path.isabs(named) else Path.home() / ".cache") / "breakglass"  # noqa: PTH117 - of a text that may be empty


def cached(recipe: Recipe, cache: Path) -> Path | None:
    """Return the finished tree; None: there is none, or it is not root's own and must not run as root."""
    tree = cache / f"machine-{recipe.digest}" / "root"
    try:
        owner = tree.lstat().st_uid
    except OSError:
        return None
    return tree if owner == 0 else None


def ensure(recipe: Recipe, cache: Path, say: Say, *, build: Build | None = None) -> Path:
    """Return the finished tree; build it when it is not there. Of two builders one waits.

    `build` makes the tree in a folder that is not there yet; without it: debootstrap.

    Raises:
        Unsupported: debootstrap is not installed.
        ProviderError: debootstrap failed.
    """
    if (tree := cached(recipe, cache)) is not None:
        return tree
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    with _alone(cache / f"machine-{recipe.digest}.lock"):
        if (tree := cached(recipe, cache)) is not None:
            return tree
        for rest in cache.glob(f"machine-{recipe.digest}.building-*"):
            shutil.rmtree(rest)
        # Closed to other users: there are setuid programs in it.
        new = Path(tempfile.mkdtemp(prefix=f"machine-{recipe.digest}.building-", dir=cache))
        try:
            (build or _debootstrap)(recipe, new / "root", say)
            _finish(new / "root")
            new.rename(cache / f"machine-{recipe.digest}")
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
    built = cached(recipe, cache)
    if built is None:
        raise ProviderError(f"the tree under {cache} is not root's own")
    return built


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock that ends with this process."""
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _debootstrap(recipe: Recipe, root: Path, say: Say) -> None:
    """Fetch and unpack; the mirror is debootstrap's own default.

    Raises:
        Unsupported: debootstrap is not installed.
        ProviderError: it failed.
    """
    program = machine_programs.path("debootstrap")
    if not program:
        raise Unsupported("debootstrap is not installed (Debian: apt-get install debootstrap)")
    packages = ",".join(recipe.packages)
    argv = [program, f"--variant={recipe.variant}", f"--include={packages}", recipe.suite, str(root)]
    last, told, until = "", 0.0, time.monotonic() + _BUILD_S
    with subprocess.Popen(  # noqa: S603 - our own list
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
    ) as running:
        for line in running.stdout or ():
            last = line.strip() or last
            if time.monotonic() > told + _TOLD_EVERY_S:
                told = time.monotonic()
                say(last)
            if time.monotonic() > until:
                running.kill()
    if running.returncode != 0:
        raise ProviderError(f"debootstrap: exit {running.returncode}: {last}")


def _finish(root: Path) -> None:
    """Take out what every machine must have of its own, and what only filled the disk."""
    for folder in ("var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(root / folder, ignore_errors=True)
        (root / folder).mkdir(parents=True)
    (root / "var/lib/apt/lists/partial").mkdir()
    for path in (root / "var/cache").glob("apt/*.bin"):
        path.unlink()
    for name in ("etc/machine-id", "var/lib/dbus/machine-id", "etc/hostname", "etc/resolv.conf"):
        (root / name).unlink(missing_ok=True)
    for path in (root / "etc/ssh").glob("ssh_host_*"):
        path.unlink()
    # With this folder journald keeps its journal over a reboot (journald.conf(5), Storage=auto).
    (root / "var/log/journal").mkdir(parents=True, exist_ok=True)
