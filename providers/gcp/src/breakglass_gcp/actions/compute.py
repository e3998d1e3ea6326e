"""Joins the actions on Compute Engine: what is the agent's is read once, then each proposes its steps."""

from __future__ import annotations

from functools import partial

from breakglass.provider import Notes, Proposed
from breakglass_gcp.actions import (
    compute_addresses,
    compute_disks,
    compute_egress_plan,
    compute_groups,
    compute_instances,
    compute_members,
    compute_schedules,
)
from breakglass_gcp.actions import compute_reading as reading
from breakglass_gcp.actions.compute_firewall import SPEC as DENY_EGRESS
from breakglass_gcp.actions.compute_firewall import DenyEgress
from breakglass_gcp.found import Found
from breakglass_gcp.project import Project


def propose(project: Project, found: Found) -> Proposed:
    """Propose evidence first, then to hold groups, to turn instances off, and to close their ways out.

    What one of them cannot read now takes no step of another away.
    """
    if not (found.of("instances") or found.of("instance_groups")):
        return Proposed()
    targets, made = reading.targets(project, found)
    parts = (compute_disks, compute_groups, compute_schedules, compute_members, compute_instances)
    notes = Notes()
    for part in parts:
        made = made.plus(notes.attempt(partial(part.proposed, project, targets), Proposed()))
    cut = partial(compute_egress_plan.proposed, project, found, targets, DENY_EGRESS)
    made = made.plus(notes.attempt(cut, Proposed()))
    made = made.plus(compute_addresses.proposed(project, targets))
    return made.plus(Proposed(incomplete=tuple(notes.incomplete)))


ACTION_CLASSES = (
    compute_disks.SnapshotDisks,
    compute_groups.HoldGroup,
    compute_schedules.DetachSchedules,
    compute_members.SuspendGroup,
    compute_instances.SuspendInstance,
    compute_instances.StopInstance,
    DenyEgress,
    compute_addresses.RemoveExternalAddress,
)
SPECS = (
    compute_disks.SPEC,
    compute_groups.SPEC,
    compute_schedules.SPEC,
    compute_members.SPEC,
    compute_instances.SUSPEND,
    compute_instances.STOP,
    DENY_EGRESS,
    compute_addresses.SPEC,
)
