"""Reads the log of one container, the newest of it where it is too long.

``limitBytes`` cuts the newest away, ``tailLines`` the oldest (Kubernetes API reference, "Pod", read log), so
a log that reaches the bound is asked for again by its last lines, ever fewer. A kubelet serves the newest of
a container's rotated files alone (Kubernetes documentation, "Logging Architecture").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from breakglass.clock import Instant
from breakglass.errors import Gone, ProviderError, Transient
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.kinds import PODS
from breakglass_kubernetes.objects import Body, bodies, name_of, namespace_of, part, text, uid_of
from breakglass_kubernetes.refusals import CredentialsExpired, failure_of

TRIES = 5
PAUSE_S = 0.5
_LISTS = ("containers", "initContainers", "ephemeralContainers")
_STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
_SHRINK = 0.6

Left = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Stream:
    """One log: of a container that runs or ran, or of the run before."""

    namespace: str
    pod: str
    uid: str
    container: str
    previous: bool
    rank: int
    """0: what runs now; the higher, the later it is read."""

    @property
    def words(self) -> str:
        """Return how a report names it."""
        run = ", run before" if self.previous else ""
        return f"{self.namespace}/{self.pod} {self.container}{run}"


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of one log."""

    data: bytes = b""
    cut: bool = False
    """Only the newest lines were read."""
    gone: bool = False
    """The pod vanished."""
    nothing: str = ""
    """Why there is none, in the kubelet's words."""


def streams(pod: Body) -> list[Stream]:
    """Return every log that a pod has: a container that never started has none."""
    found = []
    states = {text(one, "name"): one for name in _STATUSES for one in bodies(pod, "status", name)}
    for rank, name in enumerate(_LISTS):
        for container in bodies(pod, "spec", name):
            called = text(container, "name")
            status = states.get(called, {})
            which = (namespace_of(pod), name_of(pod), uid_of(pod), called)
            # One that waits to start again has the log of its run before alone.
            if part(status, "state", "running") or part(status, "state", "terminated"):
                found.append(Stream(*which, previous=False, rank=rank))
            if status.get("restartCount") or part(status, "lastState", "terminated"):
                found.append(Stream(*which, previous=True, rank=rank + len(_LISTS)))
    return found


def read(cluster: Cluster, stream: Stream, since: Instant | None, limit: int, left_s: Left) -> Read:
    """Read at most `limit` bytes of a log, the newest ones.

    Raises:
        CredentialsExpired: new ones let it go on.
        ProviderError: it is there and cannot be read.
    """
    tail = 0
    for _ in range(TRIES):
        try:
            data = _ask(cluster, stream, _query(stream, since, limit, tail), left_s)
        except Gone:
            return Read(gone=True)
        except ProviderError as error:
            if failure_of(error).status == HTTPStatus.BAD_REQUEST:
                return Read(nothing=failure_of(error).message)
            raise
        if len(data) < limit:
            return Read(data, cut=tail > 0)
        had = data.count(b"\n")
        tail = max(1, int((min(tail, had) if tail else had) * (_SHRINK if tail else 1.0)))
    # Its lines are longer than the bound, or it grows faster than it is read.
    return Read(data[: data.rfind(b"\n") + 1] or data, cut=True)


def _query(stream: Stream, since: Instant | None, limit: int, tail: int) -> dict[str, str]:
    query = {"container": stream.container, "timestamps": "true", "limitBytes": str(limit)}
    query |= {"previous": "true"} if stream.previous else {}
    query |= {"sinceTime": str(since)} if since is not None else {}
    return query | ({"tailLines": str(tail)} if tail else {})


def _ask(cluster: Cluster, stream: Stream, query: Mapping[str, str], left_s: Left) -> bytes:
    """Make the call, again and again where that may help and while there is time."""
    path = PODS.path(stream.namespace, stream.pod, "log")
    while True:
        try:
            return cluster.raw("GET", path, query=query, read_s=max(0.5, min(5.0, left_s()))).data
        except CredentialsExpired:
            raise
        except Transient:
            if left_s() <= PAUSE_S:
                raise
            cluster.connection.clock.sleep(PAUSE_S)
