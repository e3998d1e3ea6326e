"""Plays one node: registers it, keeps its lease, and sees each of its pods through to the end.

It acts as system:node:NAME in system:nodes, so the API server's node authoriser and NodeRestriction judge it
as they judge a kubelet (Kubernetes documentation, "Using Node Authorization").
"""

from __future__ import annotations

import datetime as dt
import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from breakglass_kubernetes.sandbox import pod_life
from breakglass_kubernetes.sandbox.api import Api, ApiError, path_of
from breakglass_kubernetes.sandbox.node_object import NodeObject
from breakglass_kubernetes.sandbox.processes import Process, Processes
from breakglass_kubernetes.sandbox.watching import DELETED, Watcher
from breakglass_kubernetes.sandbox.work import Work

_STRATEGIC = "application/strategic-merge-patch+json"
_EARLY_S = 0.01
_AGAIN_S = 1.0
_NOT_FOUND = 404

Held = Callable[[str, str], bool]


@dataclass(slots=True)
class _Kept:
    """What this node knows of one pod."""

    pod: dict[str, Any]
    address: str
    process: Process | None = None
    ends_at: float | None = None
    finished: bool = False
    extra: int = 0


class Node:
    """One node that runs until it is closed."""

    def __init__(
        self, api: Api, node: NodeObject, work: Work, processes: Processes, held: Held, subnet: int
    ) -> None:
        """Register it and begin to watch its pods; `held` pods' deletions are not confirmed."""
        self._api, self._work, self._processes, self._held = api, work, processes, held
        self._object, self.name, self.ready = node, node.name, True
        self._addresses = (f"10.{200 + subnet}.{n >> 8 & 255}.{n & 255}" for n in itertools.count(2))
        self._kept: dict[str, _Kept] = {}
        self._named: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()
        self._beats = 0
        node.register(api)
        self._beat(self._beats)
        self._watcher = self._new_watcher()

    def close(self) -> None:
        """Stop."""
        self.ready = False
        self._watcher.close()

    def set_ready(self, *, ready: bool) -> None:
        """Part it from the API server, or bring it back; then it reads everything anew."""
        if ready == self.ready:
            return
        self.ready = ready
        self._beats += 1
        if ready:
            self._object.report(self._api, ready=True)
            self._beat(self._beats)
            self._watcher = self._new_watcher(self._watcher.known())
            return
        self._watcher.close()
        self._object.report(self._api, ready=False)
        self._call_unready()

    def _call_unready(self) -> None:
        """Say what the controller manager says of the pods of a silent node, 50 s sooner."""
        with self._lock:
            running = [each.pod for each in self._kept.values() if each.process and not each.finished]
        for pod in running:
            try:
                self._patch(pod["metadata"], {"conditions": [pod_life.node_not_ready(now())]})
            except ApiError as error:
                if error.status != _NOT_FOUND:
                    raise

    def pod(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return the pod of that name, if it is or was just here."""
        with self._lock:
            kept = self._kept.get(self._named.get((namespace, name), ""))
            return None if kept is None else kept.pod

    def look_again(self) -> None:
        """Go on with what was held."""
        with self._lock:
            uids = list(self._kept)
        for uid in uids:
            self._work.now(uid, partial(self._end, uid))

    def _new_watcher(self, known: Mapping[str, dict[str, Any]] | None = None) -> Watcher:
        fields = f"spec.nodeName={self.name}"
        watcher = Watcher(self._api, "/api/v1/pods", self._seen, fields=fields, known=known)
        watcher.start()
        return watcher

    def _beat(self, number: int) -> None:
        """Renew the lease, and correct what the controller manager took a long silence for."""
        if number != self._beats or not self.ready:
            return
        again_s = self._object.renew_s
        try:
            self._object.renew(self._api)
            if not self._object.is_ready(self._api):
                self._object.report(self._api, ready=True)
        except (ApiError, OSError):
            again_s = _AGAIN_S
        self._work.after(again_s, self.name, partial(self._beat, number))

    def _seen(self, kind: str, pod: dict[str, Any]) -> None:
        uid = pod["metadata"]["uid"]
        with self._lock:
            kept = self._kept.get(uid)
            if kept is None:
                if kind == DELETED:
                    return
                kept = self._kept[uid] = _Kept(pod, next(self._addresses))
                kept.finished = pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}
                self._named[pod["metadata"]["namespace"], pod["metadata"]["name"]] = uid
                fresh = True
            else:
                fresh = False
            kept.pod = pod
        if kind == DELETED:
            self._gone(uid, kept)
        elif pod["metadata"].get("deletionTimestamp"):
            self._deleting(uid, kept)
        elif not kept.finished and (fresh or kept.extra != len(pod["spec"].get("ephemeralContainers") or ())):
            self._work.now(uid, partial(self._begin, uid, 0))
        elif kept.process is not None and not kept.finished and not pod_life.is_ready(pod):
            # The controller manager says so of all pods of a node that was silent; a kubelet corrects it.
            self._work.now(uid, partial(self._correct, uid))

    def _begin(self, uid: str, restarts: int) -> None:
        """Report that its containers run."""
        kept = self._of(uid)
        if kept is None or kept.finished or kept.pod["metadata"].get("deletionTimestamp"):
            return
        wanted = pod_life.behaviour(kept.pod)
        kept.extra = len(kept.pod["spec"].get("ephemeralContainers") or ())
        status = pod_life.started(kept.pod, kept.address, now(), max(restarts, wanted.restarts))
        self._report(kept, status)
        if kept.process is None and not wanted.waiting:
            kept.process = self._processes.began(kept.pod, self.name)
            for delay_s, code in ((wanted.completes_after_s, 0), (wanted.fails_after_s, 1)):
                if delay_s is not None:
                    self._work.after(delay_s, uid, partial(self._finish, uid, code, wanted.restarts))

    def _correct(self, uid: str) -> None:
        """Say again that its containers are ready."""
        kept = self._of(uid)
        if kept is not None and not kept.finished and not pod_life.is_ready(kept.pod):
            self._report(kept, {"conditions": pod_life.conditions(now(), ready=True)})

    def _finish(self, uid: str, exit_code: int, restarts: int) -> None:
        """End its containers by themselves; start them again where its restart policy says so."""
        kept = self._of(uid)
        if kept is None or kept.finished or kept.pod["metadata"].get("deletionTimestamp"):
            return
        policy = kept.pod["spec"].get("restartPolicy", "Always")
        if policy == "Always" or (policy == "OnFailure" and exit_code):
            self._begin(uid, restarts + 1)
            return
        self._over(kept, exit_code, "Completed" if exit_code == 0 else "Error")

    def _deleting(self, uid: str, kept: _Kept) -> None:
        """Note by when its processes end; a second deletion with a shorter grace makes it sooner."""
        if kept.finished and kept.pod["metadata"].get("deletionGracePeriodSeconds") == 0:
            # Confirmed; it stays for a finalizer, and what takes that away ends it.
            return
        now_s = self._work.clock()
        at = now_s if kept.finished else now_s + pod_life.end_s(kept.pod)
        kept.ends_at = at if kept.ends_at is None else min(at, kept.ends_at)
        self._work.after(max(0.0, kept.ends_at - now_s), uid, partial(self._end, uid))

    def _end(self, uid: str) -> None:
        """Report the end of its processes, then confirm the deletion as a kubelet does."""
        kept = self._of(uid)
        if kept is None or kept.ends_at is None or self._work.clock() < kept.ends_at - _EARLY_S:
            return
        meta = kept.pod["metadata"]
        if self._held(meta["namespace"], meta["name"]):
            return
        if not kept.finished:
            killed = pod_life.behaviour(kept.pod).ignores_sigterm
            self._over(kept, pod_life.KILLED if killed else 0, "Error" if killed else "Completed")
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        self._api.call("DELETE", _path(meta), body)
        kept.ends_at = None

    def _gone(self, uid: str, kept: _Kept) -> None:
        """End the processes of a pod that is not in the API any more, which is later than its removal."""
        process = kept.process
        if process is not None and not kept.finished:
            meta = kept.pod["metadata"]
            self._work.after(pod_life.end_s(kept.pod), uid, partial(self._reap, process, meta))
        with self._lock:
            self._kept.pop(uid, None)
            name = (kept.pod["metadata"]["namespace"], kept.pod["metadata"]["name"])
            if self._named.get(name) == uid:
                del self._named[name]

    def _reap(self, process: Process, meta: Mapping[str, Any]) -> None:
        if self.ready and not self._held(meta["namespace"], meta["name"]):
            self._processes.ended(process)

    def _over(self, kept: _Kept, exit_code: int, reason: str) -> None:
        """Report that its containers have ended; a process ends before anybody is told so."""
        if kept.process is not None:
            self._processes.ended(kept.process)
        kept.finished = True
        try:
            self._report(kept, pod_life.ended(kept.pod, now(), exit_code, reason))
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise

    def _report(self, kept: _Kept, status: Mapping[str, Any]) -> None:
        answer = self._patch(kept.pod["metadata"], status)
        with self._lock:
            kept.pod = {**kept.pod, "status": answer["status"]}

    def _patch(self, meta: Mapping[str, Any], status: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        body = {"metadata": {"uid": meta["uid"]}, "status": status}
        return self._api.call("PATCH", f"{_path(meta)}/status", body, content_type=_STRATEGIC)

    def _of(self, uid: str) -> _Kept | None:
        """Return what is known of a pod; nothing while this node is parted from the API server."""
        with self._lock:
            return self._kept.get(uid) if self.ready else None


def now() -> str:
    """Return the time as Kubernetes writes it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _path(meta: Mapping[str, Any]) -> str:
    return path_of("api", "v1", "namespaces", meta["namespace"], "pods", meta["name"])
