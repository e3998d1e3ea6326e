"""Workloads at zero: held by our field manager against deployers, operators and tricks, and given back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from breakglass.clock import SystemClock
from breakglass.errors import ProviderError
from breakglass.model.action import Verdict
from breakglass.provider import Action, Outcome
from breakglass_kubernetes.cluster import APPLY, MERGE
from breakglass_kubernetes.kinds import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    DEPLOYMENTS,
    NAMESPACES,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    STATEFUL_SETS,
    Kind,
)
from breakglass_kubernetes.objects import managers_of
from breakglass_kubernetes.sandbox.process import ApiError
from providers.kubernetes.tests.rig_k8s import SELECTOR, Rig, close, proposal, template, undo

ACTION = "kubernetes.apps.scale_to_zero"
BOT = {"app": "bot"}
POLICIES = Kind(
    "admissionregistration.k8s.io",
    "v1",
    "validatingadmissionpolicies",
    "ValidatingAdmissionPolicy",
    namespaced=False,
)
BINDINGS = Kind(
    "admissionregistration.k8s.io",
    "v1",
    "validatingadmissionpolicybindings",
    "ValidatingAdmissionPolicyBinding",
    namespaced=False,
)


def deploy(rig: Rig, name: str = "web", *, replicas: int = 3, force: bool = False) -> dict[str, Any]:
    """Apply a Deployment as a deployer does."""
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": BOT, "annotations": {"example.com/team": "support"}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": BOT}, "template": template()},
    }
    query = {"fieldManager": "deployer"} | ({"force": "true"} if force else {})
    path = DEPLOYMENTS.path(rig.namespace, name)
    made: dict[str, Any] = rig.plane.call("PATCH", path, body, content_type=APPLY, query=query)
    return made


def step(rig: Rig) -> tuple[Action, Any]:
    """Return the action and its target, as discovery proposes them."""
    provider = rig.provider()
    found = proposal(provider, ACTION)
    return provider.actions[ACTION], found.target


def alive(rig: Rig) -> int:
    """Return how many pods there are that are not being deleted."""
    listed = rig.plane.call("GET", f"/api/v1/namespaces/{rig.namespace}/pods")["items"]
    return sum(1 for pod in listed if not pod["metadata"].get("deletionTimestamp"))


def verdict(action: Action, target: Any) -> tuple[Verdict, str]:  # noqa: ANN401 - a target
    """Look once."""
    said = action.judge(target, action.observe(target))
    return said.verdict, said.reason


@contextmanager
def every(pause_s: float, act: Any) -> Iterator[list[int]]:  # noqa: ANN401 - anything that can be called
    """Do something again and again in the background, whatever it is answered."""
    ended, count = threading.Event(), [0]

    def work() -> None:
        while not ended.wait(pause_s):
            try:
                act()
            except ApiError:
                continue
            count[0] += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield count
    finally:
        ended.set()
        thread.join()


def test_a_deployer_that_does_not_force_conflicts_and_one_that_does_is_seen(rig: Rig) -> None:
    """Replicas are our field: 409 for an ordinary apply; a forced one is not contained at the next look."""
    deploy(rig)
    action, target = step(rig)

    close(action, target)

    assert rig.get(DEPLOYMENTS, "web")["spec"]["replicas"] == 0
    assert alive(rig) == 0
    with pytest.raises(ApiError, match="breakglass"):
        deploy(rig)
    deploy(rig, force=True)
    found, reason = verdict(action, target)
    assert found is Verdict.NOT_CONTAINED
    assert "has replicas 3, written by deployer" in reason
    close(action, target)


def test_a_restored_deployment_equals_the_original_and_its_deployer_owns_it_again(rig: Rig) -> None:
    """Spec, labels and annotations are as before; nothing is ours; the same manifest applies again."""
    deploy(rig)
    SystemClock().sleep(0.5)
    original = rig.get(DEPLOYMENTS, "web")
    action, target = step(rig)
    prior, _ = close(action, target)

    done = undo(action, target, prior)

    now = rig.get(DEPLOYMENTS, "web")
    assert [Outcome.RESTORED] == list(done.objects.values())
    assert original["spec"] == now["spec"]
    assert original["metadata"]["labels"] == now["metadata"]["labels"]
    assert original["metadata"]["annotations"] == now["metadata"]["annotations"]
    assert "breakglass" not in managers_of(now)
    assert deploy(rig)["spec"] == original["spec"]
    assert deploy(rig, replicas=4)["spec"]["replicas"] == 4
    assert [Outcome.DRIFTED] == list(undo(action, target, prior).objects.values())


def test_what_was_at_zero_is_held_there_and_stays_there_after_the_restore(rig: Rig) -> None:
    """A deployer could have scaled it up silently during the stop; the restore revives nothing."""
    deploy(rig, replicas=0)
    action, target = step(rig)
    prior, _ = close(action, target)
    with pytest.raises(ApiError, match="breakglass"):
        deploy(rig)

    assert [Outcome.RESTORED] == list(undo(action, target, prior).objects.values())

    now = rig.get(DEPLOYMENTS, "web")
    assert now["spec"]["replicas"] == 0
    assert "breakglass" not in managers_of(now)


def test_every_kind_with_replicas_goes_to_zero_and_comes_back(rig: Rig) -> None:
    """A StatefulSet, a standalone ReplicaSet and a ReplicationController beside a Deployment."""
    rig.deployment(labels={"app": "bot", "of": "deployment"})
    more = {"template": template(labels={"app": "bot", "of": "set"}), "replicas": 2}
    chosen = {"matchLabels": {"of": "set"}}
    rig.make(STATEFUL_SETS, "set", {"spec": {**more, "selector": chosen, "serviceName": "none"}})
    alone = {**more, "template": template(labels={"app": "bot", "of": "alone"})}
    rig.make(REPLICA_SETS, "alone", {"spec": {**alone, "selector": {"matchLabels": {"of": "alone"}}}})
    old = {**more, "template": template(labels={"app": "bot", "of": "old"})}
    rig.make(REPLICATION_CONTROLLERS, "old", {"spec": {**old, "selector": {"of": "old"}}})
    SystemClock().sleep(1.0)
    action, target = step(rig)

    prior, _ = close(action, target, rounds=12)

    assert {"deployments.apps", "statefulsets.apps", "replicasets.apps", "replicationcontrollers"} == {
        key.partition("/")[0] for key in prior
    }
    assert len(prior) == 4
    assert set(undo(action, target, prior).objects.values()) == {Outcome.RESTORED}
    for kind, name in ((STATEFUL_SETS, "set"), (REPLICA_SETS, "alone"), (REPLICATION_CONTROLLERS, "old")):
        now = rig.get(kind, name)
        assert now["spec"]["replicas"] == 2
        assert "breakglass" not in managers_of(now)


def test_a_replica_set_that_only_claims_an_owner_is_scaled_too(rig: Rig) -> None:
    """A Deployment that is being deleted, held by a finalizer, scales nothing: we scale its ReplicaSet."""
    made = deploy(rig)
    SystemClock().sleep(0.5)
    path = DEPLOYMENTS.path(rig.namespace, "web")
    rig.plane.call("PATCH", path, {"metadata": {"finalizers": ["example.com/hold"]}}, content_type=MERGE)
    rig.plane.call("DELETE", path, {"propagationPolicy": "Orphan"})
    # Until the garbage collector is done it also takes the owner away of whatever claims this one.
    until = SystemClock().monotonic_s() + 60
    while rig.get(DEPLOYMENTS, "web")["metadata"]["finalizers"] != ["example.com/hold"]:
        assert SystemClock().monotonic_s() < until, "the garbage collector does not let go"
        SystemClock().sleep(0.1)
    claim = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": made["metadata"]["uid"]}
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": {"of": "forged"}},
        "template": template(labels={"of": "forged"}),
    }
    owner = {"ownerReferences": [{**claim, "controller": True, "blockOwnerDeletion": False}]}
    rig.make(REPLICA_SETS, "forged", {"metadata": owner, "spec": spec})
    SystemClock().sleep(0.5)
    action, target = step(rig)

    close(action, target, rounds=12)
    SystemClock().sleep(0.5)
    close(action, target, rounds=12)

    assert rig.get(REPLICA_SETS, "forged")["spec"]["replicas"] == 0
    assert alive(rig) == 0
    rig.plane.call("PATCH", path, {"metadata": {"finalizers": None}}, content_type=MERGE)


def test_labels_taken_away_during_the_stop_hide_nothing(rig: Rig) -> None:
    """What was the agent's at one look of the run is so at all later ones."""
    chosen = {"matchLabels": {"app": "bot"}}
    rig.make(
        DEPLOYMENTS,
        "web",
        {"metadata": {"labels": BOT}, "spec": {"replicas": 1, "selector": chosen, "template": template()}},
    )
    action, target = step(rig)
    prior, _ = close(action, target)
    path = DEPLOYMENTS.path(rig.namespace, "web")
    rig.plane.call("DELETE", path, {"propagationPolicy": "Background"})
    rig.make(
        DEPLOYMENTS,
        "two",
        {
            "metadata": {"labels": BOT},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"x": "y"}},
                "template": template(labels={"x": "y"}),
            },
        },
    )
    close(action, target)
    path = DEPLOYMENTS.path(rig.namespace, "two")
    rig.plane.call("PATCH", path, {"metadata": {"labels": None}, "spec": {"replicas": 1}}, content_type=MERGE)

    assert verdict(action, target)[0] is Verdict.NOT_CONTAINED
    assert len(prior) == 1


