"""Every pod of the agent's ends, at any number; what nobody else makes anew is made anew at restore."""

from __future__ import annotations

import time
from typing import Any

from breakglass.clock import SystemClock
from breakglass.model.action import Verdict
from breakglass.model.resource import State
from breakglass.provider import Action, Outcome
from breakglass_kubernetes.actions.pods import deletion
from breakglass_kubernetes.cluster import MERGE
from breakglass_kubernetes.kinds import DEPLOYMENTS, PODS
from providers.kubernetes.tests.rig_k8s import Rig, proposal, template

ACTION = "kubernetes.pods.end_pods"
SCALE = "kubernetes.apps.scale_to_zero"
MANY = 100


def step(rig: Rig, action: str = ACTION) -> tuple[Action, Any]:
    """Return an action and its target, as discovery proposes them."""
    provider = rig.provider()
    found = proposal(provider, action)
    return provider.actions[action], found.target


def until(rig: Rig, count: int, phase: str = "Running") -> None:
    """Wait until so many pods are in a phase."""
    for _ in range(600):
        listed = rig.plane.call("GET", f"/api/v1/namespaces/{rig.namespace}/pods")["items"]
        if sum(1 for pod in listed if pod.get("status", {}).get("phase") == phase) >= count:
            return
        SystemClock().sleep(0.1)
    raise AssertionError(f"no {count} pods are {phase}")


def end(action: Action, target: Any, rounds: int = 12) -> tuple[dict[str, Any], str]:  # noqa: ANN401 - a target
    """Observe and apply until contained; return the first-seen states and the reason."""
    prior: dict[str, Any] = {}
    reason = ""
    for n in range(rounds):
        state = action.observe(target)
        for key, value in state.objects.items():
            prior.setdefault(key, value)
        said = action.judge(target, state)
        reason = said.reason
        if said.verdict is Verdict.CONTAINED:
            return prior, reason
        action.apply(target, state, f"token-{n}")
    raise AssertionError(f"not contained after {rounds} rounds: {reason}")


def test_a_bare_pod_ends_and_is_made_anew_equal_but_for_uid_times_and_node(rig: Rig) -> None:
    """Its manifest lies in sealed state: an environment may hold secrets, and the journal must not."""
    secret = "hunter2-in-the-environment"  # noqa: S105 - what a leak would show
    container = {"name": "main", "image": "example.invalid/bot:1", "env": [{"name": "KEY", "value": secret}]}
    rig.pod("bare", containers=[container], terminationGracePeriodSeconds=5)
    until(rig, 1)
    original = rig.get(PODS, "bare")
    action, target = step(rig)

    prior, _ = end(action, target)

    assert secret not in str(prior)
    done = action.revert(target, State(prior), action.observe(target))
    assert [Outcome.RESTORED] == list(done.objects.values())
    now = rig.get(PODS, "bare")
    assert now["metadata"]["uid"] != original["metadata"]["uid"]
    assert now["metadata"]["labels"] == original["metadata"]["labels"]
    assert without_node(now) == without_node(original)
    again = action.revert(target, State(prior), action.observe(target))
    assert [Outcome.ALREADY] == list(again.objects.values())


def without_node(pod: dict[str, Any]) -> dict[str, Any]:
    """Return the specification but for what the scheduler finds."""
    return {name: value for name, value in pod["spec"].items() if name != "nodeName"}


def test_another_pod_under_the_name_is_left_alone(rig: Rig) -> None:
    """Somebody made one meanwhile: it is theirs."""
    rig.pod("bare")
    until(rig, 1)
    action, target = step(rig)
    prior, _ = end(action, target)
    rig.pod("bare", hostname="elsewhere")

    done = action.revert(target, State(prior), State({}))

    assert [Outcome.DRIFTED] == list(done.objects.values())


