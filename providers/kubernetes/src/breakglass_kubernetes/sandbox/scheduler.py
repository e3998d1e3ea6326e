"""Plays the scheduler: binds each pending pod to a node that takes it, to each in turn."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from breakglass_kubernetes.sandbox import scheduling
from breakglass_kubernetes.sandbox.api import Api, path_of
from breakglass_kubernetes.sandbox.watching import DELETED, Watcher
from breakglass_kubernetes.sandbox.work import Work

_AGAIN_S = 2.0
_STRATEGIC = "application/strategic-merge-patch+json"


class Scheduler:
    """Acts as system:kube-scheduler, with the rights that the API server gives that name by itself."""

    def __init__(self, api: Api, work: Work, now: Callable[[], str]) -> None:
        """Begin to watch nodes and pods without one."""
        self._api, self._work, self._now = api, work, now
        self._nodes: dict[str, Mapping[str, Any]] = {}
        self._bound: Counter[str] = Counter()
        self._waiting: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._watchers = (
            Watcher(api, "/api/v1/nodes", self._node),
            Watcher(api, "/api/v1/pods", self._pod, fields="spec.nodeName="),
        )
        for watcher in self._watchers:
            watcher.start()
        work.after(_AGAIN_S, "scheduler", self._again)

    def close(self) -> None:
        """Stop."""
        for watcher in self._watchers:
            watcher.close()

    def _node(self, kind: str, node: dict[str, Any]) -> None:
        name = node["metadata"]["name"]
        with self._lock:
            if kind == DELETED:
                self._nodes.pop(name, None)
            else:
                self._nodes[name] = node

    def _pod(self, kind: str, pod: dict[str, Any]) -> None:
        uid = pod["metadata"]["uid"]
        with self._lock:
            # A pod that got a node leaves this watch as if it were deleted.
            if kind == DELETED or not scheduling.waits(pod):
                self._waiting.pop(uid, None)
                return
            self._waiting[uid] = pod
        self._work.now(uid, partial(self._place, uid))

    def _again(self) -> None:
        """Look again at what found no node: nodes come, and their labels and taints change."""
        with self._lock:
            waiting = list(self._waiting)
        for uid in waiting:
            self._work.now(uid, partial(self._place, uid))
        self._work.after(_AGAIN_S, "scheduler", self._again)

    def _place(self, uid: str) -> None:
        with self._lock:
            pod = self._waiting.get(uid)
            fitting = (
                []
                if pod is None
                else [name for name, node in self._nodes.items() if scheduling.fits(pod, node)]
            )
            chosen = min(fitting, key=lambda name: self._bound[name], default="")
            self._bound.update([chosen] if chosen else [])
        if pod is None:
            return
        meta = pod["metadata"]
        path = path_of("api", "v1", "namespaces", meta["namespace"], "pods", meta["name"])
        if not chosen:
            self._tell(pod, path)
            return
        target = {"apiVersion": "v1", "kind": "Node", "name": chosen}
        named = {"name": meta["name"], "namespace": meta["namespace"], "uid": uid}
        body = {"apiVersion": "v1", "kind": "Binding", "metadata": named, "target": target}
        self._api.call("POST", f"{path}/binding", body)
        with self._lock:
            self._waiting.pop(uid, None)

    def _tell(self, pod: Mapping[str, Any], path: str) -> None:
        """Say once that no node takes it."""
        if any(each["type"] == "PodScheduled" for each in pod.get("status", {}).get("conditions") or ()):
            return
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "no node of the sandbox takes it",
            "lastTransitionTime": self._now(),
        }
        body = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": [condition]}}
        self._api.call("PATCH", f"{path}/status", body, content_type=_STRATEGIC)
