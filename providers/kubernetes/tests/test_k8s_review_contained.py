"""States in which a step could say "contained" while something is open: none of them does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from breakglass.errors import ProviderError
from breakglass.model.action import Verdict
from breakglass.model.resource import Resource, State
from breakglass.provider import Action
from breakglass_kubernetes import probe
from breakglass_kubernetes.actions import cron_jobs, jobs, pods, scale_to_zero
from breakglass_kubernetes.connect import KubernetesProvider
from breakglass_kubernetes.kinds import (
    CLUSTER_ROLE_BINDINGS,
    CRON_JOBS,
    DEPLOYMENTS,
    JOBS,
    NODES,
    PODS,
    REPLICA_SETS,
    SERVICE_ACCOUNTS,
    STATEFUL_SETS,
)
from providers.kubernetes.tests.rig_k8s import Rig, close, proposal, template

PODS_END, ZERO = pods.SPEC.name, scale_to_zero.SPEC.name
MERGE = "application/merge-patch+json"


def test_a_403_to_a_token_of_somebody_else_is_no_proof(rig: Rig) -> None:
    """The file that held the agent's token may hold another one by now: whom it refused is looked at."""
    for name in ("bot", "other"):
        rig.make(SERVICE_ACCOUNTS, name, {})
    pair = f"{rig.namespace}/bot"
    rig.secrets.held["t"] = rig.token("bot").encode()
    provider = rig.provider(service_accounts=[pair], agent_tokens={pair: "t"})
    good = probe.digest(rig.secrets.held["t"].decode())
    path = PODS.path(rig.namespace)
    first = probe.judge_call(provider.cluster, pair, path, good)

    rig.secrets.held["t"] = rig.token("other").encode()
    swapped = probe.judge_call(provider.cluster, pair, path, good)
    rig.secrets.held["t"] = rig.token("bot", seconds=7200).encode()
    renewed = probe.judge_call(provider.cluster, pair, path, good)

    assert Verdict.CONTAINED is first.verdict
    assert Verdict.UNKNOWN is swapped.verdict
    assert Verdict.CONTAINED is renewed.verdict


def test_a_paused_deployment_is_scaled_and_its_pods_are_waited_for(rig: Rig) -> None:
    """``spec.paused`` keeps a rollout from going on, and must keep nothing of the stop."""
    rig.deployment()
    until(lambda: len(running(rig)) == 2)
    rig.plane.call(
        "PATCH", DEPLOYMENTS.path(rig.namespace, "bot"), {"spec": {"paused": True}}, content_type=MERGE
    )
    action, target = step(rig.provider(), ZERO)

    close(action, target, rounds=20)

    assert 0 == rig.get(DEPLOYMENTS, "bot")["spec"]["replicas"]
    assert [] == running(rig)


def test_a_stateful_set_with_ordinals_and_on_delete_is_scaled(rig: Rig) -> None:
    """Neither the first ordinal nor the update strategy keeps a replica."""
    spec = {
        "replicas": 2,
        "serviceName": "bot",
        "selector": {"matchLabels": {"app": "bot"}},
        "ordinals": {"start": 5},
        "updateStrategy": {"type": "OnDelete"},
        "podManagementPolicy": "OrderedReady",
        "template": template(terminationGracePeriodSeconds=1),
    }
    rig.make(STATEFUL_SETS, "bot", {"metadata": {"labels": {"app": "bot"}}, "spec": spec})
    until(lambda: len(running(rig)) == 2)
    action, target = step(rig.provider(), ZERO)

    close(action, target, rounds=20)

    assert [] == running(rig)


def test_a_replica_set_that_was_orphaned_is_scaled_by_itself(rig: Rig) -> None:
    """Its Deployment was deleted without it: nothing but us scales it."""
    rig.deployment()
    until(lambda: len(running(rig)) == 2)
    rig.plane.call("DELETE", DEPLOYMENTS.path(rig.namespace, "bot"), {"propagationPolicy": "Orphan"})
    until(lambda: "ownerReferences" not in sets(rig)[0]["metadata"])
    action, target = step(rig.provider(), ZERO)

    close(action, target, rounds=20)

    assert [0] == [one["spec"]["replicas"] for one in sets(rig)]
    assert [] == running(rig)


def test_a_job_of_no_parallelism_is_suspended_all_the_same(rig: Rig) -> None:
    """It runs nothing now, and one write would wake it."""
    made = {"parallelism": 0, "template": template(restartPolicy="Never")}
    rig.make(JOBS, "idle", {"metadata": {"labels": {"app": "bot"}}, "spec": made})
    action, target = step(rig.provider(), jobs.SPEC.name)

    assert Verdict.NOT_CONTAINED is action.judge(target, action.observe(target)).verdict
    close(action, target, rounds=20)

    assert rig.get(JOBS, "idle")["spec"]["suspend"] is True


