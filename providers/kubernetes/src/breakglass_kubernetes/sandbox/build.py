"""Finds etcd, kube-apiserver and kube-controller-manager, and builds what is absent, once a machine.

They come from KUBEBUILDER_ASSETS where that is set (envtest's convention: a folder with `etcd` and
`kube-apiserver`, and no controller manager), else from the user's cache.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from breakglass.errors import ProviderError, Unsupported
from breakglass_kubernetes.sandbox import compiler, pins

BUILD_COMMAND = "python -m breakglass_kubernetes.sandbox --build"
ASSETS = "KUBEBUILDER_ASSETS"
_ANSWER_S = 20.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the three programs are."""

    etcd: Path
    api_server: Path
    manager: Path


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Return where programs are kept.

    Raises:
        Unsupported: neither XDG_CACHE_HOME nor HOME says where.
    """
    named = environment.get("XDG_CACHE_HOME", "")
    if os.path.isabs(named):  # noqa: PTH117 - of a text that may be empty
        return Path(named) / "breakglass"
    home = environment.get("HOME", "")
    if not home:
        raise Unsupported(
            "there is no cache for the sandbox's programs: neither HOME nor XDG_CACHE_HOME is set",
            remedy="set XDG_CACHE_HOME to a folder of yours",
        )
    return Path(home) / ".cache" / "breakglass"


def find(environment: Mapping[str, str]) -> Programs:
    """Return the programs without building anything.

    Raises:
        Unsupported: one is absent; the remedy says how to get it.
    """
    places = _places(environment)
    absent = [name for name, path in places.items() if not _usable(path)]
    if absent:
        raise Unsupported(
            f"the Kubernetes sandbox lacks {', '.join(absent)}",
            remedy=f"{BUILD_COMMAND} (some minutes, once)",
        )
    return _programs(places)


def ensure(environment: Mapping[str, str], say: Say) -> Programs:
    """Return the programs; build what is absent. Of two builders one waits.

    Raises:
        Unsupported: there is nothing to build with, or what is there does not fit.
        ProviderError: the build failed.
    """
    places = _places(environment)
    if all(_usable(path) for path in places.values()):
        return _programs(places)
    folder = _folder(environment)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.with_name(f"{folder.name}.lock"), say):
        for rest in folder.parent.glob(f"{folder.name}.building-*"):
            shutil.rmtree(rest)
        absent = [program for program in pins.PROGRAMS if not _usable(places[program.name])]
        if absent:
            folder.mkdir(mode=0o755, exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix=f"{folder.name}.building-", dir=folder.parent))
            try:
                compiler.build(absent, work, folder, environment, say)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return find(environment)


def _places(environment: Mapping[str, str]) -> dict[str, Path]:
    """Return where each program is, or would be.

    Raises:
        Unsupported: the assets hold an API server that the controller manager does not fit.
    """
    folder = _folder(environment)
    places = {program.name: folder / program.name for program in pins.PROGRAMS}
    assets = environment.get(ASSETS, "")
    if assets:
        for program in pins.PROGRAMS:
            given = Path(assets) / program.name
            if given.exists():
                places[program.name] = given
        _fitting(places, Path(assets))
    return places


def _fitting(places: Mapping[str, Path], assets: Path) -> None:
    """Refuse an API server of another minor version than the manager's (Kubernetes, "Version Skew Policy").

    Raises:
        Unsupported: it is of another one, or does not say which.
    """
    server, manager = places[pins.API_SERVER.name], places[pins.MANAGER.name]
    if server.parent != assets or manager.parent == assets:
        return
    version = version_of(server)
    if version.split(".")[:2] != pins.KUBERNETES.split(".")[:2]:
        minor = pins.KUBERNETES.rpartition(".")[0]
        raise Unsupported(
            f"{ASSETS} has kube-apiserver {version} and no kube-controller-manager; "
            f"one of {minor} can be built",
            remedy=f"unset {ASSETS}, point it at {minor}.x, or put a matching kube-controller-manager in it",
        )


def version_of(program: Path) -> str:
    """Ask a Kubernetes program for its version.

    Raises:
        Unsupported: it does not run, or says none.
    """
    try:
        said = subprocess.run(  # noqa: S603 - a program that the user pointed at
            [program, "--version"], capture_output=True, text=True, timeout=_ANSWER_S, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise Unsupported(f"{program} does not run: {error}") from error
    found = re.match(r"Kubernetes v(\d+\.\d+\.\S+)", said)
    if found is None:
        raise Unsupported(f"{program} --version says no version: {said[:80]!r}")
    return found[1]


def _folder(environment: Mapping[str, str]) -> Path:
    return cache_folder(environment) / f"kubernetes-{pins.digest()}"


def _programs(places: Mapping[str, Path]) -> Programs:
    return Programs(*(places[program.name] for program in pins.PROGRAMS))


def _usable(path: Path) -> bool:
    """Say whether it is a program that nobody but this user and root can have put there."""
    try:
        found = path.stat()
    except OSError:
        return False
    others = stat.S_IWGRP | stat.S_IWOTH
    own = found.st_uid in {0, os.geteuid()} and not found.st_mode & others
    return own and stat.S_ISREG(found.st_mode) and os.access(path, os.X_OK)


@contextmanager
def _alone(lock: Path, say: Say) -> Iterator[None]:
    """Hold a lock that ends with this process.

    Raises:
        ProviderError: the cache cannot be written.
    """
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ProviderError(f"the cache cannot be written: {error}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build is under way; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
