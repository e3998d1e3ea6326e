"""Controllers that are late: a real one makes so many writes a second, for everybody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from breakglass.model.resource import State
from breakglass.provider import Outcome, Reversal
from breakglass_kubernetes.kinds import DEPLOYMENTS, REPLICA_SETS
from providers.kubernetes.tests.managing_k8s import manager_paused
from providers.kubernetes.tests.rig_k8s import Rig, proposal

ACTION = "kubernetes.apps.scale_to_zero"


def replicas(rig: Rig) -> list[int]:
    """Return the replicas of every ReplicaSet."""
    listed = rig.plane.call("GET", REPLICA_SETS.path(rig.namespace))["items"]
    return [one["spec"]["replicas"] for one in listed]


def until(so: Callable[[], bool]) -> None:
    """Wait for a controller."""
    end = time.monotonic() + 60
    while not so():
        assert time.monotonic() < end
        time.sleep(0.1)


def stopped_late(rig: Rig) -> tuple[Any, Any, State]:
    """Hold a Deployment at zero whose controller is late; return action, target, what was written down."""
    rig.deployment(replicas=2)
    until(lambda: replicas(rig) == [2])
    provider = rig.provider()
    target, action = proposal(provider, ACTION).target, provider.actions[ACTION]
    with manager_paused(rig.plane):
        before = action.observe(target)
        action.apply(target, before, "t")
        for _ in range(20):
            before = State({**action.observe(target).objects, **before.objects})
    until(lambda: replicas(rig) == [0])
    assert len(before.objects) == 2, "the ReplicaSet is written down, too"
    return action, target, before


def reverted(action: Any, target: Any, before: State) -> tuple[threading.Thread, list[Reversal]]:  # noqa: ANN401 - an action, a target
    """Begin to put back."""
    found: list[Reversal] = []
    going = threading.Thread(target=lambda: found.append(action.revert(target, before, before)))
    going.start()
    return going, found


def test_a_replica_set_that_its_deployment_brings_back_late_is_as_before(rig: Rig) -> None:
    """It was never held by us; that it is not up at once is no drift."""
    action, target, before = stopped_late(rig)
    with manager_paused(rig.plane):
        going, found = reverted(action, target, before)
        until(lambda: rig.get(DEPLOYMENTS, "bot")["spec"]["replicas"] == 2)
        going.join(2)
    going.join(60)

    assert Outcome.DRIFTED not in found[0].objects.values(), found[0].objects
    assert replicas(rig) == [2]


def test_a_replica_set_that_does_not_come_back_is_drift(rig: Rig) -> None:
    """Somebody rolled out another version meanwhile: the old ReplicaSet stays at zero, and that is told."""
    action, target, before = stopped_late(rig)
    path = DEPLOYMENTS.path(rig.namespace, "bot")
    version = {"spec": {"template": {"metadata": {"annotations": {"version": "2"}}}}}
    rig.plane.call("PATCH", path, version, content_type="application/merge-patch+json")
    until(lambda: len(replicas(rig)) == 2)
    going, found = reverted(action, target, before)
    going.join(60)

    assert sorted(found[0].objects.values()) == [Outcome.DRIFTED, Outcome.RESTORED]
