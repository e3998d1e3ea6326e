"""``kubernetes.audit.collect``: what the agent's identities asked of the API server, by its own record."""

from __future__ import annotations

import json
import secrets
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

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
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Proposal, Proposed, Reversal, collected
from breakglass_kubernetes import audit
from breakglass_kubernetes.audit import Limits, Tally, Wanted
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.collected import BUDGET_S, collected_in, since_in, since_of
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.redact import Redactor
from breakglass_kubernetes.scope import Scope, target

SPEC = ActionSpec(
    name="kubernetes.audit.collect",
    capability=Capability.SNAPSHOT_LOGS,
    summary=(
        "copies the entries of the agent's identities from the API server's audit log, since 15 minutes"
        " before the harm began; secrets are taken out first"
    ),
    permissions=(),
    blast_radius="nothing: it only reads a file",
    reversibility=Reversibility.FULL,
    undo="nothing was changed; the evidence stays",
    settle_s=0,
    best_grade=Grade.READ_BACK,
    example="kubernetes.audit.collect support-bot",
    sources=(
        Source("summary", Authority.VENDOR_TEXT, 'Kubernetes documentation, "Auditing": the log backend'),
        Source("effect", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_evidence_audit.py"),
    ),
)
MAX_BYTES = 64 * 1024 * 1024
"""Of the agent's own entries: it may make as many as it likes."""
READ_SHARE = 0.6
"""Of the time; the rest is for taking secrets out."""


class CollectAudit:
    """The agent's entries in one cluster's audit log."""

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
            Denied: the log cannot be read; trying again would not help.
        """
        if self._collected.ended(resource):
            return
        path = Path(str(resource.params["audit_log"]))
        clock = self._cluster.connection.clock
        end_s = clock.monotonic_s() + BUDGET_S
        read_s = end_s - BUDGET_S * (1 - READ_SHARE)
        limits, tally = Limits(left_s=lambda: read_s - clock.monotonic_s()), Tally()
        wanted = Wanted.of(Scope.of(resource))
        left_out: list[str] = []
        since = since_in(resource)
        source = f"audit log {path} since {since}"
        try:
            events, verbs = _newest(audit.read(path, wanted, since, limits, tally), tally)
            lines = self._lines(events, tally, end_s)
            self._collected.put(resource, "audit/entries.jsonl", source, lines)
            accounts = [f"all accounts of {one}" for one in sorted(wanted.namespaces)]
            about: Json = {
                "identities": [*sorted(wanted.users), *accounts],
                "entries": tally.events,
                "lines": tally.lines,
                "unreadable_lines": tally.unreadable,
                "overlong_lines": tally.overlong,
                "left_out": [*tally.left_out],
                "verbs": dict(verbs),
                "redacted": dict(self._redactor.counts),
            }
            data = json.dumps(about, indent=1, sort_keys=True).encode() + b"\n"
            self._collected.put(resource, "audit/about.json", source, (data,))
        except ProviderError as error:
            left_out.append(f"{error}"[:300])
        self._collected.end(resource, left_out, _partial(tally))

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Contained: what the log held was written."""
        return collected.judged(state)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - nothing changed
        """Do nothing: reading changed nothing."""
        return collected.nothing_to_revert(before)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: there is nothing to try."""
        return None

    def _lines(self, events: deque[bytes], tally: Tally, end_s: float) -> list[bytes]:
        """Return the entries redacted, of those that the time suffices for the newest."""
        clock, found = self._cluster.connection.clock, list[bytes]()
        while events and clock.monotonic_s() < end_s:
            kept = self._redactor.value(json.loads(events.pop()))
            found.append(json.dumps(kept, separators=(",", ":")).encode() + b"\n")
        if events:
            tally.leave_out(f"the oldest {len(events)} entries, in {BUDGET_S:.0f} s")
        return [b"".join(reversed(found))]


def _newest(events: Iterator[audit.AuditEvent], tally: Tally) -> tuple[deque[bytes], Counter[str]]:
    """Return the newest entries within the bound, and what all of them did."""
    kept, size, verbs, dropped = deque[bytes](), 0, Counter[str](), 0
    for event in events:
        verbs[f"{event.verb} {event.resource or 'non-resource'} {event.code}"[:80]] += 1
        kept.append(event.raw)
        size += len(event.raw)
        while size > MAX_BYTES:
            size -= len(kept.popleft())
            dropped += 1
    if dropped:
        tally.leave_out(f"the oldest {dropped} entries: there are more than {MAX_BYTES} bytes")
    return kept, verbs


def propose(cluster: Cluster, found: Found) -> Proposed:
    """Propose to collect the entries of all identities that are the agent's, where there is a log to read."""
    if not (path := cluster.settings.text("audit_log")):
        why = "no audit_log is named: what the agent asked of the API server is not collected"
        return Proposed(not_touched=(NotTouched(f"audit log of {cluster.settings.server}", why),))
    since = since_of(cluster)
    assumed = "" if cluster.connection.since else " (a day before planning: nobody said when the harm began)"
    label = f"audit entries of {found.scope.agent} in {cluster.settings.server} since {since}{assumed}"
    more: dict[str, Json] = {"since_ms": since.epoch_ms, "audit_log": path}
    aim = target(found.scope, cluster.settings.cluster_uid, label, **more)
    return Proposed((Proposal("collect_audit", SPEC.name, aim),))


def _partial(tally: Tally) -> list[str]:
    words = [*tally.left_out]
    if tally.overlong:
        words.append(f"{tally.overlong} lines are too long for an entry")
    if tally.unreadable:
        words.append(f"{tally.unreadable} lines are no entries")
    return words


ACTION_CLASSES = (CollectAudit,)
SPECS = (SPEC,)
