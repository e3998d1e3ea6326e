"""Reads the agent's pods again and again without missing one that comes and goes between two looks.

Each look lists the pods and then asks the server for everything that happened since the look before (a watch
from that look's resourceVersion, API concepts, "Efficient detection of changes"). The first look goes on
from the plan's. The server keeps minutes of history (etcd compaction, 5 min by default): where that is
over, what vanished unseen is not known to have ended, what the plan knew included; only what came after the
plan and went before the first look is not seen at all. A resume in a new process begins with the plan's
version again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from breakglass.errors import ProviderError, Transient
from breakglass_kubernetes.cluster import WORKERS, Cluster
from breakglass_kubernetes.kinds import PODS
from breakglass_kubernetes.listings import PAGE
from breakglass_kubernetes.objects import Body, version_of
from breakglass_kubernetes.refusals import failure_of

WATCH_S = 1
"""A watch ends after whole seconds; one is the least."""
ANSWER_S = 30.0


@dataclass(frozen=True, slots=True)
class Sight:
    """One look."""

    pods: tuple[Body, ...]
    """All that are there, of anybody."""
    removed: tuple[Body, ...]
    """The last words of those that vanished since the look before."""
    passed: tuple[Body, ...]
    """Everything that was told since the look before, whatever became of it."""
    gap: str
    """Why not everything since the look before is known; empty: it is."""
    cursors: Mapping[str, str]
    """Place -> resourceVersion up to which everything was seen."""


def places(namespaces: Sequence[str]) -> tuple[str, ...]:
    """Return where to list and watch: each namespace, or all at once where they are many."""
    return tuple(namespaces) if len(namespaces) <= WORKERS else ("",)


def versions(cluster: Cluster, namespaces: Sequence[str]) -> dict[str, str]:
    """Return where history stands now, by place. Raises ProviderError."""
    return {
        place: version_of(cluster.ask("GET", PODS.path(place), query={"limit": "1"}))
        for place in places(namespaces)
    }


def look(cluster: Cluster, namespaces: Sequence[str], cursors: Mapping[str, str]) -> Sight:
    """List, then read what happened since the last look. Raises ProviderError: a listing failed."""
    wanted = frozenset(namespaces)
    pods: list[Body] = []
    told: list[tuple[str, Body]] = []
    gaps: list[str] = []
    further: dict[str, str] = {}
    lock = threading.Lock()

    def one(place: str) -> None:
        bodies, version = _list(cluster, place)
        since = cursors.get(place)
        events, cursor, gap = _since(cluster, place, since) if since else ([], version, "")
        with lock:
            pods.extend(bodies)
            told.extend(events)
            gaps.extend([gap] if gap else [])
            further[place] = cursor or version

    cluster.each(places(namespaces), one)
    ours = [(what, body) for what, body in told if body.get("metadata", {}).get("namespace") in wanted]
    return Sight(
        pods=tuple(body for body in pods if body.get("metadata", {}).get("namespace") in wanted),
        removed=tuple(body for what, body in ours if what == "DELETED"),
        passed=tuple(body for _, body in ours),
        gap="; ".join(gaps),
        cursors=further,
    )


def _list(cluster: Cluster, place: str) -> tuple[list[Body], str]:
    """Return all pods, page by page, and the version of the first page: that of the whole."""
    query = {"limit": str(PAGE)}
    found: list[Body] = []
    version = ""
    while True:
        page = cluster.ask("GET", PODS.path(place), query=query)
        version = version or version_of(page)
        found += _named(page.get("items") or ())
        token = page.get("metadata", {}).get("continue")
        if not token:
            return found, version
        query["continue"] = str(token)


def _since(cluster: Cluster, place: str, version: str) -> tuple[list[tuple[str, Body]], str, str]:
    """Return what happened since a version, where to go on (empty: at the listing), and what is missing."""
    query = {
        "watch": "true",
        "resourceVersion": version,
        "timeoutSeconds": str(WATCH_S),
        "allowWatchBookmarks": "true",
    }
    try:
        answer = cluster.raw("GET", PODS.path(place), query=query, read_s=ANSWER_S)
    except Transient as error:
        if failure_of(error).status != HTTPStatus.GONE:
            raise
        return [], "", "the server does not remember that far back"
    events: list[tuple[str, Body]] = []
    cursor = version
    for line in answer.data.splitlines():
        try:
            event = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ProviderError("a watch was cut off in the middle", where=f"{cluster.where} pods") from error
        what, body = str(event.get("type")), event.get("object")
        if what == "ERROR" or not isinstance(body, Mapping):
            return events, "", "the server does not remember that far back"
        cursor = version_of(body) or cursor
        if what != "BOOKMARK":
            events.append((what, body))
    return events, cursor, ""


def _named(found: Iterable[Any]) -> list[Body]:
    """Return pods with the ``kind`` that a list leaves out."""
    return [{"apiVersion": "v1", "kind": "Pod", **one} for one in found if isinstance(one, Mapping)]