def test_somebody_who_rewrites_the_object_all_the_time_does_not_hinder_the_hold(rig: Rig) -> None:
    """A server-side apply with a uid does not ask for a version: one round, no conflict."""
    deploy(rig)
    action, target = step(rig)
    path = DEPLOYMENTS.path(rig.namespace, "web")
    noise = {"metadata": {"annotations": {"example.com/noise": ""}}}

    def rewrite() -> None:
        noise["metadata"]["annotations"]["example.com/noise"] += "."
        rig.plane.call("PATCH", path, noise, content_type=MERGE)

    with every(0.0, rewrite) as written:
        for _ in range(10):
            deploy(rig, force=True)
            state = action.observe(target)
            action.apply(target, state, "token")
            assert rig.get(DEPLOYMENTS, "web")["spec"]["replicas"] == 0
        close(action, target)

    assert written[0] > 20


def test_an_operator_that_reconciles_is_never_contained_by_chance_and_is_named(rig: Rig) -> None:
    """Forced back every 0.2 s: whoever looks one settle time long sees it, and the verdict says who."""
    deploy(rig)
    action, target = step(rig)
    reasons: list[str] = []

    with every(0.2, lambda: deploy(rig, force=True)):
        for _ in range(8):
            action.apply(target, action.observe(target), "token")
            looks = []
            for _ in range(6):
                SystemClock().sleep(0.1)
                looks.append(verdict(action, target))
            assert any(found is not Verdict.CONTAINED for found, _ in looks)
            reasons += [reason for found, reason in looks if found is Verdict.NOT_CONTAINED]

    assert any("written by deployer" in reason for reason in reasons)


