"""Says what a kubelet would report of a pod that is started, waits, restarts or has ended; pure.

Kubernetes documentation, "Pod Lifecycle". What a test wants of a pod, it writes into the pod's annotations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PREFIX = "breakglass.dev/"
LOG = f"{PREFIX}log"
RESTARTS = f"{PREFIX}restarts"
COMPLETES_AFTER = f"{PREFIX}completes-after"
FAILS_AFTER = f"{PREFIX}fails-after"
IGNORES_SIGTERM = f"{PREFIX}ignores-sigterm"
WAITING = f"{PREFIX}waiting"

KILLED = 137
"""128 and SIGKILL: the process did not end within its grace period."""
QUICK_END_S = 0.2
FORCED_END_S = 1.0
"""The least that a kubelet gives the containers of a pod that was deleted with force."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What one pod does."""

    restarts: int = 0
    completes_after_s: float | None = None
    fails_after_s: float | None = None
    ignores_sigterm: bool = False
    waiting: str = ""


def behaviour(pod: Mapping[str, Any]) -> Behaviour:
    """Read it from annotations; one that makes no sense is as if it were not there."""
    said = pod["metadata"].get("annotations") or {}
    return Behaviour(
        restarts=int(_number(said.get(RESTARTS)) or 0),
        completes_after_s=_number(said.get(COMPLETES_AFTER)),
        fails_after_s=_number(said.get(FAILS_AFTER)),
        ignores_sigterm=said.get(IGNORES_SIGTERM) == "true",
        waiting=said.get(WAITING, ""),
    )


def end_s(pod: Mapping[str, Any]) -> float:
    """Return how long its processes live on once the deletion is seen."""
    meta = pod["metadata"]
    grace = meta.get("deletionGracePeriodSeconds")
    if grace is None:
        # It vanished without a word to the node.
        grace = 0
    if not behaviour(pod).ignores_sigterm:
        return QUICK_END_S
    return max(float(grace), FORCED_END_S)


def started(pod: Mapping[str, Any], address: str, now: str, restarts: int) -> dict[str, Any]:
    """Return the status of a pod whose containers run, or wait if it says so."""
    waiting = behaviour(pod).waiting
    ready = not waiting
    host = bool(pod["spec"].get("hostNetwork"))
    status: dict[str, Any] = {
        "phase": "Running" if ready else "Pending",
        "startTime": pod.get("status", {}).get("startTime", now),
        "hostIP": "127.0.0.1",
        "hostIPs": [{"ip": "127.0.0.1"}],
        "podIP": "127.0.0.1" if host else address,
        "podIPs": [{"ip": "127.0.0.1" if host else address}],
        "conditions": conditions(now, ready=ready),
        "containerStatuses": [
            _container(pod, each, now, restarts, waiting) for each in pod["spec"].get("containers", ())
        ],
    }
    if inits := pod["spec"].get("initContainers"):
        status["initContainerStatuses"] = [_init(pod, each, now) for each in inits]
    if extra := pod["spec"].get("ephemeralContainers"):
        status["ephemeralContainerStatuses"] = [_container(pod, each, now, 0, "") for each in extra]
    return status


def ended(pod: Mapping[str, Any], now: str, exit_code: int, reason: str) -> dict[str, Any]:
    """Return the status of a pod none of whose containers runs."""
    before = pod.get("status", {})
    status: dict[str, Any] = {
        "phase": "Succeeded" if exit_code == 0 else "Failed",
        "conditions": conditions(now, ready=False, reason="PodCompleted" if exit_code == 0 else "PodFailed"),
    }
    for kind in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        if before.get(kind):
            status[kind] = [_ended_container(each, now, exit_code, reason) for each in before[kind]]
    return status


def _container(
    pod: Mapping[str, Any], container: Mapping[str, Any], now: str, restarts: int, waiting: str
) -> dict[str, Any]:
    status: dict[str, Any] = {
        **_named(pod, container, restarts),
        "ready": not waiting,
        "started": not waiting,
        "restartCount": restarts,
        "state": {"waiting": {"reason": waiting}} if waiting else {"running": {"startedAt": now}},
        "lastState": {},
    }
    if restarts:
        before = _named(pod, container, restarts - 1)["containerID"]
        status["lastState"] = {"terminated": _terminated(now, now, 1, "Error", before)}
    return status


def _init(pod: Mapping[str, Any], container: Mapping[str, Any], now: str) -> dict[str, Any]:
    """Return an init container that is done, or a sidecar (KEP-753), which goes on."""
    if container.get("restartPolicy") == "Always":
        return _container(pod, container, now, 0, "")
    named = _named(pod, container, 0)
    state = {"terminated": _terminated(now, now, 0, "Completed", named["containerID"])}
    return {**named, "ready": True, "started": False, "restartCount": 0, "state": state, "lastState": {}}


def _ended_container(status: Mapping[str, Any], now: str, exit_code: int, reason: str) -> dict[str, Any]:
    running = status.get("state", {}).get("running")
    if running is None:
        return dict(status)
    state = _terminated(running["startedAt"], now, exit_code, reason, status.get("containerID", ""))
    return {**status, "ready": False, "started": False, "state": {"terminated": state}}


def _named(pod: Mapping[str, Any], container: Mapping[str, Any], run: int) -> dict[str, Any]:
    image = container.get("image", "")
    uid = pod["metadata"]["uid"].replace("-", "")
    id_ = f"breakglass://{uid}-{container['name']}-{run}"
    return {"name": container["name"], "image": image, "imageID": image, "containerID": id_}


def _terminated(began: str, now: str, exit_code: int, reason: str, id_: str) -> dict[str, Any]:
    state = {"exitCode": exit_code, "reason": reason, "startedAt": began, "finishedAt": now}
    return {**state, "containerID": id_} if id_ else state


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Say whether the pod is said to be ready."""
    told = pod.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in told)


def node_not_ready(now: str) -> dict[str, Any]:
    """Return what the controller manager says of each pod of a node that is silent."""
    return {"type": "Ready", "status": "False", "reason": "NodeNotReady", "lastTransitionTime": now}


def conditions(now: str, *, ready: bool, reason: str = "") -> list[dict[str, Any]]:
    """Return what is told of a pod that has its containers."""

    def condition(kind: str, *, holds: bool) -> dict[str, Any]:
        said = {"type": kind, "status": "True" if holds else "False", "lastTransitionTime": now}
        # An empty one takes away what was said before.
        return {**said, "reason": "" if holds else reason}

    return [
        condition("PodReadyToStartContainers", holds=ready),
        condition("Initialized", holds=True),
        condition("Ready", holds=ready),
        condition("ContainersReady", holds=ready),
        condition("PodScheduled", holds=True),
    ]


def _number(said: str | None) -> float | None:
    try:
        return float(said) if said is not None else None
    except ValueError:
        return None
