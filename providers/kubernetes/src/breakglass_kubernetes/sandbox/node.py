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
        node.register(api)
        self._beat()
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
        if ready:
            self._object.renew(self._api)
        self._object.report(self._api, ready=ready)
        if ready:
            self._beat()
            self._watcher = self._new_watcher(self._watcher.known())
        else:
            self._watcher.close()

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

    def _beat(self) -> None:
        if self.ready:
            self._work.after(self._object.renew_s, self.name, self._beat)
            self._object.renew(self._api)

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
            if error.status != 404:  # noqa: PLR2004 - it was deleted with force meanwhile
                raise

    def _report(self, kept: _Kept, status: Mapping[str, Any]) -> None:
        meta = kept.pod["metadata"]
        body = {"metadata": {"uid": meta["uid"]}, "status": status}
        answer = self._api.call("PATCH", f"{_path(meta)}/status", body, content_type=_STRATEGIC)
        with self._lock:
            kept.pod = {**kept.pod, "status": answer["status"]}

    def _of(self, uid: str) -> _Kept | None:
        """Return what is known of a pod; nothing while this node is parted from the API server."""
        with self._lock:
            return self._kept.get(uid) if self.ready else None


def now() -> str:
    """Return the time as Kubernetes writes it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _path(meta: Mapping[str, Any]) -> str:
    return path_of("api", "v1", "namespaces", meta["namespace"], "pods", meta["name"])
