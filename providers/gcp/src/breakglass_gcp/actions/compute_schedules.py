"""``gcp.compute.detach_schedules``: no instance schedule starts the instance again.

An instance schedule is a resource policy that starts and stops what it is attached to (Compute Engine
documentation, "Schedule a VM to start and stop"). Other policies of the instance, as its placement, stay.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
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
from breakglass_gcp.tries import Tries

SPEC = ActionSpec(
    name="gcp.compute.detach_schedules",
    capability=Capability.BLOCK_RELAUNCH,
    summary="takes instance schedules off the instance, so that none starts it again",
    permissions=(
        *reading.INSTANCE_READS,
        *reading.ZONE_OPERATIONS,
        "compute.instances.removeResourcePolicies",
        "compute.resourcePolicies.get",
        "compute.resourcePolicies.use",
    ),
    blast_radius="the instance is neither started nor stopped by its schedules",
    reversibility=Reversibility.FULL,
    undo="attaches those schedules again that were attached; what passed meanwhile is not made up for",
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="gcp.compute.detach_schedules instance/europe-west1-b/support-bot",
    sources=(
        Source(
            "effect",
            Authority.VENDOR_TEXT,
            "Compute Engine v1 discovery document, instances.removeResourcePolicies",
        ),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_compute_schedules.py"),
        Source("settle", Authority.UNVERIFIED, "no time is published"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_compute_schedules.py"),
    ),
    service="compute",
    undo_permissions=(
        *reading.ZONE_OPERATIONS,
        "compute.instances.addResourcePolicies",
        "compute.resourcePolicies.use",
    ),
)
_POLICY = re.compile(r"projects/[^/]+/regions/([^/]+)/resourcePolicies/([^/]+)")


class DetachSchedules:
    """The instance schedules of one instance, or of all instances of a group."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read the schedules that are attached."""
        objects: dict[str, Json] = {}
        for name, one in reading.live(self._project, resource).items():
            for policy in attached(self._project, one):
                objects[f"{name} {policy}"] = {"id": str(one.id)}
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - policies are compared
        """Take them off; one that fails keeps no other on."""
        tries = Tries()
        for key in before.objects:
            tries.make(partial(self._change, "remove", key))
        tries.end()

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether a schedule is left."""
        for key in sorted(state.objects):
            name, _, policy = key.partition(" ")
            short = policy.rpartition("/")[2]
            return Judgement(Verdict.NOT_CONTAINED, f"schedule {short} may start instance {name}")
        return Judgement(Verdict.CONTAINED, f"{resource.label}: no schedule")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - keys say it all
        """Attach each again, where the instance and the schedule are still there."""
        outcomes = {key: self._put_back(key, fields(was), now) for key, was in before.objects.items()}
        return Reversal(outcomes, "a schedule or instance that is gone or new is left alone")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: only time starts it."""
        return None

    def _put_back(self, key: str, was: Mapping[str, Json], now: State) -> Outcome:
        if key in now.objects:
            return Outcome.ALREADY
        one = reading.instance(self._project, key.partition(" ")[0])
        if one is None or str(one.id) != was["id"]:
            return Outcome.DRIFTED
        try:
            self._project.call("resource_policies", "get", _request(self._project, key.partition(" ")[2]))
        except Gone:
            return Outcome.DRIFTED
        self._change("add", key)
        return Outcome.RESTORED

    def _change(self, verb: str, key: str) -> None:
        name, _, policy = key.partition(" ")
        body = {"resource_policies": [policy]}
        asked = {
            **reading.request(self._project, name),
            f"instances_{verb}_resource_policies_request_resource": body,
        }
        try:
            self._project.operate("instances", f"{verb}_resource_policies", asked)
        except Gone:
            if verb == "add":
                raise


def attached(project: Project, one: Any) -> list[str]:  # noqa: ANN401 - Google's messages have no types here
    """Return the instance schedules that are attached to an instance."""
    found = []
    for told in one.resource_policies:
        policy = rules.short(str(told))
        if _POLICY.fullmatch(policy) is None:
            continue
        try:
            held = project.call("resource_policies", "get", _request(project, policy))
        except Gone:
            continue
        if "instance_schedule_policy" in held:
            found.append(policy)
    return found


def _request(project: Project, policy: str) -> dict[str, object]:
    match = _POLICY.fullmatch(policy)
    region, name = (match[1], match[2]) if match else ("", policy)
    return {"project": project.id, "region": region, "resource_policy": name}


def proposed(project: Project, targets: Sequence[reading.Target]) -> Proposed:
    """Propose it for each, also where there is none now: one may be attached after the plan was made."""
    return Proposed(
        tuple(
            Proposal(
                key=f"detach_schedules:{target.key}",
                action=SPEC.name,
                target=target.resource(project, "schedules", f"schedules of {target.shown}"),
                settle_s=project.settle_s(SPEC),
            )
            for target in targets
        )
    )