def test_a_job_of_a_suspended_cron_job_is_not_forgotten(rig: Rig) -> None:
    """A schedule that fired in the second of its suspension: the Job is the agent's by its maker alone."""
    template_of_job = {"spec": {"template": template(labels={"no": "label"}, restartPolicy="Never")}}
    spec = {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": template_of_job}
    cron = rig.make(CRON_JOBS, "tick", {"metadata": {"labels": {"app": "bot"}}, "spec": spec})
    provider = rig.provider()
    action, target = step(provider, jobs.SPEC.name)
    close(*step(provider, cron_jobs.NAME))
    owner = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": "tick",
        "uid": cron["metadata"]["uid"],
        "controller": True,
    }
    rig.make(JOBS, "tick-1", {"metadata": {"ownerReferences": [owner]}, "spec": template_of_job["spec"]})

    assert Verdict.NOT_CONTAINED is action.judge(target, action.observe(target)).verdict
    close(action, target, rounds=20)

    assert rig.get(JOBS, "tick-1")["spec"]["suspend"] is True


def test_a_pod_that_waits_for_a_node_is_ended_and_counts_as_open_until_then(rig: Rig) -> None:
    """It has no process, and would have one as soon as it is scheduled."""
    rig.pod(nodeSelector={"no": "node"})
    action, target = step(rig.provider(), PODS_END)

    assert Verdict.NOT_CONTAINED is action.judge(target, action.observe(target)).verdict
    close(action, target)

    assert [] == rig.plane.call("GET", PODS.path(rig.namespace))["items"]


def test_a_pod_of_unknown_phase_is_open(rig: Rig) -> None:
    """Its node does not answer: what runs there runs on."""
    rig.pod()
    until(lambda: len(running(rig)) == 1)
    status = {"status": {"phase": "Unknown"}}
    rig.plane.call("PATCH", PODS.path(rig.namespace, "bare", "status"), status, content_type=MERGE)
    action, target = step(rig.provider(), PODS_END)

    assert Verdict.NOT_CONTAINED is action.judge(target, action.observe(target)).verdict


@pytest.mark.parametrize("name", ["kubernetes.apps.scale_to_zero", "kubernetes.pods.end_pods"])
def test_what_may_not_be_listed_any_more_is_not_taken_for_gone(rig: Rig, name: str) -> None:
    """403 is not 404: the executor's rights were taken between the signatures and the stop."""
    rig.deployment()
    user = f"executor-{rig.namespace}"
    subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    rig.make(CLUSTER_ROLE_BINDINGS, user, {"subjects": [subject], "roleRef": role})
    action, target = step(rig.provider(user=user, groups=(), **bot(rig)), name)
    rig.plane.call("DELETE", CLUSTER_ROLE_BINDINGS.path("", user))
    until(lambda: not may_list(action, target))

    assert Verdict.CONTAINED is not verdict_of(action, target)


def test_a_node_that_is_gone_leaves_its_pod_unknown(rig: Rig) -> None:
    """The garbage collector of pods calls it failed: no kubelet ever said that it ended."""
    node = f"node-{rig.namespace}"
    rig.plane.control("node", {"name": node, "ready": True})
    rig.pod(nodeName=node)
    until(lambda: len(running(rig)) == 1)
    action, target = step(rig.provider(), PODS_END)
    action.observe(target)
    rig.plane.call("DELETE", NODES.path("", node))
    action.apply(target, action.observe(target), "t")

    said = action.judge(target, action.observe(target))

    assert Verdict.CONTAINED is not said.verdict


def bot(rig: Rig) -> dict[str, Any]:
    """Return the keys of the agent's reach."""
    return {"namespace": rig.namespace, "selector": "app=bot"}


def step(provider: KubernetesProvider, name: str) -> tuple[Action, Resource]:
    """Return an action with the target that discovery proposes for it."""
    return provider.actions[name], proposal(provider, name).target


def running(rig: Rig) -> list[dict[str, Any]]:
    """Return the pods of the test that run, and that nobody has told to end."""
    found = rig.plane.call("GET", PODS.path(rig.namespace))["items"]
    live = [one for one in found if "deletionTimestamp" not in one["metadata"]]
    return [one for one in live if one["status"].get("phase") == "Running"]


def sets(rig: Rig) -> list[dict[str, Any]]:
    """Return the ReplicaSets of the test."""
    found: list[dict[str, Any]] = rig.plane.call("GET", REPLICA_SETS.path(rig.namespace))["items"]
    return found


def may_list(action: Action, target: Resource) -> bool:
    """Return whether everything can still be read."""
    try:
        return action.observe(target).complete
    except ProviderError:
        return False


def verdict_of(action: Action, target: Resource) -> Verdict:
    """Return what a look says; what cannot be read is unknown, as the engine has it."""
    try:
        state: State = action.observe(target)
    except ProviderError:
        return Verdict.UNKNOWN
    return action.judge(target, state).verdict


def until(true: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)
