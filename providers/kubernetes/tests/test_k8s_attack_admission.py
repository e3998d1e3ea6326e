"""Admission policies of the agent's that refuse or change what a stop writes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from breakglass.errors import ProviderError
from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from breakglass_kubernetes.actions import admission_policies, refuse_relaunch
from breakglass_kubernetes.kinds import (
    ADMISSION_BINDINGS,
    ADMISSION_POLICIES,
    DEPLOYMENTS,
    MUTATING_BINDINGS,
    Kind,
)
from breakglass_kubernetes.objects import managers_of
from breakglass_kubernetes.sandbox.api import ApiError
from breakglass_kubernetes.scope import AGENT_LABEL
from providers.kubernetes.tests.rig_k8s import AGENT, SELECTOR, Rig, close, proposal, undo

ACTION = admission_policies.NAME
GROUP = "admissionregistration.k8s.io"
MUTATING = Kind(GROUP, "v1", "mutatingadmissionpolicies", "MutatingAdmissionPolicy", namespaced=False)
MINE = {"labels": {AGENT_LABEL: AGENT}}
MERGE = "application/merge-patch+json"


def constraints(rig: Rig) -> dict[str, Any]:
    """Return what matches every change of a Deployment in the test's namespace."""
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["UPDATE"],
        "resources": ["deployments"],
    }
    space = {"matchLabels": {"kubernetes.io/metadata.name": rig.namespace}}
    return {"resourceRules": [rule], "namespaceSelector": space}


def refuse(rig: Rig, name: str, **about: Any) -> None:  # noqa: ANN401 - JSON
    """Make a policy that refuses every change of a Deployment, and bind it."""
    spec = {"failurePolicy": "Fail", "matchConstraints": constraints(rig)}
    rig.make(ADMISSION_POLICIES, name, {"spec": {**spec, "validations": [{"expression": "false"}]}})
    bound = {"policyName": name, "validationActions": ["Deny"]}
    rig.make(ADMISSION_BINDINGS, name, {"metadata": about, "spec": bound})


def three(rig: Rig, name: str, **about: Any) -> None:  # noqa: ANN401 - JSON
    """Make a policy that sets replicas to three, whoever changes a Deployment to what, and bind it."""
    patch = {"expression": "Object{spec: Object.spec{replicas: 3}}"}
    change = {"patchType": "ApplyConfiguration", "applyConfiguration": patch}
    spec = {"failurePolicy": "Fail", "reinvocationPolicy": "Never", "matchConstraints": constraints(rig)}
    rig.make(MUTATING, name, {"spec": {**spec, "mutations": [change]}})
    rig.make(MUTATING_BINDINGS, name, {"metadata": about, "spec": {"policyName": name}})


def scaled(rig: Rig, replicas: int) -> int:
    """Scale the Deployment; return what came of it: -1 where it was refused."""
    path = DEPLOYMENTS.path(rig.namespace, "bot")
    body = {"spec": {"replicas": replicas}, "metadata": {"annotations": {"n": str(time.monotonic())}}}
    try:
        return int(rig.plane.call("PATCH", path, body, content_type=MERGE)["spec"]["replicas"])
    except ApiError:
        return -1


def until(done: Callable[[], bool], seconds: float = 45) -> None:
    """Wait until the API server has read its policies."""
    end_s = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end_s
        time.sleep(0.1)


def test_policies_that_the_agent_made_refuse_and_change_no_more_until_they_are_put_back(rig: Rig) -> None:
    """Its bindings go before every other step; those of others stay."""
    rig.deployment("bot", replicas=1)
    name = rig.namespace
    refuse(rig, f"no-{name}", **MINE)
    until(lambda: scaled(rig, 2) == -1)
    provider = rig.provider()
    step, action = proposal(provider, ACTION), provider.actions[ACTION]
    everything = provider.discover().proposals
    assert all(step.key in [wait.key for wait in one.after] for one in everything if one.key != step.key)

    prior, _ = close(action, step.target)
    until(lambda: scaled(rig, 2) == 2)
    three(rig, f"three-{name}", **MINE)
    until(lambda: scaled(rig, 2) == 3)
    more, _ = close(action, step.target)
    until(lambda: scaled(rig, 2) == 2)

    reversal = undo(action, step.target, prior | more)
    # The second one was made after the plan: nobody has seen it who signed.
    assert [Outcome.ENDED, Outcome.RESTORED] == sorted(reversal.objects.values())
    assert [] == rig.plane.call("GET", MUTATING_BINDINGS.path())["items"]
    until(lambda: scaled(rig, 1) == -1)
    assert "breakglass" not in managers_of(rig.get(ADMISSION_BINDINGS, f"no-{name}"))
    rig.plane.call("DELETE", ADMISSION_BINDINGS.path("", f"no-{name}"))


def test_the_guard_of_an_earlier_stop_is_no_policy_of_the_agent(rig: Rig) -> None:
    """It carries the agent's label: a second stop would take it away."""
    rig.deployment("bot", replicas=1)
    provider = rig.provider()
    step = proposal(provider, refuse_relaunch.NAME)
    guard = provider.actions[refuse_relaunch.NAME]
    prior, _ = close(guard, step.target)

    found = rig.provider().discover()

    assert ACTION not in [one.action for one in found.proposals]
    assert any("pretends" in one.reason for one in found.not_touched)
    undo(guard, step.target, prior)


def test_a_policy_that_nobody_knows_is_named_when_it_refuses_a_step(rig: Rig) -> None:
    """Then the step is open, and its reason says what is in the way."""
    rig.deployment("bot", replicas=1)
    refuse(rig, f"unknown-{rig.namespace}")
    until(lambda: scaled(rig, 2) == -1)
    provider = rig.provider(namespace=rig.namespace, selector=SELECTOR)
    step = proposal(provider, "kubernetes.apps.scale_to_zero")
    action = provider.actions[step.action]
    state = action.observe(step.target)
    with pytest.raises(ProviderError, match=f"unknown-{rig.namespace}"):
        action.apply(step.target, state, "token")
    assert Verdict.CONTAINED is not action.judge(step.target, action.observe(step.target)).verdict
    rig.plane.call("DELETE", ADMISSION_BINDINGS.path("", f"unknown-{rig.namespace}"))
