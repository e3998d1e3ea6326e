"""What the agent takes the marks off between the plan and the stop is stopped all the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass.clock import SystemClock
from breakglass.model.action import Verdict
from breakglass.model.resource import State
from breakglass.provider import Action
from breakglass_kubernetes.kinds import (
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NETWORK_POLICIES,
    PODS,
    REPLICA_SETS,
    Kind,
)
from providers.kubernetes.tests.rig_k8s import Rig, close, proposal, template, undo

MERGE = "application/merge-patch+json"
SCALE, PODS_END, DENY = (
    "kubernetes.apps.scale_to_zero",
    "kubernetes.pods.end_pods",
    "kubernetes.network.deny_egress",
)


def change(rig: Rig, kind: Kind, name: str, body: Mapping[str, Any]) -> None:
    """Change an object as the agent, which may patch what it runs."""
    rig.plane.call("PATCH", kind.path(rig.namespace, name), body, content_type=MERGE)


def strip(rig: Rig, kind: Kind, name: str) -> None:
    """Take every label and owner off an object."""
    change(rig, kind, name, {"metadata": {"labels": None, "ownerReferences": None}})


def anonymous(rig: Rig, kind: Kind, name: str, **spec: Any) -> None:  # noqa: ANN401 - JSON
    """Make a workload whose selector leaves the agent's label to be taken off."""
    marks = {"app": "bot", "part": name}
    whole = {"selector": {"matchLabels": {"part": name}}, "template": template(labels=marks), **spec}
    rig.make(kind, name, {"metadata": {"labels": marks}, "spec": whole})


def bare_of_marks(rig: Rig, kind: Kind, name: str) -> None:
    """Take the agent's label off a workload and off its template."""
    nothing = {"metadata": {"labels": {"app": None}}}
    change(rig, kind, name, {**nothing, "spec": {"template": nothing}})


def until_there(rig: Rig, kind: Kind, count: int) -> list[dict[str, Any]]:
    """Return the objects of a kind once there are so many."""
    for _ in range(600):
        found: list[dict[str, Any]] = rig.plane.call("GET", kind.path(rig.namespace))["items"]
        if len(found) >= count and all(one.get("spec", {}).get("nodeName", "-") for one in found):
            return found
        SystemClock().sleep(0.05)
    raise AssertionError(f"no {count} of {kind.name}")


def ended(action: Action, target: Any) -> Verdict:  # noqa: ANN401 - a target
    """Observe and apply until every pod has ended."""
    verdict = Verdict.UNKNOWN
    for _ in range(40):
        state = action.observe(target)
        verdict = action.judge(target, state).verdict
        if verdict is Verdict.CONTAINED:
            break
        action.apply(target, state, "token")
    return verdict


def test_pods_that_take_their_labels_off_after_the_plan_end_all_the_same(rig: Rig) -> None:
    """A bare pod and one that leaves its ReplicaSet; also when another process goes on with the stop."""
    rig.pod("bare")
    rig.deployment(replicas=1)
    names = [one["metadata"]["name"] for one in until_there(rig, PODS, 2)]
    neighbour = rig.make(PODS, "neighbour", {"spec": template()["spec"]})
    target = proposal(rig.provider(), PODS_END).target
    scale = proposal(rig.provider(), SCALE).target

    for name in names:
        strip(rig, PODS, name)
    later = rig.provider()
    action = later.actions[PODS_END]
    close(later.actions[SCALE], scale)

    seen = action.observe(target)
    assert set(names) <= {str(one["name"]) for one in seen.objects.values() if isinstance(one, dict)}
    assert Verdict.CONTAINED is ended(action, target)
    left = [one["metadata"]["name"] for one in rig.plane.call("GET", PODS.path(rig.namespace))["items"]]
    assert not set(names) & set(left)
    assert rig.get(PODS, "neighbour")["metadata"]["uid"] == neighbour["metadata"]["uid"]


def test_pods_that_take_their_labels_off_after_the_plan_are_denied_the_network(rig: Rig) -> None:
    """No label of theirs tells them from a neighbour any more: they get one of ours."""
    rig.pod("bare")
    rig.make(PODS, "neighbour", {"spec": template()["spec"]})
    until_there(rig, PODS, 2)
    target = proposal(rig.provider(), DENY).target

    strip(rig, PODS, "bare")
    action = rig.provider().actions[DENY]
    close(action, target)

    marks = rig.get(PODS, "bare")["metadata"].get("labels", {})
    policies = rig.plane.call("GET", NETWORK_POLICIES.path(rig.namespace))["items"]
    chosen = [one["spec"]["podSelector"].get("matchLabels", {}) for one in policies]
    assert any(one and one.items() <= marks.items() for one in chosen)
    assert "labels" not in rig.get(PODS, "neighbour")["metadata"]


