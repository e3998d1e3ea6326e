"""Plays scheduler and kubelets for the whole sandbox, and takes the orders of tests.

Orders (Sandbox.control):
    node       {name, ready?, labels?}: adds a node, or brings one back, or (ready false) parts it from the
               API server: nobody looks after its pods, and its status is Unknown at once, not after 50 s
    hold       {namespace, pod?, release?}: deletions of these pods are not confirmed; their processes live on
    logs       {namespace, pod, container, lines, previous?}: what its log holds
    processes  {namespace?}: what would run, and when it began and ended; see processes.py
What one pod does by itself stands in its annotations: see pod_life.py.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from breakglass_kubernetes.sandbox import log_lines, node, pki, pod_life
from breakglass_kubernetes.sandbox.api import Api
from breakglass_kubernetes.sandbox.log_server import LogServer, Parted
from breakglass_kubernetes.sandbox.node import Node
from breakglass_kubernetes.sandbox.node_object import NodeObject
from breakglass_kubernetes.sandbox.processes import Processes
from breakglass_kubernetes.sandbox.scheduler import Scheduler
from breakglass_kubernetes.sandbox.work import Work

NODES = ("sandbox-1", "sandbox-2")
_NODE_GROUP = "system:nodes"
_SCHEDULER = "system:kube-scheduler"
_ALL = "*"


class Kubelet:
    """All nodes of one sandbox."""

    def __init__(self, server: str, place: Path) -> None:
        """Begin with two nodes; `place` holds the keys."""
        self._server, self._place = server, place
        self._authority = pki.Authority.read(place / "ca")
        self._authority.server("node").write(place / "node")
        self._work, self._processes = Work(), Processes()
        self._nodes: dict[str, Node] = {}
        self._holds: set[tuple[str, str]] = set()
        self._written: dict[tuple[str, str, str, bool], list[str]] = {}
        self._lock = threading.Lock()
        self._logs = LogServer(place, self._log)
        for name in NODES:
            self._add(name, {})
        self._scheduler = Scheduler(self._api(_SCHEDULER, ()), self._work, node.now)

    def close(self) -> None:
        """Stop."""
        self._scheduler.close()
        for each in self._nodes.values():
            each.close()
        self._work.close()
        self._logs.close()

    def orders(self) -> dict[str, Callable[[Mapping[str, Any]], Any]]:
        """Return what may be ordered."""
        return {
            "node": self._order_node,
            "hold": self._order_hold,
            "logs": self._order_logs,
            "processes": lambda body: self._processes.told(namespace=body.get("namespace", "")),
        }

    def _order_node(self, body: Mapping[str, Any]) -> None:
        with self._lock:
            name = body["name"]
            if name not in self._nodes:
                self._add(name, body.get("labels") or {})
            self._nodes[name].set_ready(ready=bool(body.get("ready", True)))

    def _order_hold(self, body: Mapping[str, Any]) -> None:
        key = (body["namespace"], body.get("pod") or _ALL)
        if not body.get("release"):
            self._holds.add(key)
            return
        self._holds.discard(key)
        for each in self._nodes.values():
            each.look_again()

    def _order_logs(self, body: Mapping[str, Any]) -> None:
        key = (body["namespace"], body["pod"], body["container"], bool(body.get("previous")))
        self._written[key] = [str(line) for line in body["lines"]]

    def _held(self, namespace: str, pod: str) -> bool:
        return (namespace, pod) in self._holds or (namespace, _ALL) in self._holds

    def _add(self, name: str, labels: Mapping[str, str]) -> None:
        api = self._api(f"system:node:{name}", (_NODE_GROUP,))
        made = NodeObject(name, self._logs.port, labels)
        self._nodes[name] = Node(api, made, self._work, self._processes, self._held, len(self._nodes))

    def _api(self, user: str, groups: tuple[str, ...]) -> Api:
        stem = self._place / user.replace(":", "-")
        self._authority.client(user, groups).write(stem)
        return Api(self._server, self._place / "ca.crt", pem=stem.with_name(f"{stem.name}.pem"))

    def _log(self, namespace: str, pod: str, container: str, asked: Mapping[str, str]) -> tuple[int, bytes]:
        """Answer the API server's question for a container's log, as a kubelet words it.

        Raises:
            Parted: the node does not answer.
            ValueError: a parameter makes no sense.
        """
        found = next(
            ((each, kept) for each in self._nodes.values() if (kept := each.pod(namespace, pod)) is not None),
            None,
        )
        if found is None:
            return 404, f'pod "{pod}" not found'.encode()
        if not found[0].ready:
            raise Parted
        state = _state(found[1], container)
        previous = asked.get("previous") == "true"
        if state is None or "waiting" in state.get("state", {}):
            return 400, f'container "{container}" in pod "{pod}" is waiting to start'.encode()
        if previous and not state.get("restartCount"):
            return 400, f'previous terminated container "{container}" in pod "{pod}" not found'.encode()
        said = (found[1]["metadata"].get("annotations") or {}).get(pod_life.LOG)
        lines = self._written.get((namespace, pod, container, previous))
        inits = {each["name"] for each in found[1]["spec"].get("initContainers") or ()}
        if lines is None and said is not None and not previous and container not in inits:
            lines = said.splitlines()
        if lines is None:
            lines = log_lines.default(namespace, pod, container, previous=previous)
        began = dt.datetime.fromisoformat(_began(state))
        now = dt.datetime.now(dt.UTC)
        return 200, log_lines.answered(log_lines.dated(lines, began), asked, now)


def _state(pod: Mapping[str, Any], container: str) -> Mapping[str, Any] | None:
    status = pod.get("status", {})
    kinds = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    return next(
        (each for kind in kinds for each in status.get(kind) or () if each["name"] == container), None
    )


def _began(state: Mapping[str, Any]) -> str:
    told = state.get("state", {})
    return str((told.get("running") or told.get("terminated"))["startedAt"])
