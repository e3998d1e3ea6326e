"""Whole stops of agents that had the run of the cluster and laid traps in it before they were stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from breakglass.model.action import Verdict
from breakglass_kubernetes import kinds
from breakglass_kubernetes.actions import bindings
from breakglass_kubernetes.kinds import CUSTOM_RESOURCES, DEPLOYMENTS, Kind
from breakglass_kubernetes.sandbox.api import ApiError
from providers.kubernetes.tests.rig_k8s import peace_ends
from tests.kubernetes.cluster_fleet import LABELS, RBAC, Cluster, cluster_fleet, said, template

ROLLOUTS = Kind("argoproj.io", "v1alpha1", "rollouts", "Rollout")
PLAIN = Kind("argoproj.io", "v1", "rollouts", "Rollout")
APPLY = "application/apply-patch+yaml"


def define(cluster: Cluster, **more: Any) -> None:  # noqa: ANN401 - JSON
    """Make a definition of Rollouts of the agent's own making, which takes any content."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1alpha1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {
            "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
        },
    }
    # The server looks at what is written by the version that it is written in: this one cannot be scaled.
    plain = {"name": "v1", "served": True, "storage": False, "schema": version["schema"]}
    names = {"plural": "rollouts", "singular": "rollout", "kind": "Rollout", "listKind": "RolloutList"}
    spec = {"group": "argoproj.io", "names": names, "scope": "Namespaced", "versions": [version, plain]}
    spec |= more
    cluster.make(CUSTOM_RESOURCES, ROLLOUTS.name, {"spec": spec})
    until(lambda: bool(cluster.plane.call("GET", PLAIN.path(cluster.namespace))["kind"]))


def until(done: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until a call says so."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        with suppress(ApiError):  # not served yet
            if done():
                return
        time.sleep(0.1)
    raise AssertionError("it never came")


def governs(cluster: Cluster, account: str = "rogue") -> None:
    """Make the agent's account an administrator of the whole cluster."""
    subject = {"kind": "ServiceAccount", "name": account, "namespace": cluster.namespace}
    ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"}
    name = f"{account}-{cluster.namespace}"
    cluster.make(kinds.CLUSTER_ROLE_BINDINGS, name, {"subjects": [subject], "roleRef": ref})


def test_content_that_no_record_can_hold_does_not_shield_the_others(cluster: Cluster) -> None:
    """Replicas that are no integer, or too large a one, deep in a resource of the agent's own making."""
    cluster.account()
    governs(cluster)
    cluster.deployment(account="rogue")
    define(cluster)
    try:
        for name, replicas in (("half", 1.5), ("huge", 2**60), ("word", "many"), ("tree", {"a": [1.5]})):
            cluster.make(PLAIN, name, {"metadata": {"labels": LABELS}, "spec": {"replicas": replicas}})
        with cluster_fleet(cluster, step_s=40) as ours:
            _, done = ours.stop()
            words = said(done.report)
            live = cluster.plane.call("GET", DEPLOYMENTS.path(cluster.namespace, "rogue"))
            assert 0 == live["spec"]["replicas"], words
            assert [] == cluster.pods(), words
            _, restored = ours.restore()
            live = cluster.plane.call("GET", DEPLOYMENTS.path(cluster.namespace, "rogue"))
            assert 2 == live["spec"]["replicas"], said(restored)
    finally:
        cluster.plane.call("DELETE", CUSTOM_RESOURCES.path("", ROLLOUTS.name))


def test_a_workload_written_in_our_own_name_is_held_like_any_other(cluster: Cluster) -> None:
    """A field manager is a name that anybody may use: what we leave out of an apply must not be lost."""
    cluster.account()
    governs(cluster)
    labels = LABELS | {"part": "mimic"}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template(labels, "rogue")}
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "mimic", "labels": LABELS},
        "spec": spec,
    }
    cluster.plane.call(
        "PATCH",
        DEPLOYMENTS.path(cluster.namespace, "mimic"),
        body,
        content_type=APPLY,
        query={"fieldManager": "breakglass"},
    )
    until(lambda: len(cluster.pods()) == 2)
    with cluster_fleet(cluster, step_s=40) as ours:
        _, done = ours.stop()
        live = cluster.plane.call("GET", DEPLOYMENTS.path(cluster.namespace, "mimic"))
        assert 0 == live["spec"]["replicas"], said(done.report)
        assert [] == cluster.pods(), said(done.report)
        ours.restore()
        live = cluster.plane.call("GET", DEPLOYMENTS.path(cluster.namespace, "mimic"))
        assert 2 == live["spec"]["replicas"]
        assert LABELS.items() <= live["metadata"]["labels"].items()


