"""``gcp.compute.suspend_instance`` and ``gcp.compute.stop_instance``: an instance runs no more.

Suspending keeps its memory: the best evidence. A guest may refuse it (it is asked by an ACPI signal, and its
operating system belongs to whoever owns it), and some types cannot be suspended: what does not let itself be
suspended is stopped, which no guest can refuse for long. A member of a managed group is suspended by its
group, which would make it again otherwise (Compute Engine documentation, "About repairing VMs in a MIG").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Gone, InDoubt, ProviderError, Throttled
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
from breakglass.model.plan import Door, DoorKind
from breakglass.model.resource import Resource, State
from breakglass.provider import Notes, Outcome, Proposal, Proposed, ProposedDoor, Reversal
from breakglass_gcp.actions import compute_disk_ids as disk_ids
from breakglass_gcp.actions import compute_power as power
from breakglass_gcp.actions import compute_reading as reading
from breakglass_gcp.messages import fields
from breakglass_gcp.project import Project

_RIGHTS = (
    *reading.INSTANCE_READS,
    *reading.GROUP_OPERATIONS,
    disk_ids.PERMISSION,
    "compute.instanceGroupManagers.update",
    "compute.instances.stop",
)
_UNDO_RIGHTS = (
    *reading.GROUP_OPERATIONS,
    "compute.instanceGroupManagers.update",
    "compute.instances.resume",
    "compute.instances.start",
)
_SETTLE = Source("settle", Authority.UNVERIFIED, "no time is published; the state is read until it is off")
_OWN = Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_compute.py")
_VENDOR = "Compute Engine documentation, Suspend, stop, or reset Compute Engine instances"
SUSPEND = ActionSpec(
    name="gcp.compute.suspend_instance",
    capability=Capability.STOP_WORKLOADS,
    summary=(
        "suspends the instance and keeps its memory; one that does not let itself be suspended is stopped,"
        " and its memory is lost"
    ),
    permissions=(*_RIGHTS, "compute.instances.suspend", "compute.zoneOperations.list"),
    blast_radius=(
        "everything that runs on the instance; an ephemeral external address is released; suspended for more"
        " than 60 days it is terminated and its memory lost"
    ),
    reversibility=Reversibility.PARTIAL,
    undo="resumes what was suspended and starts what was stopped; what did not run before stays off",
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="gcp.compute.suspend_instance instance/europe-west1-b/support-bot",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "Compute Engine v1 discovery document, instances.suspend"),
        Source("blast_radius", Authority.VENDOR_TEXT, _VENDOR),
        Source("undo", Authority.VENDOR_TEXT, "Compute Engine v1 discovery document, instances.resume"),
        _SETTLE,
        _OWN,
    ),
    service="compute",
    undo_permissions=_UNDO_RIGHTS,
)
STOP = ActionSpec(
    name="gcp.compute.stop_instance",
    capability=Capability.STOP_WORKLOADS,
    summary="stops the instance, without the grace that its own shutdown may ask for; its memory is lost",
    permissions=_RIGHTS,
    blast_radius="everything that runs on the instance; an ephemeral external address is released",
    reversibility=Reversibility.PARTIAL,
    undo="starts the instance again if it ran before; its memory stays lost",
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="gcp.compute.stop_instance instance/europe-west1-b/support-bot-gpu",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "Compute Engine v1 discovery document, instances.stop"),
        Source("undo", Authority.VENDOR_TEXT, "Compute Engine v1 discovery document, instances.start"),
        Source("destroys_evidence", Authority.VENDOR_TEXT, _VENDOR),
        _SETTLE,
        _OWN,
    ),
    destroys_evidence="memory of the instance",
    service="compute",
    undo_permissions=_UNDO_RIGHTS,
)
DEADLINE_S = 300.0
"""Suspending writes all of the memory out; a stop waits two minutes for a guest at most (Compute Engine v1,
skipGuestOsShutdown: 120 seconds)."""
LOOK_S = 1.0


class _Power:
    """One instance, off; how is the spec's matter."""

    def __init__(self, project: Project, *, suspends: bool) -> None:
        self._project = project
        self._suspends = suspends

    def observe(self, resource: Resource) -> State:
        """Read its state; one that is gone has none."""
        found = reading.live(self._project, resource)
        ids = disk_ids.known(self._project, found.values(), list(reading.PAUSES_S))
        return State({name: power.facts(one, ids) for name, one in found.items()})

    def apply(self, resource: Resource, before: State) -> None:
        """Suspend it, or stop it where that cannot be or did not hold; let what is on its way go on."""
        for name, seen in before.objects.items():
            status = str(fields(seen)["status"])
            if status in reading.OFF:
                continue
            if status not in reading.ON:
                self._project.connection.clock.sleep(LOOK_S)
                continue
            try:
                self._end(name, str(resource.params.get("managed_by") or ""), fields(seen))
            except Gone:
                continue

    def _end(self, name: str, group: str, seen: Mapping[str, Json]) -> None:
        suspends = self._suspends and seen["status"] == "RUNNING"
        if suspends and not power.refused_before(self._project, name, str(seen["id"])):
            try:
                power.change(self._project, "suspend", name, group)
            except (Gone, Throttled, InDoubt):
                raise
            except ProviderError as error:
                if power.is_away(error):
                    raise
            else:
                return
        power.change(self._project, "stop", name, group)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Bring back what ran before and is still the same instance."""
        outcomes: dict[str, Outcome] = {}
        for name, was in before.objects.items():
            group = str(resource.params.get("managed_by") or "")
            outcomes[name] = power.put_back(self._project, name, group, fields(was), now.objects.get(name))
        return Reversal(outcomes, power.UNDONE)


class SuspendInstance:
    """One instance, its memory kept where that can be."""

    spec = SUSPEND

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._power = _Power(project, suspends=True)

    def observe(self, resource: Resource) -> State:
        """Read its state; one that is gone has none."""
        return self._power.observe(resource)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - states are compared
        """Suspend it; stop it where it cannot be suspended or the guest did not let it."""
        self._power.apply(resource, before)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether it runs."""
        return power.judged(state, resource.label)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Resume or start it if it ran before."""
        return self._power.revert(resource, before, now)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: what does not run cannot be asked."""
        return None


