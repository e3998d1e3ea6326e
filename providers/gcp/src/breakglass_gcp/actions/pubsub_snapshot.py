"""``gcp.pubsub.snapshot_backlog``: what waits in a subscription is retained, whoever acknowledges it then.

A snapshot retains the backlog of that moment and all that is published after, for at most 7 days; a seek to
it brings the messages back (google/pubsub/v1/pubsub.proto, CreateSnapshotRequest, Snapshot).
Google's own emulator does as our sandbox here (providers/gcp/tests/test_gcp_pubsub_emulator.py).
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Gone, ProviderError
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
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_gcp.actions import subscriptions
from breakglass_gcp.found import Found
from breakglass_gcp.messages import as_json, field, fields, text
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import code_of

SPEC = ActionSpec(
    name="gcp.pubsub.snapshot_backlog",
    capability=Capability.SNAPSHOT_LOGS,
    summary="takes a snapshot of the subscription: its backlog stays, whoever takes messages from it",
    permissions=(
        "pubsub.snapshots.create",
        "pubsub.snapshots.get",
        "pubsub.subscriptions.consume",
        "pubsub.subscriptions.get",
    ),
    undo_permissions=("pubsub.snapshots.get", "pubsub.subscriptions.get"),
    blast_radius="none; the snapshot costs storage until somebody deletes it, or it ends within 7 days",
    reversibility=Reversibility.FULL,
    undo="nothing of the agent's was changed; the snapshot stays, since what was acknowledged is only there",
    settle_s=0,
    best_grade=Grade.READ_BACK,
    example="gcp.pubsub.snapshot_backlog snapshot/support-bot-work",
    sources=(
        Source(
            "effect",
            Authority.VENDOR_TEXT,
            "google/pubsub/v1/pubsub.proto, CreateSnapshotRequest: guaranteed to retain the existing backlog",
        ),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_pubsub_snapshot.py"),
        Source("settle", Authority.VENDOR_TEXT, "pubsub.proto: it holds when CreateSnapshot has returned"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_pubsub_snapshot.py"),
    ),
    service="pubsub",
)
SNAPSHOT = "snapshot"
LABEL = "breakglass"
_ODD = re.compile(r"[^a-z0-9-]+")


class SnapshotBacklog:
    """The backlog of one subscription."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Look for this incident's snapshot; a subscription that is gone has none to take."""
        name = self._name(resource)
        try:
            seen = as_json(self._project.call("subscriptions", "get_snapshot", {"snapshot": name}))
        except Gone:
            return self._without(resource, name)
        return State({SNAPSHOT: {"name": name, "there": True, "expires": text(seen, "expire_time")}})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the name makes it one
        """Take it unless it was taken, and write down when it ends."""
        if SNAPSHOT not in before.objects or field(before.objects[SNAPSHOT], "there"):
            return
        asked = {
            "name": self._name(resource),
            "subscription": str(resource.params["subscription"]),
            "labels": {LABEL: _mark(self._project.connection.incident)},
        }
        try:
            taken = self._project.call("subscriptions", "create_snapshot", asked)
        except Gone:
            return
        except ProviderError as error:
            if code_of(error) not in {"ALREADY_EXISTS", "CONFLICT"}:
                raise
            return
        self._note(resource, taken)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether there is a snapshot."""
        if SNAPSHOT not in state.objects:
            return Judgement(
                Verdict.CONTAINED, f"{resource.params['subscription']} retains nothing: it is gone"
            )
        seen = fields(state.objects[SNAPSHOT])
        if not seen["there"]:
            return Judgement(Verdict.NOT_CONTAINED, "no snapshot was taken yet")
        return Judgement(Verdict.CONTAINED, f"snapshot {seen['name']} ends at {seen['expires']}")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - nothing to do
        """Leave the snapshot: what the agent acknowledged meanwhile is in it alone, until a seek."""
        return Reversal(
            dict.fromkeys(before.objects, Outcome.ALREADY),
            "the snapshot stays until it ends by itself: seek to it where messages are missing",
        )

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: evidence is not tried."""
        return None

    def _without(self, resource: Resource, name: str) -> State:
        try:
            live = subscriptions.read(self._project, str(resource.params["subscription"]))
        except Gone:
            return State({})
        if live.get("detached"):
            return State({})
        return State({SNAPSHOT: {"name": name, "there": False, "expires": ""}})

    def _name(self, resource: Resource) -> str:
        """Return the snapshot's name: one of this incident and this subscription."""
        of = hashlib.sha256(str(resource.params["subscription"]).encode()).hexdigest()[:12]
        return f"{self._project.name}/snapshots/breakglass-{_mark(self._project.connection.incident)}-{of}"

    def _note(self, resource: Resource, taken: Any) -> None:  # noqa: ANN401 - a Snapshot
        told: dict[str, Json] = {"subscription": str(resource.params["subscription"]), **as_json(taken)}
        entry = str(resource.params["subscription"]).rpartition("/")[2]
        data = json.dumps(told, indent=2, sort_keys=True).encode()
        self._project.connection.evidence.put(f"gcp/pubsub/{entry}-snapshot.json", SPEC.name, [data])


def _mark(incident: str) -> str:
    """Return an incident's id as names and labels there take it."""
    return _ODD.sub("-", incident.lower())[:60] or "incident"


def propose(project: Project, found: Found) -> Proposed:
    """Propose a snapshot of each subscription that is named and there."""
    steps: list[Proposal] = []
    for entry in found.of("subscriptions"):
        name = subscriptions.full_name(project, entry)
        try:
            live = subscriptions.read(project, name)
        except Gone:
            continue
        except ProviderError:
            live = {}
        if subscriptions.exports(live) or live.get("detached"):
            continue
        target = project.target(
            "gcp-backlog", f"snapshot/{entry}", f"backlog of subscription {entry}", subscription=name
        )
        steps.append(
            Proposal(f"snapshot_backlog:{entry}", SPEC.name, target, settle_s=project.settle_s(SPEC))
        )
    return Proposed(tuple(steps))


ACTION_CLASSES = (SnapshotBacklog,)
SPECS = (SPEC,)
