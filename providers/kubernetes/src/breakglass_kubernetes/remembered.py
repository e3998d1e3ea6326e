"""Remembers what was the agent's once during a run: a label taken away meanwhile hides nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from breakglass.errors import ProviderError
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.objects import uid_of
from breakglass_kubernetes.ownership import Thing


@dataclass(slots=True)
class Remembered:
    """Where things of the agent's lay, by target and uid."""

    _seen: dict[str, dict[str, tuple[Kind, str, str]]] = field(default_factory=dict)
    _gate: threading.Lock = field(default_factory=threading.Lock)

    def also(self, cluster: Cluster, target: str, things: Iterable[Thing]) -> tuple[list[Thing], list[str]]:
        """Return these things and those of earlier looks that still live, and what could not be read."""
        found = {thing.uid: thing for thing in things}
        with self._gate:
            seen = self._seen.setdefault(target, {})
            missing = [(uid, where) for uid, where in seen.items() if uid not in found]
            seen |= {uid: (thing.kind, thing.namespace, thing.name) for uid, thing in found.items()}
        failed: list[str] = []
        for uid, (kind, namespace, name) in missing:
            try:
                body = cluster.maybe(kind, namespace, name)
            except ProviderError as error:
                failed.append(f"{kind.key(namespace, name)}: {error.what}")
                continue
            if body is not None and uid_of(body) == uid:
                found[uid] = Thing(kind, body)
            else:
                with self._gate:
                    seen.pop(uid, None)
        return list(found.values()), failed
