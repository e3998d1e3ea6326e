"""``gcp.compute.hold_group``: a managed group neither repairs, updates nor grows while the stop lasts.

The least that keeps it from making instances again: its autoscaler is off but keeps its configuration, its
lifecycle policy repairs nothing, its standby pool is not woken, updates are not pushed. No instance of it is
touched by this; `compute_members` suspends them through the group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Gone, Unsettled
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
from breakglass.provider import Notes, Outcome, Proposal, Proposed, Reversal
from breakglass_gcp.actions import compute_group_made as made
from breakglass_gcp.actions import compute_reading as reading
from breakglass_gcp.messages import fields
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import Conflict

SPEC = ActionSpec(
    name="gcp.compute.hold_group",
    capability=Capability.BLOCK_RELAUNCH,
    summary=(
        "turns the group's autoscaler off and keeps the group from repairing, updating or waking instances;"
        " changes no instance"
    ),
    permissions=(
        *reading.GROUP_OPERATIONS,
        "compute.autoscalers.list",
        "compute.autoscalers.update",
        "compute.instanceGroupManagers.get",
        "compute.instanceGroupManagers.update",
        "compute.instanceGroupManagers.use",
    ),
    blast_radius="the group does not grow, shrink, heal or update while the stop lasts",
    reversibility=Reversibility.FULL,
    undo=(
        "puts the autoscaler's mode and the group's policies back as they were; a group whose template,"
        " configs or autoscaler somebody changed since stays held"
    ),
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="gcp.compute.hold_group group/europe-west1-b/support-bots",
    sources=(
        Source(
            "effect",
            Authority.VENDOR_TEXT,
            "Compute Engine v1 discovery document, AutoscalingPolicy.mode,"
            " InstanceGroupManagerInstanceLifecyclePolicy.defaultActionOnFailure",
        ),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_groups.py"),
        Source("settle", Authority.UNVERIFIED, "no time is published"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_groups_released.py"),
    ),
    service="compute",
)
GROUP = "group"
SCALER = "autoscaler:"
OFF = "OFF"
HELD: Mapping[str, str] = {
    "default_action_on_failure": "DO_NOTHING",
    "on_failed_health_check": "DO_NOTHING",
    "mode": "MANUAL",
    "type_": "OPPORTUNISTIC",
}
"""Field -> the value under which the group makes nothing by itself."""
DEFAULTS: Mapping[str, str] = {
    "default_action_on_failure": "REPAIR",
    "on_failed_health_check": "DEFAULT_ACTION",
    "mode": "MANUAL",
    "type_": "OPPORTUNISTIC",
}
"""What a field means that is not set (Compute Engine v1 discovery document; of the update policy's type the
documentation "Automatically apply VM configuration updates in a MIG")."""
_PARTS: Mapping[str, str] = {
    "default_action_on_failure": "instance_lifecycle_policy",
    "on_failed_health_check": "instance_lifecycle_policy",
    "mode": "standby_policy",
    "type_": "update_policy",
}
TRIES = 5


class HoldGroup:
    """One managed group, zonal or regional, with its autoscaler."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read the policies of the group and the mode of each autoscaler of it."""
        group = str(resource.params["group"])
        found = reading.manager(self._project, group)
        if found is None:
            return State({})
        about: dict[str, Json] = {made.MADE_OF: made.made_of(found)}
        about[made.CONFIGS] = made.configs(self._project, group)
        objects: dict[str, Json] = {GROUP: {"id": str(found.id), **_policies(found), **about}}
        for one in made.scalers_of(self._project, group):
            mode = str(one.autoscaling_policy.mode or "ON")
            seen: dict[str, Json] = {"id": str(one.id), "mode": mode, made.POLICY: made.policy(one)}
            objects[f"{SCALER}{one.name}"] = seen
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - states are compared
        """Turn autoscalers off first, then hold the group."""
        group = str(resource.params["group"])
        try:
            for key, seen in before.objects.items():
                if key.startswith(SCALER) and fields(seen)["mode"] != OFF:
                    self._scale(group, key.removeprefix(SCALER), OFF)
            loose = _loose(fields(before.objects.get(GROUP)))
            if loose:
                self._patch(group, {name: HELD[name] for name in loose})
        except Gone:
            return

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether the group would make an instance by itself."""
        if GROUP not in state.objects:
            return Judgement(Verdict.CONTAINED, "the group is not there any more")
        on = [key for key, seen in state.objects.items() if key != GROUP and fields(seen)["mode"] != OFF]
        if on:
            return Judgement(Verdict.NOT_CONTAINED, f"{on[0].replace(':', ' ')} is on")
        seen = fields(state.objects[GROUP])
        loose = _loose(seen)
        if loose:
            return Judgement(Verdict.NOT_CONTAINED, f"the group's {loose[0]} is {seen[loose[0]]}")
        return Judgement(Verdict.CONTAINED, "the group repairs, updates, wakes and grows nothing by itself")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Put back what the stop set and nobody changed since; the autoscaler last.

        A group that would make something else than before, or wake what stays off, stays held as a whole.

        Raises:
            Unsettled: what it would make could not be read this time.
        """
        params = resource.params
        was = {key: seen for key, seen in before.objects.items() if _planned(params, key, fields(seen))}
        outcomes = {key: _left(now.objects.get(key)) for key in before.objects if key not in was}
        why = made.changed(before.objects, now.objects)
        if not why and made.unread(before.objects, now.objects):
            raise Unsettled("the group's per-instance configs could not be read", where=resource.label)
        if not why and _loosened(fields(was.get(GROUP)), fields(now.objects.get(GROUP))):
            off = made.woken(self._project, params, fields(was[GROUP]))
            why = [f"it would wake {name}, which stays off" for name in off]
        for key in sorted(was, key=lambda key: key != GROUP):
            old, seen = fields(was[key]), fields(now.objects.get(key))
            if why:
                outcomes[key] = Outcome.ALREADY if made.same(old, seen) else Outcome.DRIFTED
            else:
                outcomes[key] = self._put_back(params, key, old, seen)
                if outcomes[key] is Outcome.DRIFTED and key == GROUP:
                    why = ["the group's policies"]
        return Reversal(outcomes, made.words(why, outcomes))

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: whether a group would make an instance cannot be asked."""
        return None

    def _put_back(
        self, params: Mapping[str, Json], key: str, was: Mapping[str, Json], seen: Mapping[str, Json]
    ) -> Outcome:
        group = str(params["group"])
        if not seen or seen["id"] != was["id"]:
            return Outcome.DRIFTED
        if made.same(was, seen):
            return Outcome.ALREADY
        if key != GROUP:
            if seen["mode"] != OFF:
                return Outcome.DRIFTED
            self._scale(group, key.removeprefix(SCALER), str(was["mode"]))
            return Outcome.RESTORED
        changed = [name for name in HELD if was[name] != seen[name]]
        if any(seen[name] != HELD[name] for name in changed):
            return Outcome.DRIFTED
        values = {name: str(was[name]) for name in changed}
        return Outcome.RESTORED if self._patch(group, values, seen) else Outcome.DRIFTED

    def _scale(self, group: str, name: str, mode: str) -> None:
        place = group.partition("/")[0]
        kind, service = (
            ("zone", "autoscalers") if reading.is_zonal(group) else ("region", "region_autoscalers")
        )
        body = {"autoscaling_policy": {"mode": mode}}
        asked = {"project": self._project.id, kind: place, "autoscaler": name, "autoscaler_resource": body}
        self._project.operate(service, "patch", asked)

    def _patch(self, group: str, values: Mapping[str, str], seen: Mapping[str, Json] | None = None) -> bool:
        """Set policies; with what was seen only where it is what it was: its fingerprint holds that."""
        for left in reversed(range(TRIES)):
            found = reading.manager(self._project, group)
            if seen is not None and (found is None or made.made_of(found) != seen[made.MADE_OF]):
                return False
            body: dict[str, Any] = {"fingerprint": "" if found is None else found.fingerprint}
            for name, value in values.items():
                body.setdefault(_PARTS[name], {})[name] = value
            asked = {**reading.group_request(self._project, group), "instance_group_manager_resource": body}
            try:
                self._project.operate(reading.group_service(group), "patch", asked)
            except Conflict:
                if not left:
                    raise
            else:
                return True
        return False


def _policies(found: Any) -> dict[str, Json]:  # noqa: ANN401 - Google's messages have no types here
    return {name: str(getattr(getattr(found, part), name) or DEFAULTS[name]) for name, part in _PARTS.items()}


def _loose(seen: Mapping[str, Json]) -> list[str]:
    return [name for name, value in HELD.items() if seen and seen[name] != value]


def _loosened(was: Mapping[str, Json], seen: Mapping[str, Json]) -> bool:
    return bool(was) and any(was[name] != seen.get(name) for name in HELD)


def _planned(params: Mapping[str, Json], key: str, seen: Mapping[str, Json]) -> bool:
    """Return whether the signed plan names an autoscaler; a plan that could not read any tells nothing."""
    signed = params.get("autoscalers")
    return key == GROUP or not isinstance(signed, list) or [key.removeprefix(SCALER), seen["id"]] in signed


def _left(seen: Json) -> Outcome:
    return Outcome.ALREADY if fields(seen).get("mode") not in (None, OFF) else Outcome.ENDED


def key(group: str) -> str:
    """Return the key of a group's proposal."""
    return f"hold_group:{group}"


def proposed(project: Project, targets: Sequence[reading.Target]) -> Proposed:
    """Propose it for each group that is there; the plan names its autoscalers, and what is off already."""
    notes = Notes()
    steps = tuple(_step(project, target, notes) for target in targets if target.group)
    return Proposed(steps, incomplete=tuple(notes.incomplete))


def _step(project: Project, target: reading.Target, notes: Notes) -> Proposal:
    asleep: list[Json] = [
        name for name, one in sorted(target.found.items()) if str(one.status) in reading.OFF
    ]
    more: dict[str, Json] = {"asleep": asleep}
    unread: list[Any] | None = None
    scalers = notes.attempt(partial(made.scalers_of, project, target.group), unread)
    if scalers is not None:
        more["autoscalers"] = [[str(one.name), str(one.id)] for one in scalers]
    return Proposal(
        key=key(target.group),
        action=SPEC.name,
        target=target.resource(project, "hold", "", **more),
        settle_s=project.settle_s(SPEC),
    )