def test_workloads_that_take_their_labels_off_after_the_plan_are_held_all_the_same(rig: Rig) -> None:
    """A Deployment, and a ReplicaSet that leaves its Deployment and is scaled up by itself."""
    rig.make(PODS, "neighbour", {"spec": template()["spec"]})  # its account is not the agent's alone
    anonymous(rig, DEPLOYMENTS, "shy", replicas=1)
    anonymous(rig, DEPLOYMENTS, "loose", replicas=1)
    until_there(rig, PODS, 3)
    sets = [one["metadata"]["name"] for one in until_there(rig, REPLICA_SETS, 2)]
    target = proposal(rig.provider(), SCALE).target

    bare_of_marks(rig, DEPLOYMENTS, "shy")
    loose = next(one for one in sets if one.startswith("loose"))
    rig.plane.call("DELETE", DEPLOYMENTS.path(rig.namespace, "loose"), {"propagationPolicy": "Orphan"})
    for _ in range(1200):
        if not rig.get(REPLICA_SETS, loose)["metadata"].get("ownerReferences"):
            break
        SystemClock().sleep(0.05)
    bare_of_marks(rig, REPLICA_SETS, loose)
    close(rig.provider().actions[SCALE], target)

    assert 0 == rig.get(DEPLOYMENTS, "shy")["spec"]["replicas"]
    assert 0 == rig.get(REPLICA_SETS, loose)["spec"]["replicas"]


def test_other_kinds_that_take_their_labels_off_after_the_plan_are_held_all_the_same(rig: Rig) -> None:
    """DaemonSets, Jobs, CronJobs."""
    rig.make(PODS, "neighbour", {"spec": template()["spec"]})
    anonymous(rig, DAEMON_SETS, "daemon")
    labels = {"app": "bot"}
    pod = template(restartPolicy="Never")
    rig.make(
        JOBS,
        "job",
        {
            "metadata": {"labels": labels},
            "spec": {"template": template(labels={"x": "y"}, restartPolicy="Never")},
        },
    )
    job = {"metadata": {"labels": {"app": "bot"}}, "spec": {"template": pod}}
    rig.make(
        CRON_JOBS,
        "cron",
        {"metadata": {"labels": labels}, "spec": {"schedule": "0 0 1 1 *", "jobTemplate": job}},
    )
    names = {
        "kubernetes.apps.evict_daemons": (DAEMON_SETS, "daemon"),
        "kubernetes.batch.suspend_jobs": (JOBS, "job"),
        "kubernetes.batch.suspend_cron_jobs": (CRON_JOBS, "cron"),
    }
    targets = {name: proposal(rig.provider(), name).target for name in names}

    bare_of_marks(rig, DAEMON_SETS, "daemon")
    change(rig, JOBS, "job", {"metadata": {"labels": None}})
    none = {"metadata": {"labels": {"app": None}}}
    pods = {"spec": {"template": {"metadata": {"labels": {"app": None}}}}}
    change(rig, CRON_JOBS, "cron", {**none, "spec": {"jobTemplate": {**none, **pods}}})
    later = rig.provider()

    for name, (kind, object_name) in names.items():
        state: State = later.actions[name].observe(targets[name])
        assert any(kind.key(rig.namespace, object_name) in key for key in state.objects), name


def test_a_pod_that_the_agent_made_of_itself_after_the_plan_never_comes_back(rig: Rig) -> None:
    """One that was there when the plan was signed does."""
    rig.pod("known")
    until_there(rig, PODS, 1)
    provider = rig.provider()
    target, action = proposal(provider, PODS_END).target, provider.actions[PODS_END]
    rig.pod("copy")
    until_there(rig, PODS, 2)

    prior, _ = close(action, target, rounds=14)
    undo(action, target, prior)

    names = [one["metadata"]["name"] for one in rig.plane.call("GET", PODS.path(rig.namespace))["items"]]
    assert ["known"] == names
