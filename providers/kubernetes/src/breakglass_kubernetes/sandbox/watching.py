"""Follows the objects of one kind: lists them, watches what changes, and begins anew when the server says so.

Kubernetes documentation, "API Concepts": a watch goes on from a resourceVersion; 410 Gone means that it is
too old and that everything must be listed again; a bookmark only moves the version.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from breakglass_kubernetes.sandbox.api import Api, ApiError

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"
_QUIET_S = 120.0
_AGAIN_S = 0.25
_PAGE = 1000

Seen = Callable[[str, dict[str, Any]], None]


class Watcher:
    """Calls `seen` for everything that is there and for everything that changes, from a thread of its own."""

    def __init__(
        self,
        api: Api,
        path: str,
        seen: Seen,
        *,
        fields: str = "",
        known: Mapping[str, dict[str, Any]] | None = None,
    ) -> None:
        """Follow what is at `path` and fits the selector; what is `known` and not there is told as gone."""
        self._api, self._path, self._seen = api, path, seen
        self._fields: dict[str, str | int | bool] = {"fieldSelector": fields} if fields else {}
        self._known = dict(known or {})
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"watch {path}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; what is on its way is not handed on any more."""
        self._ended.set()

    def known(self) -> dict[str, dict[str, Any]]:
        """Return what was there when it was last told of."""
        return dict(self._known)

    def _follow(self) -> None:
        version = ""
        while not self._ended.is_set():
            try:
                if not version:
                    version = self._list()
                version = self._watch(version)
            except ApiError as error:
                version = "" if error.status == 410 else version  # noqa: PLR2004 - Gone
                self._ended.wait(_AGAIN_S)
            except (OSError, ValueError):
                # Silent, restarting, or cut off in the middle of a line.
                self._ended.wait(_AGAIN_S)

    def _list(self) -> str:
        """Read everything; tell what came, what changed, and what went."""
        found: dict[str, dict[str, Any]] = {}
        token = ""
        while True:
            page = self._api.call(
                "GET",
                self._path,
                query={**self._fields, "limit": _PAGE, "continue": token},
                timeout_s=_QUIET_S,
            )
            found.update((each["metadata"]["uid"], each) for each in page["items"])
            token = page["metadata"].get("continue", "")
            if not token:
                break
        gone = [self._known[uid] for uid in self._known.keys() - found.keys()]
        self._known = found
        for each in gone:
            self._tell(DELETED, each)
        for each in found.values():
            self._tell(ADDED, each)
        return str(page["metadata"]["resourceVersion"])

    def _watch(self, version: str) -> str:
        """Follow changes until the server ends it; return where to go on, nothing to list again."""
        query = {**self._fields, "watch": True, "allowWatchBookmarks": True, "resourceVersion": version}
        for event in self._api.stream(self._path, query, quiet_s=_QUIET_S):
            if self._ended.is_set():
                break
            kind, found = event["type"], event["object"]
            if kind == "ERROR":
                raise ApiError(int(found.get("code", 0)), found, where=f"WATCH {self._path}")
            version = found["metadata"]["resourceVersion"]
            if kind == "BOOKMARK":
                continue
            uid = found["metadata"]["uid"]
            if kind == DELETED:
                self._known.pop(uid, None)
            else:
                self._known[uid] = found
            self._tell(kind, found)
        return version

    def _tell(self, kind: str, found: dict[str, Any]) -> None:
        if not self._ended.is_set():
            self._seen(kind, found)
