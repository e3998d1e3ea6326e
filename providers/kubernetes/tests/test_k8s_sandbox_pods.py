"""The stub's pods: they start, log, restart, end when they are told to, and sometimes do not."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from breakglass_kubernetes.sandbox.process import ApiError, Sandbox
from providers.kubernetes.tests.planes_k8s import OWN

PLANE = OWN  # it counts what the stub kubelet does
MERGE = "application/merge-patch+json"
LONG_S = 30.0


def until(holds: Callable[[], object], what: str) -> None:
    """Wait until it holds."""
    end = time.monotonic() + LONG_S
    while not holds():
        assert time.monotonic() < end, f"not within {LONG_S:.0f} s: {what}"
        time.sleep(0.05)


@pytest.fixture
def ns(plane: Sandbox) -> str:
    """Return a new namespace."""
    name = f"pods-{uuid.uuid4().hex[:8]}"
    plane.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    until(lambda: _found(plane, f"/api/v1/namespaces/{name}/serviceaccounts/default"), "its account")
    return name


def _found(plane: Sandbox, path: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return plane.call("GET", path)
    except ApiError as error:
        if error.status != 404:
            raise
        return None


def _pods(plane: Sandbox, ns: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = plane.call("GET", f"/api/v1/namespaces/{ns}/pods")["items"]
    return found


def _spec(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"containers": [{"name": "main", "image": "agent:1"}], **more}


def _pod(
    plane: Sandbox,
    ns: str,
    name: str,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,  # noqa: ANN401
) -> str:
    meta = {"name": name, "annotations": dict(annotations or {}), "finalizers": spec.pop("finalizers", [])}
    plane.call("POST", f"/api/v1/namespaces/{ns}/pods", {"metadata": meta, "spec": _spec(**spec)})
    return f"/api/v1/namespaces/{ns}/pods/{name}"


def _phase(plane: Sandbox, path: str) -> str:
    found = _found(plane, path)
    return "" if found is None else found["status"]["phase"]


def _process(plane: Sandbox, ns: str, name: str) -> dict[str, Any]:
    found = [each for each in plane.control("processes", {"namespace": ns}) if each["pod"] == name]
    assert len(found) == 1
    return dict(found[0])


def test_a_deployments_pods_run_and_log_and_end(plane: Sandbox, ns: str) -> None:
    """A whole life, through the real controllers."""
    labels = {"app": "bot"}
    template = {
        "metadata": {"labels": labels, "annotations": {"breakglass.dev/log": "first\nsecond"}},
        "spec": _spec(initContainers=[{"name": "prepare", "image": "i"}]),
    }
    body = {
        "metadata": {"name": "bot"},
        "spec": {"replicas": 3, "selector": {"matchLabels": labels}, "template": template},
    }
    base = f"/apis/apps/v1/namespaces/{ns}/deployments"
    plane.call("POST", base, body)
    until(lambda: plane.call("GET", f"{base}/bot")["status"].get("readyReplicas") == 3, "three are ready")

    found = _pods(plane, ns)
    assert {"sandbox-1", "sandbox-2"} == {pod["spec"]["nodeName"] for pod in found}
    assert len({pod["status"]["podIP"] for pod in found}) == 3
    states = [pod["status"]["initContainerStatuses"][0]["state"]["terminated"] for pod in found]
    assert {"Completed"} == {state["reason"] for state in states}
    name = found[0]["metadata"]["name"]
    log = f"/api/v1/namespaces/{ns}/pods/{name}/log"
    assert plane.call("GET", log, query={"container": "main"}) == "first\nsecond\n"
    assert name in plane.call("GET", log, query={"container": "prepare"})

    plane.call("PATCH", f"{base}/bot", {"spec": {"replicas": 0}}, content_type=MERGE)
    until(lambda: not _pods(plane, ns), "they are gone")
    told = plane.control("processes", {"namespace": ns})
    assert len(told) == 3
    assert all(each["ended_at"] > each["began_at"] for each in told)


def test_a_log_is_answered_as_it_was_asked_for(plane: Sandbox, ns: str) -> None:
    """tailLines, limitBytes, previous, and lines that a test writes."""
    path = _pod(plane, ns, "talker", {"breakglass.dev/restarts": "2"})
    until(lambda: _phase(plane, path) == "Running", "it runs")
    plane.control("logs", {"namespace": ns, "pod": "talker", "container": "main", "lines": ["a", "b", "c"]})

    def log(**query: int | bool) -> str:
        return str(plane.call("GET", f"{path}/log", query=query))

    assert log() == "a\nb\nc\n"
    assert log(tailLines=1) == "c\n"
    assert log(limitBytes=3) == "a\nb"
    assert log(timestamps=True, tailLines=1).endswith("Z c\n")
    assert "previous run" in log(previous=True)
    status = plane.call("GET", path)["status"]["containerStatuses"][0]
    assert status["restartCount"] == 2
    assert status["lastState"]["terminated"]["exitCode"] == 1


def test_no_previous_log_where_nothing_restarted(plane: Sandbox, ns: str) -> None:
    """A kubelet refuses it with 400, as here."""
    path = _pod(plane, ns, "steady")
    until(lambda: _phase(plane, path) == "Running", "it runs")

    with pytest.raises(ApiError, match="previous terminated container") as refused:
        plane.call("GET", f"{path}/log", query={"previous": True})
    assert refused.value.status == 400


def test_one_that_ignores_the_signal_uses_its_whole_grace(plane: Sandbox, ns: str) -> None:
    """Its process runs until then, and is reported killed."""
    path = _pod(
        plane, ns, "deaf", {"breakglass.dev/ignores-sigterm": "true"}, terminationGracePeriodSeconds=2
    )
    until(lambda: _phase(plane, path) == "Running", "it runs")
    asked = time.time()
    plane.call("DELETE", path)
    time.sleep(1)

    assert _process(plane, ns, "deaf")["ended_at"] is None
    until(lambda: not _phase(plane, path), "it is gone")
    assert _process(plane, ns, "deaf")["ended_at"] - asked > 1.8


def test_a_held_deletion_is_confirmed_once_it_is_let_go(plane: Sandbox, ns: str) -> None:
    """Until then the pod is there, and its process runs."""
    path = _pod(plane, ns, "held")
    until(lambda: _phase(plane, path) == "Running", "it runs")
    plane.control("hold", {"namespace": ns, "pod": "held"})
    plane.call("DELETE", path)
    time.sleep(1)

    assert _phase(plane, path) == "Running"
    assert _process(plane, ns, "held")["ended_at"] is None
    plane.control("hold", {"namespace": ns, "pod": "held", "release": True})
    until(lambda: not _phase(plane, path), "it is gone")


def test_a_finalizer_keeps_the_object_and_not_the_process(plane: Sandbox, ns: str) -> None:
    """The object says that its containers ended, and goes with the finalizer."""
    path = _pod(plane, ns, "kept", finalizers=["example.com/keep"])
    until(lambda: _phase(plane, path) == "Running", "it runs")
    plane.call("DELETE", path)
    until(lambda: _phase(plane, path) == "Succeeded", "its containers ended")

    assert "terminated" in plane.call("GET", path)["status"]["containerStatuses"][0]["state"]
    assert _process(plane, ns, "kept")["ended_at"] is not None
    plane.call("PATCH", path, {"metadata": {"finalizers": None}}, content_type=MERGE)
    until(lambda: not _phase(plane, path), "it is gone")


def test_a_forced_deletion_removes_the_object_before_the_process(plane: Sandbox, ns: str) -> None:
    """So an absent pod proves nothing."""
    path = _pod(plane, ns, "forced", {"breakglass.dev/ignores-sigterm": "true"})
    until(lambda: _phase(plane, path) == "Running", "it runs")
    plane.call("DELETE", path, {"gracePeriodSeconds": 0})

    assert not _phase(plane, path)
    assert _process(plane, ns, "forced")["ended_at"] is None
    until(lambda: _process(plane, ns, "forced")["ended_at"], "its process ends too")


def test_a_daemon_set_leaves_nodes_that_its_selector_does_not_match(plane: Sandbox, ns: str) -> None:
    """One pod a node; none once no node fits."""
    labels = {"app": "daemon"}
    template = {"metadata": {"labels": labels}, "spec": _spec()}
    body = {
        "metadata": {"name": "daemon"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }
    base = f"/apis/apps/v1/namespaces/{ns}/daemonsets"
    plane.call("POST", base, body)
    until(lambda: plane.call("GET", f"{base}/daemon")["status"].get("numberReady", 0) >= 2, "one a node")
    nodes = [pod["spec"]["nodeName"] for pod in _pods(plane, ns)]

    assert len(nodes) == len(set(nodes))
    selector = {"spec": {"template": {"spec": {"nodeSelector": {"nobody": "has"}}}}}
    plane.call("PATCH", f"{base}/daemon", selector, content_type=MERGE)
    until(lambda: not _pods(plane, ns), "they are gone")


def test_a_pod_that_no_node_takes_stays_pending(plane: Sandbox, ns: str) -> None:
    """It says why, and is bound when a node fits."""
    path = _pod(plane, ns, "picky", nodeSelector={"only": ns})
    until(lambda: plane.call("GET", path)["status"].get("conditions"), "it says so")

    assert plane.call("GET", path)["status"]["conditions"][0]["reason"] == "Unschedulable"
    plane.call("PATCH", "/api/v1/nodes/sandbox-1", {"metadata": {"labels": {"only": ns}}}, content_type=MERGE)
    until(lambda: _phase(plane, path) == "Running", "it runs")


def test_jobs_complete_and_fail_when_they_are_told_to(plane: Sandbox, ns: str) -> None:
    """Through the real job controller."""
    base = f"/apis/batch/v1/namespaces/{ns}/jobs"
    for name, annotation in (("done", "completes-after"), ("broken", "fails-after")):
        template = {
            "metadata": {"annotations": {f"breakglass.dev/{annotation}": "0.3"}},
            "spec": _spec(restartPolicy="Never"),
        }
        plane.call(
            "POST", base, {"metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": template}}
        )

    until(lambda: plane.call("GET", f"{base}/done")["status"].get("succeeded") == 1, "it succeeds")
    until(lambda: plane.call("GET", f"{base}/broken")["status"].get("failed") == 1, "it fails")


def test_a_waiting_container_has_no_log(plane: Sandbox, ns: str) -> None:
    """As one whose image cannot be pulled."""
    path = _pod(plane, ns, "stuck", {"breakglass.dev/waiting": "ImagePullBackOff"})
    until(lambda: plane.call("GET", path)["status"].get("containerStatuses"), "it has a status")

    with pytest.raises(ApiError, match="waiting to start"):
        plane.call("GET", f"{path}/log")
    assert _phase(plane, path) == "Pending"
    plane.call("DELETE", path)
    until(lambda: not _phase(plane, path), "it is gone")
