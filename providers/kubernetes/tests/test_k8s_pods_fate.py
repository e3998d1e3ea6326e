"""What can be known of a pod's end: the agent's attempts to hide a process that runs on."""

from __future__ import annotations

from typing import Any

from breakglass.clock import SystemClock
from breakglass.model.action import Verdict
from breakglass.provider import Action
from breakglass_kubernetes.actions.pod_book import Book, reconsider
from breakglass_kubernetes.actions.pod_doors import doors
from breakglass_kubernetes.actions.pod_fate import Fate, confirmed, fate_of, last_words
from breakglass_kubernetes.kinds import PODS
from breakglass_kubernetes.ownership import Thing
from providers.kubernetes.tests.planes_k8s import OWN
from providers.kubernetes.tests.rig_k8s import Rig, proposal

PLANE = OWN  # it restarts the API server, and nodes go
ACTION = "kubernetes.pods.end_pods"
READY = {"n": True}


def step(rig: Rig) -> tuple[Action, Any]:
    """Return the action and its target, as discovery proposes them."""
    provider = rig.provider()
    found = proposal(provider, ACTION)
    return provider.actions[ACTION], found.target


def running(rig: Rig, *names: str) -> None:
    """Wait until the kubelet runs these pods."""
    for name in names:
        for _ in range(1200):
            if rig.get(PODS, name).get("status", {}).get("phase") == "Running":
                break
            SystemClock().sleep(0.05)


def look(action: Action, target: Any) -> tuple[Verdict, str]:  # noqa: ANN401 - a target
    """Look once."""
    said = action.judge(target, action.observe(target))
    return said.verdict, said.reason


def rounds(action: Action, target: Any, n: int) -> tuple[Verdict, str]:  # noqa: ANN401 - a target
    """Observe and apply as the engine does; return the last verdict."""
    for _ in range(n):
        state = action.observe(target)
        said = action.judge(target, state)
        if said.verdict is Verdict.CONTAINED:
            return said.verdict, said.reason
        action.apply(target, state, "token")
    return look(action, target)


def force_delete(rig: Rig, name: str) -> None:
    """Delete a pod without waiting for its kubelet, as the agent may."""
    rig.plane.call("DELETE", PODS.path(rig.namespace, name), {"gracePeriodSeconds": 0})


def test_a_pod_that_the_agent_removes_by_force_between_two_looks_is_unknown(rig: Rig) -> None:
    """Its object is gone and its process may run on: the node is named, and no later look forgets it."""
    rig.pod("hidden")
    running(rig, "hidden")
    action, target = step(rig)
    assert look(action, target)[0] is Verdict.NOT_CONTAINED

    force_delete(rig, "hidden")

    for _ in range(2):
        found, reason = look(action, target)
        assert found is Verdict.UNKNOWN
        assert "was removed by force; node sandbox-" in reason


def test_force_after_a_graceful_deletion_is_seen_too(rig: Rig) -> None:
    """Our own deletion runs; the agent hurries it with force before the kubelet has said anything."""
    rig.pod("hurried")
    running(rig, "hurried")
    rig.plane.control("hold", {"namespace": rig.namespace, "pod": "hurried"})
    action, target = step(rig)
    action.apply(target, action.observe(target), "token")
    assert look(action, target)[0] is Verdict.UNKNOWN

    force_delete(rig, "hurried")

    found, reason = look(action, target)
    assert found is Verdict.UNKNOWN
    assert "by force" in reason


def test_a_pod_that_came_and_was_removed_between_the_plan_and_the_first_look_is_seen(rig: Rig) -> None:
    """History since the plan is read: what nobody listed is unknown all the same."""
    action, target = step(rig)
    rig.pod("brief")
    running(rig, "brief")
    force_delete(rig, "brief")

    found, reason = look(action, target)

    assert found is Verdict.UNKNOWN
    assert "brief" in reason


