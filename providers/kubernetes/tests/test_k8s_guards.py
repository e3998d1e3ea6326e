"""Nothing of a stopped agent comes to life again: a real API server refuses it by our policy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from breakglass.model.action import Grade, Verdict
from breakglass.provider import Outcome
from breakglass_kubernetes.actions.refuse_relaunch import NAME
from breakglass_kubernetes.cluster import APPLY
from breakglass_kubernetes.kinds import (
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    ROLE_BINDINGS,
    SECRETS,
    SERVICE_ACCOUNTS,
)
from breakglass_kubernetes.sandbox.process import ApiError
from providers.kubernetes.tests.rig_k8s import Rig, close, proposal, template, undo

SETTLE_S = 10.0


@contextmanager
def guarded(rig: Rig, **settings: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Let the guard stand and bite; yield its name; take it away."""
    provider = rig.provider(**settings)
    action, target = provider.actions[NAME], proposal(provider, NAME).target
    prior, last = close(action, target)
    wait_until(lambda: (said := action.probe(target)) is not None and said.verdict is Verdict.CONTAINED)
    try:
        yield next(iter(last.objects)).rpartition("/")[2]
    finally:
        undo(action, target, prior)


def wait_until(done: Callable[[], bool], *, at_most_s: float = SETTLE_S) -> float:
    """Wait and return how long it took."""
    start_s = time.monotonic()
    while not done():
        assert time.monotonic() - start_s < at_most_s
        time.sleep(0.05)
    return time.monotonic() - start_s


def refused(name: str, call: Callable[[], Any]) -> None:
    """Check that a call is refused by our policy and nothing else."""
    with pytest.raises(ApiError) as caught:
        call()
    assert caught.value.status == 403
    assert f"ValidatingAdmissionPolicy '{name}'" in str(caught.value)


def apply_replicas(rig: Rig, replicas: int) -> Any:  # noqa: ANN401 - JSON
    """Do what a deployer does: apply, by force."""
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "bot", "labels": {"app": "bot"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "bot"}},
            "template": template(),
        },
    }
    query = {"fieldManager": "deployer", "force": "true"}
    return rig.plane.call(
        "PATCH", DEPLOYMENTS.path(rig.namespace, "bot"), body, content_type=APPLY, query=query
    )


def test_a_forced_apply_of_a_deployer_is_refused_until_the_restore(rig: Rig) -> None:
    """Replicas cannot come back while the guard stands, and can afterwards."""
    rig.deployment(replicas=0)
    with guarded(rig) as name:
        refused(name, lambda: apply_replicas(rig, 3))
        apply_replicas(rig, 0)

    assert apply_replicas(rig, 3)["spec"]["replicas"] == 3
    wait_until(lambda: len(rig.plane.call("GET", PODS.path(rig.namespace))["items"]) == 3)


def test_the_guard_is_proven_by_the_api_servers_own_refusal(rig: Rig) -> None:
    """The probe's grade is the platform's; before the policy bites, it says not contained."""
    provider = rig.provider()
    action, target = provider.actions[NAME], proposal(provider, NAME).target

    before = action.probe(target)
    prior, _ = close(action, target)
    took_s = wait_until(
        lambda: (said := action.probe(target)) is not None and said.verdict is Verdict.CONTAINED
    )
    after = action.probe(target)
    undo(action, target, prior)

    assert before is not None and before.verdict is Verdict.NOT_CONTAINED
    assert after is not None and after.grade is Grade.PLATFORM_EVALUATOR
    assert took_s < 4