def test_what_was_over_or_ending_before_the_stop_is_not_revived(rig: Rig) -> None:
    """A finished pod is no target; one that was being deleted already is not made anew."""
    done = {"metadata": {"labels": {"app": "bot"}, "annotations": {"breakglass.dev/completes-after": "0.1"}}}
    rig.make(PODS, "done", {**done, "spec": template(restartPolicy="Never")["spec"]})
    until(rig, 1, "Succeeded")
    rig.pod("going")
    until(rig, 1)
    rig.plane.control("hold", {"namespace": rig.namespace, "pod": "going"})
    rig.plane.call("DELETE", PODS.path(rig.namespace, "going"))
    action, target = step(rig)
    state = action.observe(target)
    rig.plane.control("hold", {"namespace": rig.namespace, "pod": "going", "release": True})

    prior, _ = end(action, target)

    assert [f"pods/{rig.namespace}/going"] == [key.partition("@")[0] for key in state.objects]
    assert [Outcome.ENDED] == list(action.revert(target, State(prior), State({})).objects.values())


def test_a_finalizer_keeps_the_object_and_not_the_process(rig: Rig) -> None:
    """Contained once the kubelet confirmed; the finalizer is named."""
    rig.pod("kept")
    path = PODS.path(rig.namespace, "kept")
    rig.plane.call("PATCH", path, {"metadata": {"finalizers": ["example.com/hold"]}}, content_type=MERGE)
    until(rig, 1)
    action, target = step(rig)

    _, reason = end(action, target)

    assert "held by finalizer example.com/hold" in reason
    assert rig.get(PODS, "kept")["metadata"]["deletionTimestamp"]
    rig.plane.call("PATCH", path, {"metadata": {"finalizers": None}}, content_type=MERGE)


def test_pods_of_a_controller_that_goes_on_are_seen_again_and_again(rig: Rig) -> None:
    """Nobody scaled the Deployment: each pod is ended, and each new one keeps the step open."""
    rig.deployment(replicas=2)
    until(rig, 2)
    action, target = step(rig)

    for _ in range(6):
        state = action.observe(target)
        assert action.judge(target, state).verdict is not Verdict.CONTAINED
        action.apply(target, state, "token")

    assert len(state.objects) > 2
    scale, over = step(rig, SCALE)
    scale.apply(over, scale.observe(over), "token")
    prior, _ = end(action, target)
    outcomes = action.revert(target, State(prior), State({})).objects
    assert {Outcome.ENDED} == set(outcomes.values())


def test_a_hundred_pods_end_in_a_few_listings(rig: Rig) -> None:
    """No call for each pod where a controller ends them; a look takes a second, which its watch lasts."""
    rig.deployment(replicas=MANY)
    until(rig, MANY)
    scale, over = step(rig, SCALE)
    action, target = step(rig)
    first = time.monotonic()
    state = action.observe(target)
    observed_s = time.monotonic() - first
    scale.apply(over, scale.observe(over), "token")

    _, reason = end(action, target, rounds=60)

    assert reason == f"all {MANY} pods have ended"
    assert len(state.objects) == MANY
    assert observed_s < 5.0
    assert rig.get(DEPLOYMENTS, "bot")["spec"]["replicas"] == 0


def test_when_a_pod_is_deleted_and_how() -> None:
    """Each line is one pod; None: not now, 0: by its own grace period."""
    pod = {"fate": "runs", "grace_s": 30, "ending_s": None, "left": False}

    assert deletion(pod, 0.0) == 0
    assert deletion({**pod, "grace_s": 900}, 0.0) == 30
    assert deletion({**pod, "grace_s": 0}, 0.0) == 1
    assert deletion({**pod, "left": True}, 1.0) is None
    assert deletion({**pod, "left": True, "grace_s": 0}, 0.0) == 1
    assert deletion({**pod, "left": True}, 2.0) == 0
    assert deletion({**pod, "fate": "ending", "ending_s": 30}, 9.0) is None
    assert deletion({**pod, "fate": "ending", "ending_s": 900}, 0.0) == 30
    assert all(deletion({**pod, "fate": fate}, 9.0) is None for fate in ("ended", "lost", "static"))