def test_a_pod_that_vanished_after_the_plan_is_unknown_where_the_server_forgot_how(rig: Rig) -> None:
    """Two people take their time, and another process runs the plan: it was signed that this pod lived."""
    rig.pod("hidden")
    running(rig, "hidden")
    _, target = step(rig)
    force_delete(rig, "hidden")
    rig.plane.restart_api()  # it knows what is there, and no more how that came

    action, _ = step(rig)
    for _ in range(2):
        verdict, reason = look(action, target)
        assert verdict is Verdict.UNKNOWN, reason
        assert "hidden@" in reason
        assert "vanished after the plan, and nobody saw how; it was on node sandbox-" in reason


def test_a_pod_whose_labels_are_taken_away_stays_the_agents(rig: Rig) -> None:
    """It was the agent's at one look: it is deleted under whatever labels."""
    rig.pod("bare")
    running(rig, "bare")
    action, target = step(rig)
    state = action.observe(target)
    path = PODS.path(rig.namespace, "bare")
    rig.plane.call("PATCH", path, {"metadata": {"labels": None}}, content_type="application/merge-patch+json")
    action.apply(target, state, "token")

    assert rounds(action, target, 6)[0] is Verdict.CONTAINED


def test_a_pod_on_a_node_that_is_not_ready_is_unknown_and_the_node_is_named(rig: Rig) -> None:
    """Nobody there confirms; once the node is back and says that the pod ended, it is contained."""
    rig.plane.control("node", {"name": "far", "ready": True, "labels": {"place": rig.namespace}})
    rig.pod("away", nodeSelector={"place": rig.namespace})
    running(rig, "away")
    rig.plane.control("node", {"name": "far", "ready": False})
    provider = rig.provider()
    (before,) = [one for one in provider.discover().doors if one.door.name == "node far"]
    assert before.closed_by == ("end_pods",)
    action, target = step(rig)

    found, reason = rounds(action, target, 2)
    assert found is Verdict.UNKNOWN
    assert "node far, which is not ready" in reason
    rig.plane.control("node", {"name": "far", "ready": True})
    assert rounds(action, target, 8)[0] is Verdict.CONTAINED


def test_a_pod_removed_by_force_from_a_node_that_is_gone_is_unknown(rig: Rig) -> None:
    """A node that left the cluster confirms nothing."""
    rig.plane.control("node", {"name": "gone", "ready": True, "labels": {"gone": rig.namespace}})
    rig.pod("orphan", nodeSelector={"gone": rig.namespace})
    running(rig, "orphan")
    action, target = step(rig)
    action.observe(target)
    rig.plane.control("node", {"name": "gone", "ready": False})
    rig.plane.call("DELETE", "/api/v1/nodes/gone")
    force_delete(rig, "orphan")

    found, reason = look(action, target)

    assert found is Verdict.UNKNOWN
    assert "gone" in reason


def test_a_grace_period_of_zero_is_no_deletion_by_force(rig: Rig) -> None:
    """The agent gave its pod no grace: it is deleted with one second, so that its kubelet confirms it."""
    rig.pod("hasty", terminationGracePeriodSeconds=0)
    running(rig, "hasty")
    action, target = step(rig)

    assert rounds(action, target, 6)[0] is Verdict.CONTAINED


def test_days_of_grace_are_cut_to_thirty_seconds_also_where_the_deletion_began_before(rig: Rig) -> None:
    """An agent cannot give itself time; until the kubelet confirms, the verdict says when it ends."""
    for name in ("days", "begun"):
        rig.pod(name, terminationGracePeriodSeconds=900000)
    running(rig, "days", "begun")
    rig.plane.control("hold", {"namespace": rig.namespace})
    rig.plane.call("DELETE", PODS.path(rig.namespace, "begun"))
    action, target = step(rig)

    found, reason = rounds(action, target, 2)

    assert found is Verdict.UNKNOWN
    for name in ("days", "begun"):
        about = rig.get(PODS, name)["metadata"]
        assert about["deletionGracePeriodSeconds"] == 30
        assert f"{name}@{about['uid'][:8]} ends by {about['deletionTimestamp']} at the latest" in reason
    rig.plane.control("hold", {"namespace": rig.namespace, "release": True})
    assert rounds(action, target, 6)[0] is Verdict.CONTAINED


