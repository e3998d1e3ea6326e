"""``gcp.compute.snapshot_disks``: the disks of the instances as they were, kept as evidence."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Gone
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
from breakglass_gcp.actions import compute_reading as reading
from breakglass_gcp.actions import compute_rules as rules
from breakglass_gcp.messages import fields
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import Conflict

SPEC = ActionSpec(
    name="gcp.compute.snapshot_disks",
    capability=Capability.SNAPSHOT_LOGS,
    summary="takes a snapshot of every persistent disk of the instance; it is kept",
    permissions=(
        *reading.INSTANCE_READS,
        *reading.GROUP_OPERATIONS,
        "compute.disks.createSnapshot",
        "compute.snapshots.create",
        "compute.snapshots.get",
        "compute.snapshots.setLabels",
    ),
    blast_radius="none; snapshots cost storage until somebody deletes them",
    reversibility=Reversibility.NONE,
    undo="snapshots stay as evidence",
    settle_s=1,
    best_grade=Grade.READ_BACK,
    example="gcp.compute.snapshot_disks instance/europe-west1-b/support-bot",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "Compute Engine v1 discovery document, disks.createSnapshot"),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_disks.py"),
        Source("settle", Authority.UNVERIFIED, "a snapshot has what the disk held when it was begun"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_disks.py"),
    ),
    service="compute",
)
BEGUN = frozenset({"CREATING", "UPLOADING", "READY"})
"""It holds the disk as it was when it was begun: the stop does not wait until it is stored."""
LABEL = "breakglass"
WAIT_S = 5.0
_DISK = re.compile(r".*/?(zones|regions)/([^/]+)/disks/([^/]+)")


class SnapshotDisks:
    """The persistent disks of one instance, or of all instances of a group."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read each disk that is attached, with the snapshot that this incident has of it."""
        objects: dict[str, Json] = {}
        for name, one in reading.live(self._project, resource).items():
            for disk in one.disks:
                source = rules.short(str(disk.source))
                if source and _DISK.fullmatch(source):
                    seen: dict[str, Json] = {"instance": name, "boot": bool(disk.boot)}
                    objects[source] = {**seen, **self._snapshot(_name(resource, source))}
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - names are compared
        """Begin a snapshot of each disk that has none, boot disks first, and wait a little."""
        lacking = [source for source, seen in before.objects.items() if fields(seen)["status"] not in BEGUN]
        for source in sorted(lacking, key=lambda one: not fields(before.objects[one])["boot"]):
            self._take(resource, source)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether a disk has no snapshot that was begun."""
        lacking = sorted(
            source for source, seen in state.objects.items() if fields(seen)["status"] not in BEGUN
        )
        if lacking:
            return Judgement(Verdict.NOT_CONTAINED, f"no snapshot yet of {lacking[0]}"[:300])
        if not state.objects:
            return Judgement(Verdict.CONTAINED, f"{resource.label}: there is no persistent disk")
        ready = sum(1 for seen in state.objects.values() if fields(seen)["status"] == "READY")
        words = f"{len(state.objects)} disks have a snapshot, {ready} of them stored already"
        return Judgement(Verdict.CONTAINED, words)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - nothing was changed
        """Leave the snapshots where they are: they are evidence."""
        return Reversal(dict.fromkeys(before.objects, Outcome.ALREADY), "snapshots stay as evidence")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: evidence is not tried."""
        return None

    def _snapshot(self, name: str) -> dict[str, Json]:
        try:
            one = self._project.call("snapshots", "get", {"project": self._project.id, "snapshot": name})
        except Gone:
            return {"snapshot": name, "status": "", "disk_id": ""}
        return {"snapshot": name, "status": str(one.status), "disk_id": str(one.source_disk_id)}

    def _take(self, resource: Resource, source: str) -> None:
        match = _DISK.fullmatch(source)
        if match is None:
            return
        zonal = match[1] == "zones"
        body: dict[str, Any] = {
            "name": _name(resource, source),
            "description": f"breakglass {self._project.connection.incident}"[:255],
            "labels": {LABEL: str(resource.params["mark"])},
        }
        asked = {
            "project": self._project.id,
            "zone" if zonal else "region": match[2],
            "disk": match[3],
            "snapshot_resource": body,
        }
        try:
            service = "disks" if zonal else "region_disks"
            self._project.operate(service, "create_snapshot", asked, wait_s=WAIT_S)
        except Gone:
            return
        except Conflict:
            return  # it was begun by a call whose answer was lost: what is read back decides


def _name(resource: Resource, source: str) -> str:
    """Return the name of a disk's snapshot in this incident."""
    about = hashlib.sha256(source.encode()).hexdigest()[:10]
    return f"{resource.params['mark']}-{about}"


def proposed(project: Project, targets: Sequence[reading.Target]) -> Proposed:
    """Propose it for each instance and each group."""
    mark = rules.prefix(project.connection.incident, project.connection.agent.name, project.id)
    return Proposed(tuple(_step(project, target, mark) for target in targets))


def _step(project: Project, target: reading.Target, mark: str) -> Proposal:
    more: Mapping[str, Json] = {"mark": mark}
    return Proposal(
        key=f"snapshot_disks:{target.key}",
        action=SPEC.name,
        target=target.resource(project, "disks", f"disks of {target.shown}", **more),
        settle_s=project.settle_s(SPEC),
    )
