"""``gcp.logging.copy_to_bucket``: the service itself copies a log bucket's entries to the evidence bucket.

That gets everything, however much the agent wrote, and takes nothing out of it: secrets in entries come
along and stay for the bucket's retention. The copy goes on by itself; where it lasts longer than the step,
what came of it is unknown. A copy that lacks its right to write waits for an hour and then ends (Logging
reference, CopyLogEntriesMetadata.writerIdentity).
"""

from __future__ import annotations

import threading
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Denied, Gone
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
    Verdict,
)
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_gcp.actions.evidence_bucket import evidence_bucket, looked_at
from breakglass_gcp.actions.log_sources import since_of
from breakglass_gcp.found import Found
from breakglass_gcp.messages import field, text
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import shown

SPEC = ActionSpec(
    name="gcp.logging.copy_to_bucket",
    capability=Capability.SNAPSHOT_LOGS,
    summary="lets Cloud Logging copy a log bucket's entries since before the harm to the evidence bucket",
    permissions=(
        "logging.buckets.copyLogEntries",
        "logging.buckets.get",
        "logging.buckets.list",
        "logging.operations.get",
        "storage.buckets.get",
    ),
    undo_permissions=("logging.buckets.get",),
    blast_radius="entries as they are, of everybody in the project and with secrets, lie in the bucket too",
    reversibility=Reversibility.FULL,
    undo="nothing of the agent's was changed; what lies in the locked bucket stays for its retention",
    settle_s=0,
    best_grade=Grade.READ_BACK,
    example="gcp.logging.copy_to_bucket log-bucket/global/_Default",
    sources=(
        Source("summary", Authority.VENDOR_TEXT, "Logging reference, CopyLogEntriesRequest"),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_logs_copy.py"),
        Source("undo", Authority.VENDOR_TEXT, "Cloud Storage reference, Bucket.retentionPolicy"),
    ),
    service="logging_config",
)
COPY = "copy"
DEADLINE_S = 60.0
"""Nothing but the verdict waits so long: what destroys evidence waits 20 s, everything else not at all."""
WAIT_S = 8.0
FIRST_PAUSE_S = 0.1
_WAITING = "OPERATION_STATE_WAITING_FOR_PERMISSIONS"


