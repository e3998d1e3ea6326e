"""A node that is parted from the API server: what its pods look like, and what still runs there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from breakglass_kubernetes.sandbox.process import ApiError, Sandbox
from providers.kubernetes.tests.planes_k8s import OWN

PLANE = OWN  # its nodes are parted
NODE = "edge-1"
PODS = "/api/v1/namespaces/default/pods"


def _until(holds: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def _there(plane: Sandbox, name: str) -> Any:  # noqa: ANN401 - JSON
    return next((p for p in plane.call("GET", PODS)["items"] if p["metadata"]["name"] == name), None)


def _runs(plane: Sandbox, name: str) -> bool:
    found = _there(plane, name)
    return bool(found) and found["status"].get("phase") == "Running"


def _start(plane: Sandbox, name: str) -> None:
    plane.control("node", {"name": NODE, "labels": {"zone": "edge"}, "ready": True})
    spec = {"containers": [{"name": "main", "image": "i"}], "nodeSelector": {"zone": "edge"}}
    plane.call("POST", PODS, {"metadata": {"name": name}, "spec": spec})
    _until(lambda: _runs(plane, name), "it runs there")


def _ready(plane: Sandbox) -> str:
    conditions = plane.call("GET", f"/api/v1/nodes/{NODE}")["status"]["conditions"]
    return str(next(each["status"] for each in conditions if each["type"] == "Ready"))


def test_a_parted_node_confirms_nothing_until_it_is_back(plane: Sandbox) -> None:
    """A deleted pod stays Terminating, its log cannot be read, and its process runs on."""
    _start(plane, "far")
    plane.control("node", {"name": NODE, "ready": False})
    plane.call("DELETE", f"{PODS}/far")
    time.sleep(1.5)

    assert _ready(plane) == "Unknown"
    assert _there(plane, "far")["metadata"]["deletionTimestamp"]
    with pytest.raises(ApiError) as refused:
        plane.call("GET", f"{PODS}/far/log")
    assert refused.value.status == 500
    assert [None] == [p["ended_at"] for p in plane.control("processes") if p["pod"] == "far"]

    plane.control("node", {"name": NODE, "ready": True})
    _until(lambda: _there(plane, "far") is None, "its deletion is confirmed")
    _until(lambda: all(p["ended_at"] for p in plane.control("processes") if p["pod"] == "far"), "it ended")
    assert _ready(plane) == "True"


def test_what_is_deleted_with_force_on_a_parted_node_runs_on(plane: Sandbox) -> None:
    """The API does not know it any more; the node does."""
    _start(plane, "ghost")
    plane.control("node", {"name": NODE, "ready": False})
    plane.call("DELETE", f"{PODS}/ghost", {"gracePeriodSeconds": 0})
    time.sleep(1.5)

    assert _there(plane, "ghost") is None
    assert [None] == [p["ended_at"] for p in plane.control("processes") if p["pod"] == "ghost"]

    plane.control("node", {"name": NODE, "ready": True})
    _until(lambda: all(p["ended_at"] for p in plane.control("processes") if p["pod"] == "ghost"), "it ended")


def test_pods_of_a_node_that_comes_back_are_ready_again(plane: Sandbox) -> None:
    """The controller manager calls them unready while it is silent; nothing restarts them."""
    _start(plane, "patient")
    began = _there(plane, "patient")["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
    plane.control("node", {"name": NODE, "ready": False})
    assert _pod_ready(plane, "patient") == "False"

    plane.control("node", {"name": NODE, "ready": True})
    _until(lambda: "True" == _pod_ready(plane, "patient"), "it is ready again")
    now = _there(plane, "patient")["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
    assert began == now


def _pod_ready(plane: Sandbox, name: str) -> str:
    conditions = _there(plane, name)["status"]["conditions"]
    return str(next(each["status"] for each in conditions if each["type"] == "Ready"))
