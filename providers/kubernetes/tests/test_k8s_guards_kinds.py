"""Every kind that can start something of the agent is guarded, custom resources included."""

from __future__ import annotations

import time
from typing import Any

import pytest

from breakglass.model.action import Verdict
from breakglass_kubernetes.actions.refuse_relaunch import NAME
from breakglass_kubernetes.guard_words import quote
from breakglass_kubernetes.kinds import (
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    SERVICE_ACCOUNTS,
    STATEFUL_SETS,
    Kind,
)
from breakglass_kubernetes.sandbox.process import Sandbox
from providers.kubernetes.tests.planes_k8s import CUSTOM
from providers.kubernetes.tests.rig_k8s import Rig, proposal, template
from providers.kubernetes.tests.test_k8s_guards import guarded, patched, refused, scaled, wait_until

PLANE = CUSTOM
ROLLOUTS = Kind("argoproj.io", "v1alpha1", "rollouts", "Rollout")


@pytest.fixture(autouse=True, scope="module")
def crds(plane: Sandbox) -> None:
    """Let the cluster serve Rollouts."""
    plane.install("argo")


def spec(kind: Kind, *, label: str = "bot") -> dict[str, Any]:
    """Return the spec of a workload of any kind, at rest where it can be."""
    pods = template(labels={"app": label}, account="bot" if label == "bot" else "other")
    selector = {"selector": {"matchLabels": {"app": label}}}
    once = {**pods, "spec": {**pods["spec"], "restartPolicy": "Never"}}
    found: dict[Kind, dict[str, Any]] = {
        DEPLOYMENTS: {**selector, "replicas": 0, "template": pods},
        ROLLOUTS: {**selector, "replicas": 0, "template": pods},
        STATEFUL_SETS: {**selector, "replicas": 0, "serviceName": "x", "template": pods},
        REPLICA_SETS: {**selector, "replicas": 0, "template": pods},
        REPLICATION_CONTROLLERS: {"selector": {"app": label}, "replicas": 0, "template": pods},
        DAEMON_SETS: {
            **selector,
            "template": {**pods, "spec": {**pods["spec"], "nodeSelector": {"no": "one"}}},
        },
        JOBS: {"suspend": True, "template": once},
        CRON_JOBS: {
            "suspend": True,
            "schedule": "* * * * *",
            "jobTemplate": {"spec": {"template": once}},
        },
    }
    return found[kind]


WAKES: dict[Kind, dict[str, Any]] = {
    **{
        kind: {"spec": {"replicas": 1}}
        for kind in (DEPLOYMENTS, STATEFUL_SETS, REPLICA_SETS, REPLICATION_CONTROLLERS, ROLLOUTS)
    },
    DAEMON_SETS: {"spec": {"template": {"spec": {"nodeSelector": None}}}},
    JOBS: {"spec": {"suspend": False}},
    CRON_JOBS: {"spec": {"suspend": False}},
}


def test_no_kind_is_created_or_woken_and_neighbours_are(rig: Rig) -> None:
    """Creating or waking the agent's is refused, of every kind; the same of a neighbour passes."""
    for account in ("bot", "other"):
        rig.make(SERVICE_ACCOUNTS, account, {})
    for kind in WAKES:
        rig.make(kind, "bot", {"metadata": {"labels": {"app": "bot"}}, "spec": spec(kind)})
    with guarded(rig) as name:
        for kind, wake in WAKES.items():
            path = kind.path(rig.namespace, "bot")
            refused(name, lambda kind=kind: rig.make(kind, "new", {"spec": spec(kind)}))  # type: ignore[misc]  # mypy cannot infer it
            refused(name, lambda path=path, wake=wake: patched(rig, path, wake))  # type: ignore[misc]  # mypy cannot infer it
            rig.make(kind, "neighbour", {"spec": spec(kind, label="other")})
            patched(rig, kind.path(rig.namespace, "neighbour"), wake)
        rollout = ROLLOUTS.path(rig.namespace, "bot", "scale")
        refused(name, lambda: patched(rig, rollout, {"spec": {"replicas": 2}}))
        refused(name, lambda: rig.make(PODS, "of-rollout", owned_pod("bot")))
        rig.make(PODS, "of-another", owned_pod("another"))


