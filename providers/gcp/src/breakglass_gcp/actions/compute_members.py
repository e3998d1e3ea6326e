"""``gcp.compute.suspend_group``: all instances of a managed group, also those that it makes during the stop.

They are suspended through the group: its target size falls with them, so that it makes none in their place
(Compute Engine v1 discovery document, instanceGroupManagers.suspendInstances). An instance that was
abandoned by the group since the plan was made is suspended by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from breakglass.canon import Json
from breakglass.errors import Denied, Gone, InDoubt, ProviderError, Throttled, Transient, Unsettled
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
from breakglass.provider import Outcome, Proposal, Proposed, Reversal, WaitFor
from breakglass_gcp.actions import compute_disk_ids as disk_ids
from breakglass_gcp.actions import compute_groups, compute_instances
from breakglass_gcp.actions import compute_power as power
from breakglass_gcp.actions import compute_reading as reading
from breakglass_gcp.actions.compute_choice import MOVING, Way, may_run, planned
from breakglass_gcp.actions.compute_choice import way as choose
from breakglass_gcp.calls import OPERATION_S
from breakglass_gcp.messages import fields
from breakglass_gcp.project import Project
from breakglass_gcp.tries import Patience, Tries, at_once, rest

SPEC = ActionSpec(
    name="gcp.compute.suspend_group",
    capability=Capability.STOP_WORKLOADS,
    summary=(
        "suspends every instance of the group through the group, also those that come during the stop; one"
        " that does not let itself be suspended is stopped, and its memory is lost"
    ),
    permissions=(*compute_instances.SUSPEND.permissions, "compute.instances.list"),
    blast_radius=compute_instances.SUSPEND.blast_radius,
    reversibility=Reversibility.PARTIAL,
    undo=(
        "resumes and starts through the group what ran before and the plan names; the group's target size"
        " follows; what was made since stays off"
    ),
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="gcp.compute.suspend_group group/europe-west1-b/support-bots",
    sources=(
        Source(
            "effect",
            Authority.VENDOR_TEXT,
            "Compute Engine v1 discovery document, instanceGroupManagers.suspendInstances",
        ),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_groups_attacks.py"),
        Source("settle", Authority.UNVERIFIED, "no time is published; states are read until all are off"),
        Source(
            "undo",
            Authority.VENDOR_TEXT,
            "Compute Engine v1 discovery document, instanceGroupManagers.resumeInstances",
        ),
    ),
    service="compute",
    undo_permissions=compute_instances.SUSPEND.undo_permissions,
)
HELD_WITHIN_S = 5.0
"""An autoscaler that is still on makes a new instance for each that is suspended; those would run after the
restore besides the old ones. Longer than this nobody waits for it: the next rounds suspend what it makes."""
AT_ONCE = 1000
"""The methods take so many instances (Compute Engine v1 discovery document)."""


class SuspendGroup:
    """The instances of one managed group."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project
        self._tried = set[str]()
        """Ids of what was suspended: if one runs again it may have refused."""

    def observe(self, resource: Resource) -> State:
        """Read the group's instances, and those that it held when the plan was made."""
        held = reading.members(self._project, str(resource.params["group"])) or {}
        there = [name for name, one in held.items() if one.instance_status]
        pauses = list(reading.PAUSES_S)
        read = reading.instances(self._project, there, pauses)
        named = reading.texts(resource.params.get("instances"))
        alone = reading.read_all(self._project, resource, [name for name in named if name not in held])
        found = [*read.values(), *alone.values()]
        ids = disk_ids.known(self._project, found, pauses)
        objects: dict[str, Json] = {}
        for name, one in held.items():
            if one.instance_status or str(one.current_action) not in ("", "NONE"):
                objects[name] = power.member_facts(one, read.get(name), ids)
        for name, seen in alone.items():
            objects[name] = {**power.facts(seen, ids), "target": ""}
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - states are compared
        """Suspend all that run in as few calls as can be; each alone where that is refused.

        One that fails keeps no other on, and none is waited for while others run.

        Raises:
            InDoubt: the service wanted fewer calls when some were made: to be read again, or those that were
                would be called once more, and the last ones never.
        """
        tries, clock = Tries(), self._project.connection.clock
        try:
            waits = self._turn_off(str(resource.params["group"]), before, tries)
        except Throttled as error:
            if not tries.moved:
                raise
            rest(clock, error)
            raise InDoubt(error.what) from error
        if waits or not tries.done:
            clock.sleep(compute_instances.LOOK_S)
        tries.end()

    def _turn_off(self, group: str, before: State, tries: Tries) -> bool:
        """Call each; return whether one was begun that nobody waited for."""
        states = {name: fields(seen) for name, seen in before.objects.items()}
        ways = self._ways(states, tries)
        together = [name for name, way in ways.items() if way is Way.SUSPEND_TOGETHER]
        tried = (Way.SUSPEND, Way.SUSPEND_TOGETHER)
        self._tried.update(str(states[name]["id"]) for name, way in ways.items() if way in tried)
        for start in range(0, len(together), AT_ONCE):
            some = together[start : start + AT_ONCE]
            tries.make(partial(self._suspend, some, group, tries), counts=False)
        left_s = Patience(self._project.connection.clock, OPERATION_S).left_s
        for name, way in sorted(ways.items(), key=lambda pair: pair[1] is Way.SUSPEND):
            booting = states[name]["status"] != "RUNNING"
            if way is Way.STOP_THROUGH:
                tries.make(partial(self._stop, name, group, left_s, booting=booting))
            elif way is Way.STOP:
                tries.make(partial(self._stop, name, "", at_once, booting=booting))
            elif way is Way.SUSPEND:
                tries.make(partial(self._one, name, "", at_once))
        return any(way in (Way.STOP, Way.SUSPEND) for way in ways.values())

    def _ways(self, states: Mapping[str, Mapping[str, Json]], tries: Tries) -> dict[str, Way]:
        """Decide for each; which refused before is asked only of what runs though it was to be suspended."""
        zones = {
            name.partition("/")[0]
            for name, seen in states.items()
            if seen["status"] == "RUNNING" and (seen["target"] != "RUNNING" or seen["id"] in self._tried)
        }
        refused: set[str] = set()
        for zone in sorted(zones):
            tries.make(partial(self._refused, zone, refused), counts=False)
        return {
            name: choose(str(seen["status"]), str(seen["target"]), refused=str(seen["id"]) in refused)
            for name, seen in states.items()
        }

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether one of them runs, or is being made."""
        return power.judged(state, resource.label)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Resume and start what ran before and the plan names; through the group what is a member still.

        Raises:
            Unsettled: one is on its way, or could not be read or called now: to be read again, since others
                were brought back meanwhile, and what was read of them before is old.
        """
        outcomes: dict[str, Outcome] = {}
        backs = list[Callable[[], None]]()
        for name, was in before.objects.items():
            seen = now.objects.get(name)
            if not planned(resource.params, name, str(fields(was)["id"])):
                outcomes[name] = Outcome.ALREADY if may_run(seen) else Outcome.ENDED
                continue
            group = str(resource.params["group"]) if fields(seen).get("target") else ""
            back = partial(power.put_back, self._project, name, group, fields(was), seen)
            backs.append(partial(_keep, outcomes, name, back))
        self._bring_back(backs)
        left = sorted(name for name, outcome in outcomes.items() if outcome is Outcome.ENDED)
        return Reversal(outcomes, f"{power.left_off(left)}; {power.UNDONE}" if left else power.UNDONE)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: what does not run cannot be asked."""
        return None

    def _bring_back(self, backs: Sequence[Callable[[], None]]) -> None:
        tries, clock = Tries(), self._project.connection.clock
        try:
            for back in backs:
                tries.make(back)
        except Throttled as error:
            if not tries.moved:
                raise
            rest(clock, error)
            raise Unsettled(error.what) from error
        try:
            tries.end()
        except Transient as error:
            clock.sleep(compute_instances.LOOK_S)
            raise Unsettled(error.what) from error

    def _refused(self, zone: str, into: set[str]) -> None:
        try:
            into.update(power.refused_in(self._project, zone))
        except Throttled:
            return  # no reason not to suspend: the next round asks again

    def _suspend(self, names: Sequence[str], group: str, tries: Tries) -> None:
        try:
            power.change_members(self._project, "suspend", list(names), group)
        except (Throttled, InDoubt):
            raise
        except ProviderError as error:
            if power.is_away(error):
                tries.failed(error)
                return
            left_s = Patience(self._project.connection.clock, OPERATION_S).left_s
            for name in names:
                tries.make(partial(self._one, name, group, left_s))
        else:
            tries.done += 1

    def _one(self, name: str, group: str, wait_s: Callable[[], float]) -> None:
        """Suspend one; stop it where that is refused, unless it is on its way already."""
        try:
            power.change(self._project, "suspend", name, group, wait_s)
        except Gone:
            return
        except (Throttled, InDoubt):
            raise
        except ProviderError as error:
            if power.is_away(error):
                raise
            one = reading.instance(self._project, name)
            if one is not None and str(one.status) not in reading.OFF | MOVING:
                self._stop(name, group, wait_s, booting=False)

    def _stop(self, name: str, group: str, wait_s: Callable[[], float], *, booting: bool) -> None:
        try:
            power.change(self._project, "stop", name, group, wait_s)
        except Gone:
            return
        except (Throttled, InDoubt, Denied):
            raise
        except ProviderError as error:
            if not booting or power.is_away(error):
                raise
            # What has only begun to start may not let itself be stopped yet: the next round finds it running.
            self._project.connection.clock.sleep(compute_instances.LOOK_S)


def _keep(outcomes: dict[str, Outcome], name: str, back: Callable[[], Outcome]) -> None:
    outcomes[name] = back()


def key(group: str) -> str:
    """Return the key of a group's proposal."""
    return f"suspend_group:{group}"


def proposed(project: Project, targets: Sequence[reading.Target]) -> Proposed:
    """Propose it for each group that is there; the group is held before it is let go at a restore."""
    proposals = []
    for target in targets:
        if target.group:
            whys = {why for one in target.found.values() if (why := power.cannot_suspend(one))}
            label = f"instances of {target.shown}"
            if whys:
                label += f": some are stopped, their memory is lost: {min(whys)}"
            proposals.append(_step(project, target, label))
    return Proposed(tuple(proposals))


def _step(project: Project, target: reading.Target, label: str) -> Proposal:
    # A name may be given again during the stop: to a machine of another template.
    return Proposal(
        key=key(target.group),
        action=SPEC.name,
        target=target.resource(project, "run", label, ids=target.ids),
        after=(WaitFor(compute_groups.key(target.group), HELD_WITHIN_S),),
        settle_s=project.settle_s(SPEC),
        deadline_s=compute_instances.DEADLINE_S,
    )


def suspend_key(target: reading.Target) -> str:
    """Return the key of the step that turns a target off."""
    return key(target.group) if target.group else f"suspend_instance:{target.names[0]}"
