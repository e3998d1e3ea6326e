"""A namespace is handed out only when the controllers have put their own into it."""

from __future__ import annotations

import threading

from breakglass_kubernetes.sandbox.process import Sandbox
from providers.kubernetes.tests.managing_k8s import manager_paused


def test_a_namespace_is_whole_when_it_is_handed_out(plane: Sandbox) -> None:
    """On a busy machine its default account came after the listing that a restore was compared with."""
    making = threading.Thread(target=plane.make_namespace, args=("late",))
    with manager_paused(plane):
        making.start()
        making.join(2)
        waits = making.is_alive()
    making.join(60)

    assert waits
    assert plane.call("GET", "/api/v1/namespaces/late/serviceaccounts/default")
