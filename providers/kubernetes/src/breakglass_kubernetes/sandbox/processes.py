"""Keeps the book of what would run: the truth behind what the API says about pods.

A pod that was deleted with force is gone from the API at once; what ran in it is not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_KEPT = 50_000


@dataclass(slots=True)
class Process:
    """What runs in one pod; times are Unix seconds."""

    namespace: str
    pod: str
    uid: str
    node: str
    service_account: str
    began_at: float
    ended_at: float | None = None


class Processes:
    """All of them."""

    def __init__(self) -> None:
        """Begin with none."""
        self._all: dict[str, Process] = {}
        self._lock = threading.Lock()

    def began(self, pod: Mapping[str, Any], node: str) -> Process:
        """Note that the containers of a pod run."""
        meta = pod["metadata"]
        account = pod["spec"].get("serviceAccountName", "")
        made = Process(meta["namespace"], meta["name"], meta["uid"], node, account, time.time())
        with self._lock:
            self._all[made.uid] = made
            if len(self._all) > _KEPT:
                oldest = next((uid for uid, each in self._all.items() if each.ended_at is not None), None)
                self._all.pop(oldest or "", None)
        return made

    def ended(self, process: Process) -> None:
        """Note that they do not run any more."""
        with self._lock:
            if process.ended_at is None:
                process.ended_at = time.time()

    def told(self, *, namespace: str = "") -> list[dict[str, Any]]:
        """Return them, of one namespace or of all, the oldest first."""
        with self._lock:
            return [
                {name: getattr(each, name) for name in Process.__slots__}
                for each in self._all.values()
                if namespace in {"", each.namespace}
            ]
