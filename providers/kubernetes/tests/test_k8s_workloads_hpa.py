"""Autoscalers on the real controller: what one does at zero replicas, and that a held one is given back."""

from __future__ import annotations

import time
from typing import Any

from breakglass.clock import SystemClock
from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from breakglass_kubernetes.kinds import AUTOSCALERS, DEPLOYMENTS
from breakglass_kubernetes.objects import managers_of
from breakglass_kubernetes.sandbox.flags import HPA_SYNC_S
from providers.kubernetes.tests.rig_k8s import Rig, close, proposal, undo

HOLD = "kubernetes.autoscaling.hold"
SCALE = "kubernetes.apps.scale_to_zero"
POLICY = {"type": "Pods", "value": 2, "periodSeconds": 60}
LONGEST_S = 20.0


def autoscaler(rig: Rig, name: str, aim: str, **spec: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Make an autoscaler without any label of the agent's."""
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
    }
    to = {"apiVersion": "apps/v1", "kind": "Deployment", "name": aim}
    whole = {"scaleTargetRef": to, "minReplicas": 2, "maxReplicas": 5, "metrics": [metric], **spec}
    return rig.make(AUTOSCALERS, name, {"spec": whole})


def reasons(rig: Rig, name: str) -> set[str]:
    """Return what the controller says of an autoscaler, once it has looked."""
    said = rig.get(AUTOSCALERS, name).get("status", {}).get("conditions", [])
    return {one["reason"] for one in said}


def test_an_autoscaler_is_held_and_given_back_with_or_without_a_behavior_of_its_own(rig: Rig) -> None:
    """The server fills in defaults beside what we set; none of them stays."""
    rig.deployment()
    before = {
        "plain": autoscaler(rig, "plain", "bot"),
        "own": autoscaler(rig, "own", "bot", behavior={"scaleUp": {"policies": [POLICY]}}),
        "down": autoscaler(rig, "down", "bot", behavior={"scaleDown": {"policies": [POLICY]}}),
    }
    autoscaler(rig, "neighbour", "somebody-else")
    provider = rig.provider()
    action, found = provider.actions[HOLD], proposal(provider, HOLD).target

    prior, _ = close(action, found)

    assert len(prior) == 3
    for name in before:
        assert rig.get(AUTOSCALERS, name)["spec"]["behavior"]["scaleUp"]["selectPolicy"] == "Disabled"
    assert "behavior" not in rig.get(AUTOSCALERS, "neighbour")["spec"]
    assert set(undo(action, found, prior).objects.values()) == {Outcome.RESTORED}
    for name, original in before.items():
        now = rig.get(AUTOSCALERS, name)
        assert original["spec"] == now["spec"]
        assert "breakglass" not in managers_of(now)


def test_a_behavior_that_somebody_changed_since_is_left_alone(rig: Rig) -> None:
    """Compare-and-set over the whole of it."""
    rig.deployment()
    autoscaler(rig, "own", "bot", behavior={"scaleUp": {"policies": [POLICY]}})
    provider = rig.provider()
    action, found = provider.actions[HOLD], proposal(provider, HOLD).target
    prior, _ = close(action, found)
    change = {"spec": {"behavior": {"scaleUp": {"policies": [{**POLICY, "value": 9}]}}}}
    path = AUTOSCALERS.path(rig.namespace, "own")
    rig.plane.call("PATCH", path, change, content_type="application/merge-patch+json")

    assert [Outcome.DRIFTED] == list(undo(action, found, prior).objects.values())


def test_the_agent_cannot_open_an_autoscaler_unseen(rig: Rig) -> None:
    """It takes the policy away again: not contained, with what it may scale."""
    rig.deployment()
    autoscaler(rig, "plain", "bot")
    provider = rig.provider()
    action, found = provider.actions[HOLD], proposal(provider, HOLD).target
    close(action, found)
    path = AUTOSCALERS.path(rig.namespace, "plain")
    change = {"spec": {"behavior": None}}
    rig.plane.call("PATCH", path, change, content_type="application/merge-patch+json")

    said = action.judge(found, action.observe(found))

    assert said.verdict is Verdict.NOT_CONTAINED
    assert f"may scale Deployment {rig.namespace}/bot from 2 to 5" in said.reason


def test_the_controller_leaves_a_target_at_zero_alone(rig: Rig) -> None:
    """Implicit maintenance mode, on the real controller: it looks, and scales nothing up."""
    rig.deployment()
    autoscaler(rig, "plain", "bot")
    provider = rig.provider()
    action, found = provider.actions[SCALE], proposal(provider, SCALE).target
    close(action, found)

    until = time.monotonic() + LONGEST_S
    while "ScalingDisabled" not in reasons(rig, "plain"):
        assert time.monotonic() < until, reasons(rig, "plain")
        SystemClock().sleep(0.2)
    SystemClock().sleep(HPA_SYNC_S + 1)

    assert "ScalingDisabled" in reasons(rig, "plain")
    assert rig.get(DEPLOYMENTS, "bot")["spec"]["replicas"] == 0
    assert action.judge(found, action.observe(found)).verdict is Verdict.CONTAINED
