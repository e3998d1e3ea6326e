"""No pod more in a namespace that is the agent's alone; and 1,000 accounts in one policy."""

from __future__ import annotations

import time
from typing import Any

import pytest

from breakglass.model.action import Grade, Judgement, Verdict
from breakglass.model.resource import Resource
from breakglass.provider import Action, Outcome
from breakglass_kubernetes.actions import pod_quota, refuse_relaunch
from breakglass_kubernetes.kinds import PODS, RESOURCE_QUOTAS, ROLE_BINDINGS
from breakglass_kubernetes.sandbox.process import ApiError
from providers.kubernetes.tests.rig_k8s import Rig, close, proposal, template, undo

MANY = 1000


def proven(action: Action, target: Resource, *, at_most_s: float = 10.0) -> Judgement:
    """Ask for proof as the engine does, until it is there or the time is over."""
    end_s = time.monotonic() + at_most_s
    while True:
        said = action.probe(target)
        assert said is not None
        if said.verdict is Verdict.CONTAINED or time.monotonic() > end_s:
            return said
        time.sleep(0.05)


def own(rig: Rig) -> dict[str, Any]:
    """Return settings of an agent whose namespace is its alone."""
    return {"namespace": rig.namespace, "own_namespace": True}


def test_nobody_makes_a_pod_where_the_quota_is_zero(rig: Rig) -> None:
    """What runs is left alone, what is new is refused to everybody, until the restore."""
    rig.deployment(replicas=1)
    provider = rig.provider(**own(rig))
    action, target = provider.actions[pod_quota.NAME], proposal(provider, pod_quota.NAME).target
    prior, _ = close(action, target)
    said = proven(action, target)

    with pytest.raises(ApiError, match="exceeded quota"):
        rig.pod("new")
    assert said.grade is Grade.PLATFORM_EVALUATOR
    assert set(undo(action, target, prior).objects.values()) == {Outcome.RESTORED}
    assert set(undo(action, target, prior).objects.values()) == {Outcome.ALREADY}
    assert rig.plane.call("GET", RESOURCE_QUOTAS.path(rig.namespace))["items"] == []
    rig.pod("new")


def test_the_quota_is_proven_beside_the_policy(rig: Rig) -> None:
    """Both guards stand: each is shown by its own refusal."""
    provider = rig.provider(**own(rig))
    quota = provider.actions[pod_quota.NAME], proposal(provider, pod_quota.NAME).target
    policy = provider.actions[refuse_relaunch.NAME], proposal(provider, refuse_relaunch.NAME).target
    priors = [close(*one)[0] for one in (policy, quota)]

    verdicts = [proven(*one).verdict for one in (policy, quota)]
    for (action, target), prior in zip((policy, quota), priors, strict=True):
        undo(action, target, prior)

    assert verdicts == [Verdict.CONTAINED, Verdict.CONTAINED]


def test_a_quota_that_somebody_raised_is_open_and_put_back(rig: Rig) -> None:
    """The agent raises it: not contained; at restore one that was raised since is left alone."""
    provider = rig.provider(**own(rig))
    action, target = provider.actions[pod_quota.NAME], proposal(provider, pod_quota.NAME).target
    prior, last = close(action, target)
    path = RESOURCE_QUOTAS.path(rig.namespace, next(iter(last.objects)).rpartition("/")[2])

    def raise_it() -> None:
        change = {"spec": {"hard": {"pods": "9"}}}
        rig.plane.call("PATCH", path, change, content_type="application/merge-patch+json")

    raise_it()
    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED
    close(action, target)
    raise_it()
    assert set(undo(action, target, prior).objects.values()) == {Outcome.DRIFTED}


def test_a_namespace_that_is_not_the_agents_alone_gets_no_quota(rig: Rig) -> None:
    """Neighbours would be stopped, too."""
    found = rig.provider().discover().proposals

    assert [one for one in found if one.action == pod_quota.NAME] == []


def test_a_thousand_accounts_fit_into_one_policy_and_others_stay_fast(rig: Rig) -> None:
    """The policy is accepted and evaluated within its budget, and neighbours pay a few milliseconds."""
    accounts = [f"{rig.namespace}/support-bot-of-customer-{n:04d}-production" for n in range(MANY)]
    rig.plane.call(
        "POST",
        f"/api/v1/namespaces/{rig.namespace}/serviceaccounts",
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": accounts[-1].partition("/")[2]}},
    )

    def binding(name: str, who: str) -> Any:  # noqa: ANN401 - JSON
        subjects = [
            {"kind": "ServiceAccount", "name": f"{who}-{n}", "namespace": rig.namespace} for n in range(200)
        ]
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
        return rig.make(ROLE_BINDINGS, name, {"subjects": subjects, "roleRef": role})

    def pods_take_s(prefix: str, count: int = 20) -> float:
        start_s = time.monotonic()
        for n in range(count):
            rig.pod(f"{prefix}-{n}", labels={"app": "neighbour"})
        return (time.monotonic() - start_s) / count

    free_s = pods_take_s("free")
    provider = rig.provider(service_accounts=[*accounts])
    action, target = provider.actions[refuse_relaunch.NAME], proposal(provider, refuse_relaunch.NAME).target
    prior, _ = close(action, target)
    said = proven(action, target)
    guarded_s = pods_take_s("guarded")
    binding("of-neighbours", "neighbour")
    with pytest.raises(ApiError, match="ValidatingAdmissionPolicy"):
        rig.token(accounts[-1].partition("/")[2])
    with pytest.raises(ApiError, match="ValidatingAdmissionPolicy"):
        rig.make(PODS, "its", template(account=accounts[-1].partition("/")[2]))
    undo(action, target, prior)

    assert said.verdict is Verdict.CONTAINED
    assert guarded_s < free_s + 0.05