def owned_pod(rollout: str) -> dict[str, Any]:
    """Return a pod as a Rollout's ReplicaSet makes it, without a label of the agent's."""
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": f"{rollout}-5d9f",
        "uid": "2b1d5b0e-0000-4000-8000-000000000000",
        "controller": True,
    }
    labels = {"rollouts-pod-template-hash": "5d9f"}
    spec_of = template(account="other")["spec"]
    return {"metadata": {"labels": labels, "ownerReferences": [owner]}, "spec": spec_of}


def test_a_shared_account_is_guarded_only_where_that_was_accepted(rig: Rig) -> None:
    """Its other users keep pods and tokens unless the inventory says that they may be cut off."""
    rig.make(SERVICE_ACCOUNTS, "shared", {})
    rig.deployment(account="shared")
    pods = template(labels={"app": "x"}, account="shared")
    other = {"selector": {"matchLabels": {"app": "x"}}, "template": pods, "replicas": 0}
    rig.make(DEPLOYMENTS, "other", {"spec": other})
    both: dict[str, Any] = {"namespace": rig.namespace, "selector": "app=bot"}
    accepted = {**both, "accept_blast_radius": [f"{rig.namespace}/shared"]}

    with guarded(rig, **both):
        assert rig.token("shared")
        rig.pod("neighbour", labels={"app": "x"}, account="shared")
    with guarded(rig, **accepted) as name:
        refused(name, lambda: rig.token("shared"))
        refused(name, lambda: rig.pod("another", labels={"app": "x"}, account="shared"))
    affects = proposal(rig.provider(**accepted), NAME).affects
    assert any(f"{rig.namespace}/other" in one for one in affects)


def test_names_cannot_break_out_of_the_policy() -> None:
    """What a literal holds stays in it: quotes, backslashes, line ends and characters beyond the BMP."""
    assert quote('a"b\\c\nd') == '"a\\"b\\\\c\\u000ad"'
    assert quote("\U0001f600é") == '"\\U0001f600\\u00e9"'


def test_a_user_with_quotes_in_its_name_is_guarded(rig: Rig) -> None:
    """The server reads the literal as the same name."""
    odd = 'CN="bot\\one" é'
    with guarded(rig, users=[odd]) as name:
        assert name.startswith("breakglass-test-bot-")


def test_a_namespace_that_is_going_is_no_reason_to_doubt_the_guard(rig: Rig) -> None:
    """Its refusals are not ours and are not counted; the agent's label is tried where nothing goes."""
    own = rig.new_namespace(f"{rig.namespace}-own")
    rig.make(
        JOBS, "held", {"metadata": {"finalizers": ["example.com/hold"]}, "spec": spec(JOBS)}, namespace=own
    )
    provider = rig.provider(namespace=own, own_namespace=True)
    action, target = provider.actions[NAME], proposal(provider, NAME).target
    rig.plane.call("DELETE", f"/api/v1/namespaces/{own}")
    with guarded(rig, namespace=own, own_namespace=True):
        pass
    patched(rig, JOBS.path(own, "held"), {"metadata": {"finalizers": None}})

    said = action.probe(target)
    assert said is not None
    assert said.verdict is not Verdict.CONTAINED


def test_what_a_named_workload_makes_is_known_by_its_owner(rig: Rig) -> None:
    """A single Deployment without labels of ours: its ReplicaSets and their pods are refused."""
    spec = {"selector": {"matchLabels": {"app": "x"}}, "template": template(labels={"app": "x"})}
    rig.make(DEPLOYMENTS, "single", {"spec": {**spec, "replicas": 1}})
    rig.make(DEPLOYMENTS, "single-too", {"spec": {**spec, "replicas": 1}})

    def pods(owner: str) -> list[str]:
        found = rig.plane.call("GET", PODS.path(rig.namespace))["items"]
        names = (one["metadata"]["name"] for one in found if "deletionTimestamp" not in one["metadata"])
        return [one for one in names if one.rsplit("-", 2)[0] == owner]

    wait_until(lambda: len(pods("single")) == 1 and len(pods("single-too")) == 1)
    with guarded(rig, workloads=[f"deployments.apps/{rig.namespace}/single"]) as name:
        refused(name, lambda: scaled(rig, 3, name="single"))
        first = pods("single")
        for one in (*first, *pods("single-too")):
            rig.plane.call("DELETE", PODS.path(rig.namespace, one))
        wait_until(lambda: len(pods("single-too")) == 1)
        time.sleep(1)
        assert [one for one in pods("single") if one not in first] == []