class CopyToBucket:
    """One log bucket."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project; a run that resumes copies again."""
        self._project = project
        self._begun: dict[str, str] = {}
        self._gate = threading.Lock()

    def observe(self, resource: Resource) -> State:
        """Read how far the copy of this run is."""
        with self._gate:
            name = self._begun.get(resource.id, "")
        if not name:
            return State({COPY: {"operation": "", "done": False}})
        try:
            told = self._project.call("log_config", "get_operation", {"name": name})
        except Gone:
            return State({COPY: {"operation": name, "done": False, "failed": "it is not there any more"}})
        return State({COPY: {"operation": name, **_facts(told)}})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Begin it once in a run, into a bucket that is locked now.

        Raises:
            Denied: the evidence bucket is none, or a copy failed; trying again would fail the same.
        """
        seen = before.objects.get(COPY)
        if failed := text(seen, "failed"):
            raise Denied(f"the copy failed: {failed}")
        if operation := text(seen, "operation"):
            self._wait(operation)
            return
        bucket = evidence_bucket(self._project, str(resource.params.get("bucket_project") or ""))
        if bucket is None:
            raise Denied("the reach names no evidence bucket")
        bucket.check()
        asked = {
            "name": str(resource.params["name"]),
            "filter": str(resource.params["filter"]),
            "destination": f"storage.googleapis.com/{bucket.name}",
        }
        begun = self._project.call("log_config", "copy_log_entries", asked)
        with self._gate:
            self._begun[resource.id] = str(begun.operation.name)

    def _wait(self, operation: str) -> None:
        """Wait a while for its end, so that the engine does not ask without a pause."""
        clock = self._project.connection.clock
        end_s, pause_s = clock.monotonic_s() + WAIT_S, FIRST_PAUSE_S
        while clock.monotonic_s() + pause_s <= end_s:
            clock.sleep(pause_s)
            pause_s *= 1.5
            if self._project.call("log_config", "get_operation", {"name": operation}).done:
                return

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Contained: the copy is done, whatever it found."""
        seen = state.objects.get(COPY)
        if not text(seen, "operation"):
            return Judgement(Verdict.UNKNOWN, "the copy has not begun", Grade.NONE)
        if failed := text(seen, "failed"):
            return Judgement(Verdict.UNKNOWN, f"the copy failed: {failed}", Grade.NONE)
        if field(seen, "done") is True:
            return Judgement(
                Verdict.CONTAINED, f"{field(seen, 'copied')} entries lie in {resource.params['bucket']}"
            )
        writer = text(seen, "writer")
        if text(seen, "state") == _WAITING:
            said = f"the copy waits for the right to write: give {writer} roles/storage.objectCreator there"
            return Judgement(Verdict.UNKNOWN, said, Grade.NONE)
        return Judgement(Verdict.UNKNOWN, "the copy goes on by itself", Grade.NONE)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - nothing changed
        """Do nothing: evidence stays."""
        return Reversal(dict.fromkeys(before.objects, Outcome.ALREADY), "the evidence stays")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: there is nothing to try."""
        return None


def propose(project: Project, found: Found) -> Proposed:  # noqa: ARG001 - a log bucket holds everybody's entries
    """Propose to copy each log bucket of the project, where the reach names an evidence bucket."""
    params, complaints = looked_at(project)
    if not params:
        said = "no evidence_bucket is named: entries stay in their log buckets for their retention"
        return Proposed(not_touched=(NotTouched("a locked copy of the logs", said),))
    if "bucket_project" not in params:
        return Proposed(incomplete=complaints)
    listed = project.every("log_config", "list_buckets", {"parent": f"{project.name}/locations/-"})
    proposals, notes = [], []
    since = since_of(project)
    for one in listed.items:
        place, _, name = str(one.name).partition("/locations/")[2].partition("/buckets/")
        if one.lifecycle_state.name != "ACTIVE":
            notes.append(NotTouched(f"log bucket {place}/{name}", f"is {one.lifecycle_state.name}"))
            continue
        own: dict[str, Json] = {"name": str(one.name), "filter": f'timestamp>="{since}"', **params}
        label = f"log bucket {place}/{name}, kept {one.retention_days} days, since {since}"
        target = project.target("gcp-log-bucket", f"log-bucket/{place}/{name}", label, **own)
        said = f"entries of {project.id} as they are, secrets in them too, go to bucket {params['bucket']}"
        waits = f"the verdict waits {DEADLINE_S:.0f} s at most for the copy, which then goes on by itself"
        key = f"copy_to_bucket:{place}/{name}"
        proposals.append(Proposal(key, SPEC.name, target, deadline_s=DEADLINE_S, affects=(said, waits)))
    missed = tuple(f"log buckets in {one}" for one in listed.unreachable)
    return Proposed(tuple(proposals), not_touched=tuple(notes), incomplete=missed)


def _facts(told: Any) -> dict[str, Json]:  # noqa: ANN401 - google.longrunning.Operation
    """Return what an operation says."""
    from google.cloud.logging_v2.types import logging_config as types

    metadata, answer = types.CopyLogEntriesMetadata(), types.CopyLogEntriesResponse()
    told.metadata.Unpack(types.CopyLogEntriesMetadata.pb(metadata))
    facts: dict[str, Json] = {
        "done": bool(told.done),
        "state": metadata.state.name,
        "writer": shown(metadata.writer_identity),
    }
    if told.HasField("error"):
        facts["failed"] = shown(told.error.message) or f"code {told.error.code}"
    elif told.done:
        told.response.Unpack(types.CopyLogEntriesResponse.pb(answer))
        facts["copied"] = int(answer.log_entries_copied_count)
    return facts


ACTION_CLASSES = (CopyToBucket,)
SPECS = (SPEC,)