def pod(
    phase: str,
    *states: dict[str, Any],
    node: str = "n",
    deleted: bool = False,
    **status: Any,  # noqa: ANN401 - JSON
) -> dict[str, Any]:
    """Return a pod with one container status for each state, and one container at least."""
    names = [f"c{n}" for n in range(max(1, len(states)))]
    about = {"name": "p"} | ({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {})
    told = [{"name": f"c{n}", "state": state} for n, state in enumerate(states)]
    return {
        "metadata": about,
        "spec": {"nodeName": node, "containers": [{"name": name} for name in names]},
        "status": {"phase": phase, "containerStatuses": told, **status},
    }


ENDED = {"terminated": {"exitCode": 0}}
RUNS: dict[str, Any] = {"running": {}}
WAITS = {"waiting": {"reason": "ContainerCreating"}}
COLLECTED = [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC"}]


def test_the_rule_says_ended_only_where_a_kubelet_said_so() -> None:
    """Each line is one way to be deleted or over."""
    assert fate_of(pod("Running", RUNS), READY)[0] is Fate.RUNS
    assert fate_of(pod("Running", RUNS, deleted=True), READY)[0] is Fate.ENDING
    assert fate_of(pod("Running", ENDED, RUNS, deleted=True), READY)[0] is Fate.ENDING
    assert fate_of(pod("Succeeded", ENDED), READY)[0] is Fate.ENDED
    assert fate_of(pod("Running", ENDED, deleted=True), READY)[0] is Fate.ENDED
    assert fate_of(pod("Running", ENDED, deleted=True), {"n": False})[0] is Fate.LOST
    assert fate_of(pod("Running", ENDED, deleted=True), {})[0] is Fate.LOST
    assert fate_of(pod("Pending", node="", deleted=True), READY)[0] is Fate.ENDED
    assert fate_of(pod("Failed", RUNS), READY)[0] is Fate.LOST
    assert fate_of(pod("Failed", RUNS, conditions=COLLECTED), {})[0] is Fate.LOST
    assert last_words(pod("Running", RUNS), READY)[0] is Fate.LOST
    assert last_words(pod("Pending"), READY)[0] is Fate.LOST
    assert last_words(pod("Pending", node=""), READY)[0] is Fate.ENDED
    assert last_words(pod("Succeeded", ENDED), READY)[0] is Fate.ENDED


def test_last_words_on_a_silent_node_are_believed_once_it_is_back() -> None:
    """A node that was slow for a moment makes nothing unknown for good; a removal by force stays so."""
    seen = {"fate": "lost", "why": "", "node": "n", "removed": True}
    book = Book(known={"told": {**seen, "told": True}, "forced": {**seen, "told": False}})

    reconsider(book, {"n": False})
    assert {"lost"} == {one["fate"] for one in book.known.values()}
    reconsider(book, READY)
    assert ["ended", "lost"] == [one["fate"] for one in book.known.values()]


def test_what_waits_and_what_runs_beside_the_containers_counts() -> None:
    """A container that was never started has ended with its pod; a sidecar that runs has not."""
    sidecar = [{"name": "s", "state": RUNS}]

    assert confirmed(pod("Failed", WAITS))
    assert not confirmed(pod("Running", WAITS))
    assert not confirmed(pod("Failed", WAITS, conditions=COLLECTED))
    assert not confirmed(pod("Succeeded", ENDED, initContainerStatuses=sidecar))
    assert not confirmed(pod("Succeeded", ENDED, ephemeralContainerStatuses=sidecar))
    assert confirmed(pod("Failed"))
    assert not confirmed(pod("Failed", conditions=COLLECTED))


def test_a_static_pod_is_named_with_its_node_and_never_ended_by_its_mirror() -> None:
    """Deleting the mirror does nothing: a file on the node makes the pod."""
    body = pod("Running", RUNS)
    body["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "hash"}

    body["metadata"]["namespace"] = "ns"
    (door,) = doors([Thing(PODS, body)], READY, "end_pods")

    assert (door.door.name, door.door.verdict, door.closed_by) == ("pods/ns/p", Verdict.NOT_CONTAINED, ())
    assert fate_of(body, READY) == (Fate.STATIC, "is a static pod: a file on node n makes it")
    assert last_words(body, READY)[0] is Fate.LOST
