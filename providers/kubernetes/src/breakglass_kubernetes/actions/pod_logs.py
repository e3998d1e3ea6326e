"""``kubernetes.logs.collect``: the log of every container of the agent's, before its pods go.

A log goes with its pod, so this is read first, several at once, the newest pods and what runs now first.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from breakglass.canon import Json
from breakglass.errors import ProviderError
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
)
from breakglass.model.resource import Resource, State
from breakglass.provider import Proposal, Proposed, Reversal, collected
from breakglass_kubernetes import log_reading, ownership
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.collected import BUDGET_S, collected_in, file_name, since_in, since_of
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import PODS, WORKLOADS
from breakglass_kubernetes.log_reading import Stream
from breakglass_kubernetes.objects import account_of, controller_of, text
from breakglass_kubernetes.ownership import Thing
from breakglass_kubernetes.redact import Redactor
from breakglass_kubernetes.refusals import CredentialsExpired
from breakglass_kubernetes.scope import Scope, target

SPEC = ActionSpec(
    name="kubernetes.logs.collect",
    capability=Capability.SNAPSHOT_LOGS,
    summary=(
        "copies the log of every container of the agent's pods, also of init and ephemeral ones and of the"
        " run before; secrets are taken out first"
    ),
    permissions=("get pods/log", "list pods", *(f"list {kind.name}" for kind in WORKLOADS)),
    blast_radius="nothing: it only reads",
    reversibility=Reversibility.FULL,
    undo="nothing was changed; the evidence stays",
    settle_s=0,
    best_grade=Grade.READ_BACK,
    example="kubernetes.logs.collect support-bot",
    sources=(
        Source(
            "summary",
            Authority.VENDOR_TEXT,
            'Kubernetes documentation, "Logging Architecture": the newest file',
        ),
        Source("effect", Authority.OWN_SANDBOX, "providers/kubernetes/tests/test_k8s_evidence_logs.py"),
    ),
)
READERS = 4
"""Fewer than a cut has: what stops the agent goes before what is known about it."""
TOTAL = 32 * 1024 * 1024
LARGEST, SMALLEST = 4 * 1024 * 1024, 64 * 1024
"""Of one log: what can be redacted in the time."""


@dataclass(slots=True)
class _Gathered:
    facts: list[Json] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    late: int = 0
    """Logs that the time did not suffice for."""
    room: int = TOTAL
    gate: threading.Lock = field(default_factory=threading.Lock)


class CollectPodLogs:
    """The logs of all pods of the agent's in one cluster."""

    spec = SPEC

    def __init__(self, cluster: Cluster) -> None:
        """Make the run's own redaction key; it is never written."""
        self._cluster = cluster
        self._redactor = Redactor(secrets.token_bytes(32))
        self._collected = collected_in(cluster)

    def observe(self, resource: Resource) -> State:
        """Return what this run has collected so far."""
        return self._collected.state(resource)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - evidence is only added to
        """Collect once in a run.

        Raises:
            Denied: something had to be left out; trying again would leave out the same.
            ProviderError: the pods cannot be listed.
        """
        if self._collected.ended(resource):
            return
        clock = self._cluster.connection.clock
        end_s = clock.monotonic_s() + BUDGET_S
        pods = ownership.read(self._cluster, Scope.of(resource)).of(PODS)
        wanted = _ordered(pods)
        gathered = _Gathered()
        limit = max(SMALLEST, min(LARGEST, TOTAL // max(1, len(wanted))))

        def one(stream: Stream) -> None:
            self._one(resource, stream, gathered, limit, end_s - clock.monotonic_s())

        with ThreadPoolExecutor(READERS, thread_name_prefix="logs") as pool:
            list(pool.map(one, wanted))
        self._about(resource, pods, gathered)
        self._collected.end(resource, gathered.left_out, _partial(gathered, len(wanted)))

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Contained: what there was to read was written."""
        return collected.judged(state)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - nothing changed
        """Do nothing: reading changed nothing."""
        return collected.nothing_to_revert(before)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: there is nothing to try."""
        return None

    def _one(
        self, resource: Resource, stream: Stream, gathered: _Gathered, limit: int, left_s: float
    ) -> None:
        """Read, redact and write one log; what fails is said and stops no other."""
        with gathered.gate:
            if left_s <= 0 or gathered.room <= 0:
                gathered.late += 1
                return
            gathered.room -= limit
        clock, since = self._cluster.connection.clock, since_in(resource)
        end_s = clock.monotonic_s() + left_s
        try:
            found = log_reading.read(self._cluster, stream, since, limit, lambda: end_s - clock.monotonic_s())
            if found.data:
                redacted = self._redactor.text(found.data.decode("utf-8", "backslashreplace")).encode()
                source = f"log of {stream.words}" + (f" since {since}" if since else "")
                self._collected.put(resource, _name(stream), source, (redacted,))
        except CredentialsExpired:
            raise
        except ProviderError as error:
            with gathered.gate:
                gathered.left_out.append(f"log of {stream.words}: {error.what}"[:300])
            return
        with gathered.gate:
            gathered.room += limit - len(found.data)
            for flag, words in ((found.cut, gathered.cut), (found.gone, gathered.gone)):
                if flag:
                    words.append(stream.words)
            about: dict[str, Json] = {"log": stream.words, "uid": stream.uid, "bytes": len(found.data)}
            about |= {"cut": found.cut, "gone": found.gone, "nothing": found.nothing}
            gathered.facts.append(about)

    def _about(self, resource: Resource, pods: Sequence[Thing], gathered: _Gathered) -> None:
        about: Json = {
            "since": str(since_in(resource) or ""),
            "pods": [f"{pod.namespace}/{pod.name} on {text(pod.body, 'spec', 'nodeName')}" for pod in pods],
            "logs": gathered.facts,
            "not_reached": gathered.late,
            "redacted": dict(self._redactor.counts),
        }
        data = json.dumps(about, indent=1, sort_keys=True).encode() + b"\n"
        try:
            self._collected.put(resource, "logs/about.json", "what was read of the agent's logs", (data,))
        except ProviderError as error:
            gathered.left_out.append(f"about.json: {error}"[:300])


def propose(cluster: Cluster, found: Found) -> Proposed:
    """Propose to collect the logs of all that is the agent's."""
    if not (found.scope.look_in or found.held.things):
        return Proposed()
    since = since_of(cluster) if cluster.connection.since else None
    words = f" since {since}" if since else ""
    label = f"logs of {found.scope.agent}'s pods in {cluster.settings.server}{words}"
    more: dict[str, Json] = {"since_ms": since.epoch_ms if since else 0}
    aim = target(found.scope, cluster.settings.cluster_uid, label, **more)
    return Proposed((Proposal("collect_logs", SPEC.name, aim),))


def _ordered(pods: Sequence[Thing]) -> list[Stream]:
    """Return all logs: what runs now first, and of each controller the newest pod before all second ones.

    Pods that the agent makes by the thousand must not hide one that it had before.
    """
    newest = sorted(pods, key=lambda pod: text(pod.body, "metadata", "creationTimestamp"), reverse=True)
    seen, found = Counter[str](), list[tuple[int, int, Stream]]()
    for pod in newest:
        maker = text(controller_of(pod.body), "uid") or account_of(pod.body)
        seen[maker] += 1
        found += [(stream.rank, seen[maker], stream) for stream in log_reading.streams(pod.body)]
    return [stream for _rank, _place, stream in sorted(found, key=lambda one: one[:2])]


def _partial(gathered: _Gathered, wanted: int) -> list[str]:
    found = []
    if gathered.cut:
        found.append(f"only the newest lines of {len(gathered.cut)} logs ({collected.few(gathered.cut[:3])})")
    if gathered.gone:
        found.append(
            f"{len(gathered.gone)} vanished before their log could be read"
            f" ({collected.few(gathered.gone[:3])})"
        )
    if gathered.late:
        found.append(f"{gathered.late} of {wanted} logs were not reached in {BUDGET_S:.0f} s")
    return found


def _name(stream: Stream) -> str:
    run = ".previous" if stream.previous else ""
    pod = f"{file_name(stream.pod)}-{stream.uid[:8]}"
    return f"logs/{file_name(stream.namespace)}/{pod}/{file_name(stream.container)}{run}.log"


ACTION_CLASSES = (CollectPodLogs,)
SPECS = (SPEC,)
