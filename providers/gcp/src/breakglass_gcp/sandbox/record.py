"""Remembers every call: who, what, in which project, how it was answered, and when that was decided."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.projects import location_in

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call

_READS = ("get", "list", "test", "query", "search", "aggregated", "fetch", "wait", "lookup", "batchget")
_READS_TOO = ("pull", "streamingpull", "tail", "lint")


def is_read(method: str) -> bool:
    """Tell whether a method (gRPC path or discovery id) only reads, by its name."""
    name = method.replace("/", ".").rpartition(".")[2].lower()
    return name.startswith(_READS + _READS_TOO)


def method_name(method: str) -> str:
    """Return a method as Cloud Audit Logs name it (``google.cloud.scheduler.v1.CloudScheduler.PauseJob``)."""
    if method.startswith("/"):
        return method[1:].replace("/", ".")
    return f"v1.{method}" if method.startswith("compute.") else method


@dataclass(slots=True)
class Record:
    """Every call since the last reset."""

    _calls: list[dict[str, Any]] = field(default_factory=list)
    _gate: threading.Lock = field(default_factory=threading.Lock)

    def add(self, call: Call, code: str, fault: str = "") -> dict[str, Any]:
        """Keep one call, now."""
        with self._gate:
            told = {
                "n": len(self._calls) + 1,
                "method": call.method,
                "principal": call.caller.principal if call.caller is not None else "",
                "token": call.caller.token_id if call.caller is not None else "",
                "project": call.project,
                "resource": call.resource,
                "location": location_in(call.resource),
                "transport": call.transport,
                "code": code,
                "fault": fault,
                "read": is_read(call.method),
                "at_ms": time.time_ns() // 1_000_000,
                "monotonic_us": time.monotonic_ns() // 1000,
            }
            self._calls.append(told)
        return told

    def calls(self, since: int = 0, project: str = "") -> list[dict[str, Any]]:
        """Return the calls numbered above `since`, of one project or of all, oldest first."""
        with self._gate:
            return [one for one in self._calls[since:] if project in ("", one["project"])]

    def deeds(self, project: str) -> dict[str, dict[str, int]]:
        """Return by principal how many of its calls in a project were let through, and when the last was."""
        told: dict[str, dict[str, int]] = {}
        with self._gate:
            for one in self._calls:
                if one["code"] == "OK" and one["project"] == project:
                    held = told.setdefault(one["principal"], {"count": 0})
                    held["count"] += 1
                    held["last_at_ms"], held["last_monotonic_us"] = one["at_ms"], one["monotonic_us"]
        return told

    def clear(self) -> None:
        """Forget all."""
        with self._gate:
            self._calls.clear()