class StopInstance:
    """One instance whose type cannot be suspended."""

    spec = STOP

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._power = _Power(project, suspends=False)

    def observe(self, resource: Resource) -> State:
        """Read its state; one that is gone has none."""
        return self._power.observe(resource)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - states are compared
        """Stop it."""
        self._power.apply(resource, before)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether it runs."""
        return power.judged(state, resource.label)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Start it if it ran before."""
        return self._power.revert(resource, before, now)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: what does not run cannot be asked."""
        return None


def proposed(project: Project, targets: Sequence[reading.Target]) -> Proposed:
    """Propose to suspend each instance, or to stop it where its type cannot be suspended."""
    made, notes = Proposed(), Notes()
    for target in targets:
        if not target.group:
            made = made.plus(_proposed(project, target, notes))
    return made.plus(Proposed(incomplete=tuple(notes.incomplete)))


def _proposed(project: Project, target: reading.Target, notes: Notes) -> Proposed:
    name = target.names[0]
    one = target.found.get(name)
    why = power.cannot_suspend(one) if one is not None else ""
    group = reading.group_of(one) if one is not None else ""
    # A group that does not answer now is called first when the step runs, and then the machine itself.
    unread: Mapping[str, Any] | None = {name: None}
    if group and name not in (notes.attempt(partial(reading.members, project, group), unread) or {}):
        group = ""  # an instance's owner may write there what he likes
    label = f"{target.shown}: stopped, its memory is lost: {why}" if why else target.shown
    spec = STOP if why else SUSPEND
    step = Proposal(
        key=f"suspend_instance:{name}",
        action=spec.name,
        target=target.resource(project, "run", label, managed_by=group),
        settle_s=project.settle_s(spec),
        deadline_s=DEADLINE_S,
        affects=(f"instance group {group}: one instance less",) if group else (),
    )
    return Proposed((step,), (_door(group, name),) if group else ())


def _door(group: str, name: str) -> ProposedDoor:
    reason = f"it holds {name} and may make others like it"
    remedy = "name it under `instance_groups` of the reach"
    shown = f"instance group {group}"
    return ProposedDoor(Door(DoorKind.NO_STEP, shown, reason, remedy, "", (), Verdict.UNKNOWN))