def test_an_administrator_that_binds_itself_again_all_the_time_ends_without_rights(cluster: Cluster) -> None:
    """A thread with its token makes bindings, accounts and pods until nothing of it is allowed any more."""
    cluster.account()
    governs(cluster)
    cluster.deployment(account="rogue")
    token, stop = cluster.token(), threading.Event()
    home = f"system:serviceaccount:{cluster.namespace}:rogue"
    made: list[int] = []

    planned = threading.Event()

    def resist() -> None:
        planned.wait(60)
        while not stop.is_set():
            for kind, body in bodies(home, len(made)):
                with suppress(ApiError, OSError):
                    cluster.plane.call("POST", kind.path(cluster.namespace), body, token=token)
                    made.append(1)

    with cluster_fleet(cluster, step_s=40) as ours:
        since = peace_ends()
        thread = threading.Thread(target=resist)
        thread.start()
        try:
            _, done = ours.stop(began=since, planned=lambda _: planned.set())
            words = said(done.report)
            count = len(made)
            time.sleep(3)
            assert count == len(made), words
        finally:
            stop.set()
            thread.join()
        assert count > 3  # it did resist
        assert [] == bound_to(cluster, home), words
        assert [] == [one for one in cluster.pods() if one["spec"]["serviceAccountName"] == "rogue"], words

        ours.restore()
        # What it had when the plan was signed is back, and nothing that it made since.
        assert [f"rogue-{cluster.namespace}"] == bound_to(cluster, home)
        assert [] == [one for one in cluster.pods() if one["metadata"]["name"].startswith("again-")]


def test_what_an_administrator_bound_since_the_harm_began_is_not_given_back(cluster: Cluster) -> None:
    """It let itself in by bindings of its own before anybody planned: the plan says so, and the report."""
    cluster.account()
    governs(cluster)
    cluster.deployment(account="rogue")
    token, home = cluster.token(), f"system:serviceaccount:{cluster.namespace}:rogue"
    with cluster_fleet(cluster, step_s=40) as ours:
        since = peace_ends()
        made = [
            cluster.plane.call("POST", kind.path(cluster.namespace), body, token=token)["metadata"]["name"]
            for kind, body in bodies(home, 0)[:2]
        ]
        before = bound_to(cluster, home)
        plan, done = ours.stop(began=since)
        during = bound_to(cluster, home)
        _, back = ours.restore()
        after = bound_to(cluster, home)

    unbind = next(one for one in plan.steps if one.action == bindings.SPEC.name)
    undone = next(one for one in back.steps if one.action == bindings.SPEC.name)
    assert (3, []) == (len(before), during), said(done.report)
    assert [f"rogue-{cluster.namespace}"] == after, said(back)
    assert all(any(f"/{name}: made since the harm began" in one for one in unbind.affects) for name in made)
    assert "made since the harm began, so not bound again" in undone.reason
    assert Verdict.CONTAINED is back.verdict, said(back)


def bound_to(cluster: Cluster, user: str) -> list[str]:
    """Return the bindings that name the agent's account, in either spelling."""
    account = {"kind": "ServiceAccount", "name": "rogue", "namespace": cluster.namespace}
    return [
        one["metadata"]["name"]
        for kind in (kinds.ROLE_BINDINGS, kinds.CLUSTER_ROLE_BINDINGS)
        for one in cluster.plane.call("GET", kind.path())["items"]
        for subject in one.get("subjects", [])
        if subject == account or subject["name"] == user
    ]


def bodies(user: str, n: int) -> list[tuple[Kind, dict[str, Any]]]:
    """Return what the agent makes over and over: rights, and copies of itself."""
    ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"}
    subject = {"kind": "User", "apiGroup": RBAC, "name": user}
    about = {"generateName": f"again-{n}-"}
    binding = {"metadata": about, "subjects": [subject], "roleRef": ref, "apiVersion": f"{RBAC}/v1"}
    pod = {**template(LABELS, "rogue"), "apiVersion": "v1", "kind": "Pod"}
    pod["metadata"] = {**about, "labels": LABELS}
    return [
        (kinds.CLUSTER_ROLE_BINDINGS, {**binding, "kind": "ClusterRoleBinding"}),
        (kinds.ROLE_BINDINGS, {**binding, "kind": "RoleBinding"}),
        (kinds.PODS, pod),
    ]
