"""Waits less for what an agent may have made so that nobody answers: resources that are not the server's own.

Who may define a custom resource chooses who converts its objects, and the API server waits 30 s for that one
(Kubernetes documentation, "Versions in CustomResourceDefinitions", webhook conversion); an aggregated API is
answered by whoever serves it. Each costs one wait; dozens would cost the plan minutes.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

FIRST_S = 5.0
AGAIN_S = 1.0
MOST = 3
"""So many that say nothing, and no other one is waited for any longer than these."""
_OWN = frozenset(
    {
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
    }
)
"""Groups that kube-apiserver serves itself (API reference)."""


@dataclass(slots=True)
class Patience:
    """Which resources of others said nothing when they were asked."""

    _silent: set[str] = field(default_factory=set)
    _gate: threading.Lock = field(default_factory=threading.Lock)

    def for_(self, path: str, asked_s: float) -> float:
        """Return how long to wait for an answer at most."""
        if not (name := resource(path)):
            return asked_s
        with self._gate:
            short = name in self._silent or len(self._silent) >= MOST
        return min(asked_s, AGAIN_S if short else FIRST_S)

    def heard(self, path: str, *, answer: bool) -> None:
        """Take down whether an answer came."""
        if not (name := resource(path)):
            return
        with self._gate:
            if answer:
                self._silent.discard(name)
            else:
                self._silent.add(name)


def resource(path: str) -> str:
    """Return ``GROUP/PLURAL`` of a path, without its plural where it names none; empty: the server's own."""
    parts = path.partition("?")[0].strip("/").split("/")
    if len(parts) < 2 or parts[0] != "apis" or parts[1] in _OWN:  # noqa: PLR2004 - apis/GROUP
        return ""
    rest = parts[3:]
    plural = rest[2] if rest[:1] == ["namespaces"] and len(rest) > 2 else "".join(rest[:1])  # noqa: PLR2004 - after it
    return f"{parts[1]}/{plural}"