def test_admission_that_refuses_one_object_is_quoted_and_the_others_are_held(rig: Rig) -> None:
    """A policy of the cluster's refuses to scale one Deployment down."""
    rig.deployment("free", replicas=1)
    rig.deployment("guarded", replicas=1)
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["UPDATE"],
        "resources": ["deployments"],
    }
    elsewhere = f"object.metadata.namespace != '{rig.namespace}' || object.metadata.name != 'guarded'"
    ours = f"{elsewhere} || object.spec.replicas > 0"
    policy = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": ours, "message": "guarded must run"}],
    }
    name = f"guard-{rig.namespace}"
    rig.make(POLICIES, name, {"spec": policy})
    rig.make(BINDINGS, name, {"spec": {"policyName": name, "validationActions": ["Deny"]}})
    SystemClock().sleep(2.0)
    action, target = step(rig)

    with pytest.raises(ProviderError, match="guarded must run"):
        action.apply(target, action.observe(target), "token")

    found, reason = verdict(action, target)
    assert found is Verdict.NOT_CONTAINED
    assert "guarded" in reason
    assert "/free@" not in reason
    assert rig.get(DEPLOYMENTS, "free")["spec"]["replicas"] == 0
    rig.plane.call("DELETE", BINDINGS.path("", name))


def test_a_kind_that_cannot_be_read_leaves_the_others_held_and_the_verdict_unknown(rig: Rig) -> None:
    """An executor whose role lacks StatefulSets still scales the Deployments down."""
    deploy(rig)
    _, target = step(rig)
    rules = [
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]},
        {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["list", "patch"]},
        {"apiGroups": [""], "resources": ["replicationcontrollers"], "verbs": ["list"]},
    ]
    name = f"limited-{rig.namespace}"
    rig.make(CLUSTER_ROLES, name, {"rules": rules})
    who = {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
    role = {"kind": "ClusterRole", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
    rig.make(CLUSTER_ROLE_BINDINGS, name, {"subjects": [who], "roleRef": role})
    provider = rig.provider(user=name, groups=(), namespace=rig.namespace, selector=SELECTOR)
    action = provider.actions[ACTION]

    for _ in range(4):
        state = action.observe(target)
        with pytest.raises(ProviderError, match="not all could be read"):
            action.apply(target, state, "token")
        SystemClock().sleep(0.3)

    found, reason = verdict(action, target)
    assert rig.get(DEPLOYMENTS, "web")["spec"]["replicas"] == 0
    assert found is Verdict.UNKNOWN
    assert "statefulsets.apps: refused" in reason


def test_a_namespace_that_is_being_deleted_is_stopped_as_far_as_it_is_there(rig: Rig) -> None:
    """Objects vanish between a look and a change: no failure, and contained once nothing is left."""
    deploy(rig)
    action, target = step(rig)
    rig.plane.call("DELETE", NAMESPACES.path("", rig.namespace))

    prior, _ = close(action, target, rounds=12)

    assert set(undo(action, target, prior).objects.values()) <= {Outcome.DRIFTED, Outcome.RESTORED}
