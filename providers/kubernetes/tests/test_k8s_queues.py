"""KEDA's pause, by its custom resources on a real API server; no KEDA controller runs."""

from __future__ import annotations

import time
from typing import Any

from breakglass.model.action import Verdict
from breakglass.model.resource import State
from breakglass.provider import Outcome
from breakglass_kubernetes.actions import keda_pause
from breakglass_kubernetes.custom import custom_kinds
from breakglass_kubernetes.kinds import CUSTOM_RESOURCES, Kind
from breakglass_kubernetes.objects import managers_of
from providers.kubernetes.tests.planes_k8s import CUSTOM
from providers.kubernetes.tests.rig_k8s import Rig, close, proposal, template, undo

PLANE = CUSTOM
OBJECTS = Kind("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject")
SCALED_JOBS = Kind("keda.sh", "v1alpha1", "scaledjobs", "ScaledJob")
REPLICAS, PAUSED = "autoscaling.keda.sh/paused-replicas", "autoscaling.keda.sh/paused"
TRIGGERS = [{"type": "rabbitmq", "metadata": {"queueName": "work"}}]


def scaler(rig: Rig, name: str, of: str, **annotations: str) -> dict[str, Any]:
    """Make a ScaledObject of a Deployment."""
    about = {"annotations": annotations} if annotations else {}
    spec = {"scaleTargetRef": {"name": of}, "triggers": TRIGGERS}
    return rig.make(OBJECTS, name, {"metadata": about, "spec": spec})


def test_without_keda_it_is_said_that_queues_are_paused_where_they_live(rig: Rig) -> None:
    """No step, and one line that an operator can act on. Runs first: nothing is installed yet."""
    rig.deployment("worker")
    found = rig.provider().discover()

    assert [] == [one.key for one in found.proposals if one.action == keda_pause.NAME]
    assert any("paused where it lives" in one.reason for one in found.not_touched)
    assert not found.incomplete


def test_what_scales_the_agents_work_is_paused_and_nothing_else(rig: Rig) -> None:
    """By its target's name, by its own pods' labels, and with annotations restored exactly."""
    rig.plane.install("keda")
    rig.deployment("worker")
    plain = scaler(rig, "by-target", "worker")
    paused = scaler(rig, "at-four", "worker", **{REPLICAS: "4", "example.com/owner": "team"})
    other = scaler(rig, "others", "not-the-agents")
    ref = {"template": template(restartPolicy="Never")}
    batch = rig.make(SCALED_JOBS, "batch", {"spec": {"jobTargetRef": ref, "triggers": TRIGGERS}})
    provider = rig.provider()
    step, action = proposal(provider, keda_pause.NAME), provider.actions[keda_pause.NAME]
    prior, _ = close(action, step.target)

    assert {"by-target", "at-four", "batch"} == {key.rpartition("/")[2] for key in prior}
    assert "0" == rig.get(OBJECTS, "by-target")["metadata"]["annotations"][REPLICAS]
    assert "0" == rig.get(OBJECTS, "at-four")["metadata"]["annotations"][REPLICAS]
    assert "true" == rig.get(SCALED_JOBS, "batch")["metadata"]["annotations"][PAUSED]
    assert other == rig.get(OBJECTS, "others")

    said = undo(action, step.target, prior)

    assert {Outcome.RESTORED} == set(said.objects.values())
    for kind, before in ((OBJECTS, plain), (OBJECTS, paused), (SCALED_JOBS, batch)):
        now = rig.get(kind, before["metadata"]["name"])
        assert before["spec"] == now["spec"]
        assert before["metadata"].get("annotations") == now["metadata"].get("annotations")
        assert "breakglass" not in managers_of(now)


def test_a_definition_that_vanishes_takes_its_objects_with_it(rig: Rig) -> None:
    """In the middle of a stop: contained, since nothing is left; at the restore it has drifted."""
    rig.plane.install("keda")
    rig.deployment("worker")
    scaler(rig, "soon-gone", "worker")
    provider = rig.provider()
    assert {"scaledobjects.keda.sh", "scaledjobs.keda.sh"} <= custom_kinds(provider.cluster).keys()
    step, action = proposal(provider, keda_pause.NAME), provider.actions[keda_pause.NAME]
    prior, _ = close(action, step.target)
    for name in ("scaledobjects.keda.sh", "scaledjobs.keda.sh"):
        rig.plane.call("DELETE", CUSTOM_RESOURCES.path("", name))
    until = time.monotonic() + 30
    while OBJECTS.name in custom_kinds(provider.cluster, ("keda.sh",)) and time.monotonic() < until:
        time.sleep(0.1)
    _, state = close(action, step.target, rounds=20)

    assert {} == state.objects
    assert action.judge(step.target, state).verdict is Verdict.CONTAINED
    said = action.revert(step.target, State(prior), state)
    assert {Outcome.DRIFTED} == set(said.objects.values())
