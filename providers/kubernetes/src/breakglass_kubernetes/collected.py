"""Where evidence of a cluster lies, from when on it is read, and how its files are named."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from breakglass.clock import Instant
from breakglass.model.resource import Resource
from breakglass.provider import EvidenceItem, collected
from breakglass_kubernetes.cluster import Cluster

BUDGET_S = 12.0
"""What destroys evidence waits 20 s at most for the steps that keep it."""
BEFORE_S = 900
DAY_S = 86_400
_LONGEST_NAME = 150


class Folder:
    """A cluster's folder of an incident's evidence."""

    def __init__(self, cluster: Cluster) -> None:
        """Write to this cluster's incident."""
        self._evidence = cluster.connection.evidence
        self._name = f"kubernetes/{cluster.settings.cluster_uid}"

    def put(self, name: str, source: str, chunks: Iterable[bytes]) -> EvidenceItem:
        """Keep a piece. Raises ProviderError: the disk refused."""
        return self._evidence.put(f"{self._name}/{name}", source, chunks)


def collected_in(cluster: Cluster) -> collected.Collected:
    """Return what an action of this cluster remembers of a run."""
    return collected.Collected(Folder(cluster))


def since_of(cluster: Cluster) -> Instant:
    """Return where evidence starts: before the harm began, or a day ago where nobody said when."""
    connection = cluster.connection
    began = connection.since or connection.clock.now().plus(-DAY_S)
    return Instant(max(0, began.plus(-BEFORE_S).epoch_ms))


def since_in(resource: Resource) -> Instant | None:
    """Return what a signed target says; None: from the beginning."""
    found = resource.params.get("since_ms")
    return Instant(found) if isinstance(found, int) and found > 0 else None


def file_name(name: str) -> str:
    """Return a name for a file that no other object's has."""
    safe = re.sub(r"[^A-Za-z0-9._@-]", "_", name)
    if safe == name and len(name) <= _LONGEST_NAME and not name.startswith((".", "-")):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "backslashreplace")).hexdigest()[:8]
    return f"{safe.strip('._-')[:_LONGEST_NAME]}-{digest}"
