"""DaemonSets that fit no node, suspended Jobs, and custom resources at zero; each given back."""

from __future__ import annotations

from typing import Any

from breakglass.canon import Json
from breakglass.clock import SystemClock
from breakglass.model.action import Verdict
from breakglass.model.resource import Resource
from breakglass.provider import Action, Outcome
from breakglass_kubernetes.actions.custom_scale import params_of, scaled
from breakglass_kubernetes.actions.daemon_sets import label_value
from breakglass_kubernetes.cluster import MERGE
from breakglass_kubernetes.kinds import CUSTOM_RESOURCES, DAEMON_SETS, JOBS, Kind
from breakglass_kubernetes.objects import managers_of
from breakglass_kubernetes.scope import Scope, target
from providers.kubernetes.tests.planes_k8s import CUSTOM
from providers.kubernetes.tests.rig_k8s import AGENT, SELECTOR, Rig, close, proposal, template, undo

PLANE = CUSTOM
BOT = {"app": "bot"}
DAEMONS = "kubernetes.apps.evict_daemons"
SUSPEND = "kubernetes.batch.suspend_jobs"
SCALE = "kubernetes.apps.scale_to_zero"
ROLLOUTS = Kind("argoproj.io", "v1alpha1", "rollouts", "Rollout")


def step(rig: Rig, name: str) -> tuple[Action, Any]:
    """Return an action and its target, as discovery proposes them."""
    provider = rig.provider()
    found = proposal(provider, name)
    return provider.actions[name], found.target


def pods(rig: Rig) -> int:
    """Return how many pods there are that are not being deleted."""
    listed = rig.plane.call("GET", f"/api/v1/namespaces/{rig.namespace}/pods")["items"]
    return sum(1 for pod in listed if not pod["metadata"].get("deletionTimestamp"))


def until_pods(rig: Rig) -> None:
    """Wait until controllers have made any."""
    for _ in range(600):
        if pods(rig):
            return
        SystemClock().sleep(0.05)


