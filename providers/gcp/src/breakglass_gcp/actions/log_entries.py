"""``gcp.logging.collect_entries``: what the agent's identities did and what its work said, copied out.

Two kinds of filters: audit entries of its identities, which nobody but the platform writes, and entries of
its work, which the agent writes itself. The first come first, so that an agent that floods its own log
hides nothing of the second kind. Admin Activity entries stay 400 days in the log bucket _Required, which
nobody can delete (Cloud Logging documentation, "Routing and storage overview").
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence

from breakglass.canon import Json, JsonObject
from breakglass.clock import Instant
from breakglass.errors import ProviderError, Transient
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
from breakglass.provider import Proposal, Proposed, Reversal
from breakglass.provider.collected import nothing_to_revert
from breakglass_gcp import log_queries, log_reading
from breakglass_gcp.actions.evidence_bucket import BUCKET_PERMISSIONS, Collected, judged, looked_at
from breakglass_gcp.actions.log_sources import data_access, since_of, sinks
from breakglass_gcp.found import Found
from breakglass_gcp.log_reading import Pieces, Reading
from breakglass_gcp.project import Project
from breakglass_gcp.redact import redactor

SPEC = ActionSpec(
    name="gcp.logging.collect_entries",
    capability=Capability.SNAPSHOT_LOGS,
    summary="copies the agent's log entries since before the harm began; secrets are taken out first",
    permissions=(
        "logging.logEntries.list",
        "logging.sinks.list",
        "resourcemanager.projects.getIamPolicy",
        *BUCKET_PERMISSIONS,
    ),
    undo_permissions=("logging.logEntries.list",),
    blast_radius="none: it only reads; 60 reads a minute are all that the project has for everybody",
    reversibility=Reversibility.FULL,
    undo="nothing was changed; the evidence stays",
    settle_s=0,
    best_grade=Grade.READ_BACK,
    example="gcp.logging.collect_entries logs/acme-prod",
    sources=(
        Source("summary", Authority.VENDOR_TEXT, "Logging RPC reference, ListLogEntriesRequest"),
        Source(
            "effect",
            Authority.OWN_SANDBOX,
            "providers/gcp/tests/test_gcp_logs.py; secrets, floods: test_gcp_logs_attacks.py",
        ),
        Source("blast_radius", Authority.UNVERIFIED, "Cloud Logging quotas: 60 read requests a minute"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_logs.py"),
    ),
    service="logging",
)
BUDGET_S = 20.0
"""Half of it was not enough for the first page of the audit log on a machine that was four times too slow."""
AUDIT_SHARE = 0.5
"""Of the time and of the bytes: what the platform itself wrote comes first."""
AUDIT, WORK = "audit", "work"
_SHARES = {AUDIT: AUDIT_SHARE, WORK: 1.0}


class CollectEntries:
    """The agent's log entries of one project."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Make the run's own redaction key; it is never written."""
        self._project = project
        self._redactor = redactor(secrets.token_bytes(32))
        self._collected = Collected(project)

    def observe(self, resource: Resource) -> State:
        """Return what this run has collected so far."""
        return self._collected.state(resource)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - evidence is only added to
        """Collect once in a run.

        Raises:
            Denied: something had to be left out; trying again would leave out the same.
        """
        if self._collected.ended(resource):
            return
        clock = self._project.connection.clock
        begun = clock.now()
        end_s = clock.monotonic_s() + BUDGET_S
        lost: list[str] = []
        readings: dict[str, Reading] = {}
        for kind in (AUDIT, WORK):
            until_s = clock.monotonic_s() + (end_s - clock.monotonic_s()) * _SHARES[kind]
            readings |= self._read(resource, kind, until_s, lost)
        partial = _partial(readings, begun, str(resource.params.get("data_access")))
        self._put(resource, "about.json", self._about(resource, readings, partial), lost)
        failed = [f"{name}: {one.failed}" for name, one in readings.items() if one.failed]
        self._collected.end(resource, [*failed, *lost], partial)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Contained: what could be read was written, here and in the bucket."""
        return judged(state)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - nothing changed
        """Do nothing: reading changed nothing."""
        return nothing_to_revert(before)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: there is nothing to try."""
        return None

    def _read(self, resource: Resource, kind: str, until_s: float, lost: list[str]) -> dict[str, Reading]:
        """Read each filter of a kind in an equal share of what time is left."""
        clock, readings = self._project.connection.clock, {}
        texts = filters(resource, kind)
        most = int(log_reading.MAX_BYTES * AUDIT_SHARE / max(1, len(texts)))
        for n, text in enumerate(texts, 1):
            share_s = clock.monotonic_s() + (until_s - clock.monotonic_s()) / (len(texts) - n + 1)
            left = lambda share_s=share_s: share_s - clock.monotonic_s()  # noqa: E731 - one bound in one line
            name = kind if len(texts) == 1 else f"{kind}-{n}"
            put = lambda piece, data: self._put(resource, piece, data, lost)  # noqa: E731 - as above
            readings[name] = log_reading.read(
                self._project, text, Pieces(name, self._redactor, put), left, most
            )
        return readings

    def _put(self, resource: Resource, name: str, data: bytes, lost: list[str]) -> None:
        try:
            source = f"log entries of {self._project.name} since {_since(resource)}"
            self._collected.put(resource, f"gcp/{self._project.id}/logs/{name}", source, data)
        except Transient:
            raise
        except ProviderError as error:
            lost.append(f"{name}: {error}"[:300])

    def _about(self, resource: Resource, readings: dict[str, Reading], partial: Sequence[str]) -> bytes:
        about: JsonObject = {
            "project": self._project.id,
            "since": str(_since(resource)),
            "filters": {AUDIT: [*filters(resource, AUDIT)], WORK: [*filters(resource, WORK)]},
            "read": {name: one.facts() for name, one in readings.items()},
            "data_access": resource.params.get("data_access"),
            "partial": [*partial],
            "redacted": dict(self._redactor.counts),
        }
        return json.dumps(about, indent=1, sort_keys=True).encode() + b"\n"


def filters(resource: Resource, kind: str) -> tuple[str, ...]:
    """Return the filters of a target."""
    found = resource.params.get(kind)
    return tuple(str(one) for one in found) if isinstance(found, list | tuple) else ()


def propose(project: Project, found: Found) -> Proposed:
    """Propose one collection of all that is the agent's, and say what no log holds."""
    emails = tuple(dict.fromkeys((*found.identities, *project.settings.texts("service_accounts"))))
    audit = log_queries.audit_filters(emails, found.of("principals"))
    work = log_queries.joined([*log_queries.work_terms(found, project.settings.text("log_filter"))])
    if not (audit or work):
        return Proposed(not_touched=(NotTouched("log entries", "nothing says which are the agent's"),))
    since = since_of(project)
    bucket, complaints = looked_at(project)
    words, note = data_access(project)
    params: dict[str, Json] = {
        "since_ms": since.epoch_ms,
        AUDIT: [log_queries.since_filter(one, since) for one in audit],
        WORK: [log_queries.since_filter(one, since) for one in work],
        "data_access": words,
        **bucket,
    }
    assumed = "" if project.connection.since else " (a day before planning: nobody said when the harm began)"
    label = f"log entries of {project.id} since {since}{assumed}"
    step = Proposal(
        key=f"collect_entries:{project.id}",
        action=SPEC.name,
        target=project.target("gcp-logs", f"logs/{project.id}", label, **params),
        calls=len(audit) + len(work) + 2,
    )
    return Proposed((step,), not_touched=note, incomplete=complaints).plus(sinks(project))


def _since(resource: Resource) -> Instant:
    return Instant(int(str(resource.params["since_ms"])))


def _partial(readings: dict[str, Reading], begun: Instant, data_access: str) -> list[str]:
    words = [f"collected up to {begun}: what was logged later, or delivered later, is not in it"]
    for name, one in readings.items():
        if not one.complete and not one.failed:
            between = f"between {one.up_to or 'the beginning'} and {one.back_to or 'the end'}"
            words.append(f"{name}: {one.entries} entries; those {between} were not read, collect them later")
    if data_access != "on":
        words.append(f"Data Access audit logs are {data_access}: what it only read is in no log")
    return words


ACTION_CLASSES = (CollectEntries,)
SPECS = (SPEC,)
