"""A namespace is handed out only when the controllers have put their own into it."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

from breakglass_kubernetes.sandbox.process import Sandbox
from providers.kubernetes.tests.planes_k8s import OWN

PLANE = OWN  # its controller manager is paused


def manager(plane: Sandbox) -> int:
    """Return the process of the controller manager."""
    mark = f"--kubeconfig={plane.folder / 'manager.kubeconfig'}".encode()
    [found] = [
        int(said.parent.name)
        for said in Path("/proc").glob("[0-9]*/cmdline")
        if mark in said.read_bytes().split(b"\0")
    ]
    return found


def test_a_namespace_is_whole_when_it_is_handed_out(plane: Sandbox) -> None:
    """On a busy machine its default account came after the listing that a restore was compared with."""
    pid = manager(plane)
    os.kill(pid, signal.SIGSTOP)
    making = threading.Thread(target=plane.make_namespace, args=("late",))
    try:
        making.start()
        making.join(2)
        waits = making.is_alive()
    finally:
        os.kill(pid, signal.SIGCONT)
    making.join(60)

    assert waits
    assert plane.call("GET", "/api/v1/namespaces/late/serviceaccounts/default")