def job(rig: Rig, name: str, **spec: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Make a Job of the agent's."""
    return rig.make(
        JOBS,
        name,
        {"metadata": {"labels": BOT}, "spec": {"template": template(restartPolicy="Never"), **spec}},
    )


def test_daemons_leave_every_node_and_come_back_with_their_own_selector(rig: Rig) -> None:
    """The selector is taken whole and given back whole, with no field left ours."""
    plain = {"selector": {"matchLabels": BOT}, "template": template()}
    rig.make(DAEMON_SETS, "plain", {"spec": plain})
    chosen = {**template(labels={"app": "bot", "of": "some"}, nodeSelector={"kubernetes.io/os": "linux"})}
    some = {"selector": {"matchLabels": {"of": "some"}}, "template": chosen}
    rig.make(DAEMON_SETS, "some", {"spec": some})
    until_pods(rig)
    before = {name: rig.get(DAEMON_SETS, name) for name in ("plain", "some")}
    action, found = step(rig, DAEMONS)

    prior, _ = close(action, found, rounds=14)

    assert pods(rig) == 0
    assert set(undo(action, found, prior).objects.values()) == {Outcome.RESTORED}
    for name, original in before.items():
        now = rig.get(DAEMON_SETS, name)
        assert original["spec"] == now["spec"]
        assert "breakglass" not in managers_of(now)
        assert original["metadata"].get("labels") == now["metadata"].get("labels")


def test_a_node_that_is_given_our_label_does_not_pass_for_stopped(rig: Rig) -> None:
    """Whoever may label nodes lets the pods back in: the step is not contained."""
    plain = {"selector": {"matchLabels": BOT}, "template": template()}
    rig.make(DAEMON_SETS, "plain", {"spec": plain})
    action, found = step(rig, DAEMONS)
    close(action, found, rounds=14)
    mark = {"metadata": {"labels": {"breakglass.dev/stopped": "inc-test"}}}
    rig.plane.call("PATCH", "/api/v1/nodes/sandbox-1", mark, content_type=MERGE)
    SystemClock().sleep(1.0)

    assert action.judge(found, action.observe(found)).verdict is not Verdict.CONTAINED

    gone = {"metadata": {"labels": {"breakglass.dev/stopped": None}}}
    rig.plane.call("PATCH", "/api/v1/nodes/sandbox-1", gone, content_type=MERGE)


def test_an_incident_makes_a_value_that_a_label_may_have() -> None:
    """Whatever an incident is called."""
    assert label_value("inc-1.x_y") == "inc-1.x_y"
    assert label_value("a b/" + "c" * 80) == "a-b-" + "c" * 59
    assert label_value("///") == "stopped"


def test_jobs_are_suspended_and_only_those_go_on_that_ran_before(rig: Rig) -> None:
    """A running Job's pods end; a suspended one stays so; a finished one is left alone."""
    job(rig, "runs")
    job(rig, "waits", suspend=True)
    done = template(restartPolicy="Never")
    done["metadata"]["annotations"] = {"breakglass.dev/completes-after": "0.1"}
    job(rig, "done", template=done)
    for _ in range(200):
        if rig.get(JOBS, "done").get("status", {}).get("succeeded"):
            break
        SystemClock().sleep(0.05)
    SystemClock().sleep(1.0)
    action, found = step(rig, SUSPEND)

    prior, _ = close(action, found, rounds=14)

    assert {"runs", "waits"} == {key.rpartition("/")[2].partition("@")[0] for key in prior}
    assert set(undo(action, found, prior).objects.values()) == {Outcome.RESTORED}
    assert rig.get(JOBS, "runs")["spec"]["suspend"] is False
    assert rig.get(JOBS, "waits")["spec"]["suspend"] is True
    assert "suspend" not in str(rig.get(JOBS, "done")["status"]).lower()
    for name in ("runs", "waits", "done"):
        assert "breakglass" not in managers_of(rig.get(JOBS, name))


def rollout(rig: Rig, name: str, **spec: Any) -> None:  # noqa: ANN401 - JSON
    """Make an Argo Rollout of the agent's."""
    whole = {"selector": {"matchLabels": BOT}, "template": template(), **spec}
    rig.make(ROLLOUTS, name, {"metadata": {"labels": BOT}, "spec": whole})


def scale_step(rig: Rig) -> tuple[Action, Resource]:
    """Return the action over Rollouts, too."""
    provider = rig.provider()
    scope = Scope(agent=AGENT, namespaces=(rig.namespace,), selector=SELECTOR)
    more: dict[str, Json] = {"scalable": params_of([ROLLOUTS]), "cluster": dict(provider.pin)}
    made = target(scope, rig.plane.cluster_uid, "workloads of the test", **more)
    return provider.actions[SCALE], made


def test_a_custom_resource_with_a_scale_is_held_at_zero_where_its_definition_says(rig: Rig) -> None:
    """An Argo Rollout with replicas, and one without any: absent again after the restore."""
    rig.plane.install("argo")
    rollout(rig, "counted", replicas=3)
    rollout(rig, "silent")
    before = {name: rig.get(ROLLOUTS, name) for name in ("counted", "silent")}
    action, found = scale_step(rig)

    prior, _ = close(action, found)

    for name in before:
        assert rig.get(ROLLOUTS, name)["spec"]["replicas"] == 0
    assert set(undo(action, found, prior).objects.values()) == {Outcome.RESTORED}
    for name, original in before.items():
        now = rig.get(ROLLOUTS, name)
        assert original["spec"] == now["spec"]
        assert "breakglass" not in managers_of(now)


def test_a_definition_that_vanishes_takes_its_objects_with_it(rig: Rig) -> None:
    """Contained, with the reason; the restore finds nothing to give back."""
    rig.plane.install("argo")
    rollout(rig, "counted", replicas=3)
    action, found = scale_step(rig)
    prior = dict(action.observe(found).objects)
    path = CUSTOM_RESOURCES.path("", ROLLOUTS.name)
    rig.plane.call("DELETE", path)
    for _ in range(600):
        names = [one["metadata"]["name"] for one in rig.plane.call("GET", CUSTOM_RESOURCES.path())["items"]]
        if ROLLOUTS.name not in names:
            break
        SystemClock().sleep(0.1)

    said = action.judge(found, action.observe(found))

    assert len(prior) == 1
    assert said.verdict is Verdict.CONTAINED
    assert "rollouts.argoproj.io" in said.reason
    assert [Outcome.DRIFTED] == list(undo(action, found, prior).objects.values())


def test_only_a_served_version_with_a_scale_gives_a_path() -> None:
    """Definitions are read as they are."""
    scale = {"subresources": {"scale": {"specReplicasPath": ".spec.size.now"}}}
    names = {"plural": "bots", "kind": "Bot"}
    old = {"name": "v1", "served": False, **scale}
    new = {"name": "v2", "served": True, **scale}
    spec = {"group": "example.com", "names": names, "scope": "Namespaced"}

    assert scaled({"spec": {**spec, "versions": [old]}}) is None
    assert scaled({"spec": {**spec, "versions": [{"name": "v3", "served": True}]}}) is None
    found = scaled({"spec": {**spec, "versions": [old, new]}})
    assert found == (Kind("example.com", "v2", "bots", "Bot"), ("spec", "size", "now"))
