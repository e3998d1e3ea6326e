"""Pauses the controller manager of a test's control plane, as a loaded one is late."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from breakglass_kubernetes.sandbox.process import Sandbox


@contextmanager
def manager_paused(plane: Sandbox) -> Iterator[None]:
    """Let no controller act meanwhile."""
    pid = _manager(plane)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _manager(plane: Sandbox) -> int:
    mark = f"--kubeconfig={plane.folder / 'manager.kubeconfig'}".encode()
    [found] = [
        int(said.parent.name) for said in Path("/proc").glob("[0-9]*/cmdline") if mark in _arguments(said)
    ]
    return found


def _arguments(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\0")
    except OSError:
        return []  # it has ended
