"""The logs of the agent's containers are kept before its pods go, without the secrets in them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from breakglass.errors import Denied
from breakglass.model.resource import State
from breakglass_kubernetes.actions.pod_logs import CollectPodLogs
from breakglass_kubernetes.kinds import PODS
from breakglass_kubernetes.log_reading import Read, read, streams
from breakglass_kubernetes.sandbox.process import Sandbox
from providers.kubernetes.tests.rig_k8s import Rig, close, proposal

ACTION = "kubernetes.logs.collect"
SECRET = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"  # noqa: S105 - nobody's


def until(found: Callable[[], bool], *, within_s: float = 20.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + within_s
    while not found():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def running(rig: Rig, count: int) -> list[dict[str, Any]]:
    """Wait until so many pods run, and return them."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        listed = rig.plane.call("GET", PODS.path(rig.namespace))["items"]
        found[:] = [pod for pod in listed if pod["status"].get("phase") == "Running"]
        return len(found) == count

    until(look)
    return found


def written(rig: Rig, state: State) -> dict[str, str]:
    """Return the collected logs by name."""
    return {
        key: (rig.folder / "incident-0" / str(one["path"])).read_text()
        for key, one in state.objects.items()
        if isinstance(one, dict) and "path" in one
    }


def collect(rig: Rig) -> tuple[CollectPodLogs, State, str]:
    """Collect the logs of the agent as the engine does; return what was said."""
    provider = rig.provider()
    step, action = proposal(provider, ACTION), provider.actions[ACTION]
    _prior, state = close(action, step.target)
    return CollectPodLogs(provider.cluster), state, action.judge(step.target, state).reason


def say(rig: Rig, pod: str, lines: list[str], *, container: str = "main") -> None:
    """Let a container have written these lines."""
    order = {"namespace": rig.namespace, "pod": pod, "container": container, "lines": lines}
    rig.plane.control("logs", order)


def test_every_container_is_read_and_no_secret_of_it_is_written(rig: Rig) -> None:
    """Of a Deployment's pods and of a bare one, init containers too; others' pods are not read."""
    rig.deployment(replicas=2)
    first = {"name": "first", "image": "example.invalid/first:1"}
    rig.pod("bare", initContainers=[first])
    rig.pod("stranger", labels={"app": "other"})
    running(rig, 4)
    say(rig, "bare", ["hello", f"token is {SECRET}", "password=hunter2", "bye"])

    _action, state, reason = collect(rig)

    logs = {key: text for key, text in written(rig, state).items() if key.endswith(".log")}
    assert len(logs) == 4
    assert not any("stranger" in key for key in logs)
    bare = next(text for key, text in logs.items() if "/bare-" in key and "main" in key)
    assert "hello" in bare
    assert "bye" in bare
    assert SECRET not in bare
    assert "hunter2" not in bare
    assert any("first" in key for key in logs)
    assert "partial" not in reason


def test_of_a_log_that_is_too_long_the_newest_lines_are_kept(rig: Rig) -> None:
    """The server's own bound would keep the oldest."""
    rig.pod("bare")
    (pod,) = running(rig, 1)
    say(rig, "bare", [f"line {n:06d} {'.' * 80}" for n in range(5000)])
    cluster = rig.provider().cluster
    (stream,) = streams(pod)

    found = read(cluster, stream, None, 100_000, lambda: 10.0)

    assert found.cut
    assert len(found.data) < 100_000
    assert len(found.data) > 40_000
    assert found.data.rstrip(b".\n").endswith(b"line 004999 ")


def test_a_log_of_one_endless_line_is_cut_and_said(rig: Rig) -> None:
    """An agent may write a line that no bound suffices for."""
    rig.pod("bare")
    (pod,) = running(rig, 1)
    say(rig, "bare", ["x" * 300_000])

    found = read(rig.provider().cluster, streams(pod)[0], None, 100_000, lambda: 10.0)

    assert found.cut
    assert 0 < len(found.data) <= 100_000


def test_a_pod_that_vanishes_in_the_middle_is_said(rig: Rig) -> None:
    """It has no log any more; that is no failure of the reading."""
    rig.pod("bare")
    (pod,) = running(rig, 1)
    rig.plane.call("DELETE", PODS.path(rig.namespace, "bare"), {"gracePeriodSeconds": 0})

    found = read(rig.provider().cluster, streams(pod)[0], None, 1000, lambda: 5.0)

    assert found == Read(gone=True)


def test_logs_of_a_node_that_does_not_answer_leave_the_step_unknown(rig: Rig) -> None:
    """They are there and were not read: that is never called contained; others are read all the same."""
    rig.pod("bare")
    (pod,) = running(rig, 1)
    node = pod["spec"]["nodeName"]
    provider = rig.provider()
    step, action = proposal(provider, ACTION), provider.actions[ACTION]
    rig.plane.control("node", {"name": node, "ready": False})
    try:
        with pytest.raises(Denied, match="left out"):
            action.apply(step.target, State({}), "token")
    finally:
        rig.plane.control("node", {"name": node, "ready": True})

    said = action.judge(step.target, action.observe(step.target))
    assert said.verdict.value == "unknown"
    assert f"{rig.namespace}/bare main" in said.reason


def test_a_flood_of_new_pods_does_not_hide_an_old_one(plane: Sandbox, tmp_path: Path) -> None:
    """Of each controller one pod is read before the second ones of any."""
    rig = Rig(plane, tmp_path)
    rig.deployment("old", replicas=1)
    running(rig, 1)
    for n in range(6):
        rig.pod(f"noise-{n}")
    running(rig, 7)

    _action, state, _reason = collect(rig)

    order = [key for key in state.objects if key.endswith(".log")]
    assert next(n for n, key in enumerate(order) if "/old-" in key) <= 4
    rig.close()


def test_what_was_collected_is_not_collected_twice(rig: Rig) -> None:
    """A second round of the engine adds nothing."""
    rig.pod("bare")
    running(rig, 1)
    provider = rig.provider()
    step, action = proposal(provider, ACTION), provider.actions[ACTION]
    close(action, step.target)
    before = sorted((rig.folder / "incident-0").rglob("*"))

    action.apply(step.target, action.observe(step.target), "again")

    assert sorted((rig.folder / "incident-0").rglob("*")) == before
