"""``gcp.run.stop_instance``: a Cloud Run instance, one container that runs by itself, does not run.

Whether it runs is told by the reason of a condition (Cloud Run Admin API v2 discovery document,
GoogleCloudRunV2Condition.instanceReason). Google's client in the version that is used here drops that field
from its messages, so an instance is read over REST; it is listed, stopped and started by the client.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from breakglass.canon import Json, JsonObject
from breakglass.errors import Gone, ProviderError, Transient, Unsettled
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
from breakglass.provider import Notes, Outcome, Proposal, Proposed, Reversal
from breakglass_gcp.actions.run_reading import MOST_TRIES, full_name, name_of, uid_of
from breakglass_gcp.found import Found
from breakglass_gcp.made_since import made_since
from breakglass_gcp.messages import field, fields, text
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import Conflict

_REST = "Cloud Run Admin API v2 reference, projects.locations.instances"
SPEC = ActionSpec(
    name="gcp.run.stop_instance",
    capability=Capability.STOP_WORKLOADS,
    summary="stops the Cloud Run instance",
    permissions=("run.instances.get", "run.instances.list", "run.instances.stop", "run.operations.get"),
    blast_radius="everything that runs in the instance; its URL answers nobody",
    reversibility=Reversibility.PARTIAL,
    undo=(
        "starts it again if it ran before, was not made since the harm began, and would run the same; its"
        " memory stays lost"
    ),
    settle_s=30,
    best_grade=Grade.READ_BACK,
    example="gcp.run.stop_instance instance/europe-west1/support-bot",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "Cloud Run v2 discovery document, instanceReason"),
        Source("effect", Authority.UNVERIFIED, "which condition carries that reason: each is looked at"),
        Source("permissions", Authority.VENDOR_TEXT, f"{_REST}.stop: run.instances.stop"),
        Source("permissions", Authority.UNVERIFIED, "run.instances.get, list and start: by its pattern"),
        Source("settle", Authority.VENDOR_TEXT, "Container runtime contract: SIGTERM, then 10 s to the end"),
        Source("settle", Authority.UNVERIFIED, "no time to the signal is published; 30 s is our margin"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_run_instances.py"),
    ),
    destroys_evidence="memory and disk of the instance",
    service="run",
    undo_permissions=("run.instances.start",),
)
SERVICE = "run_instances"
INSTANCE = "instance"
STOPPED, STOPPING = "INSTANCE_STOPPED", "INSTANCE_STOPPING"
READY = "CONDITION_SUCCEEDED"
_ON = (READY, "CONDITION_PENDING", "CONDITION_RECONCILING")
_PLANTED = ("serviceAccount", "containers", "volumes", "vpcAccess", "nodeSelector", "restartPolicy")
"""Whoever changed these while it was off chose what would run, or as whom."""
UNDONE = (
    "what ran before runs again; what did not run, was made since the harm began, or would now run"
    " something else stays off: look at it, and start it by hand"
)


class StopInstance:
    """One instance, off."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read its conditions; one that is gone has none."""
        live = _live(self._project, name_of(resource))
        return State({INSTANCE: _facts(live)} if live else {})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Stop it unless that is done or on its way.

        Without an etag: it is to be off in whatever version, and whoever writes to it all the time must not
        be able to put that off.
        """
        seen = fields(before.objects.get(INSTANCE))
        if seen and not _stopped(seen) and STOPPING not in _reasons(seen):
            try:
                self._project.operate(SERVICE, "stop_instance", {"name": name_of(resource)})
            except Gone:
                return  # or the method is not known there: what is read next tells

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether it runs; what no condition tells is unknown."""
        shown = f"Cloud Run instance {resource.params['instance']}"
        if not state.objects:
            return Judgement(Verdict.CONTAINED, f"{shown} is gone")
        seen = fields(state.objects[INSTANCE])
        if _stopped(seen):
            return Judgement(Verdict.CONTAINED, f"{shown} is stopped")
        if seen.get("reconciling") or STOPPING in _reasons(seen):
            return Judgement(Verdict.UNKNOWN, f"Cloud Run still works on {shown}", Grade.NONE)
        if _runs(seen):
            return Judgement(Verdict.NOT_CONTAINED, f"{shown} runs")
        told = ", ".join((text(seen, "ready") or "no state", *_reasons(seen)))
        why = f"Cloud Run does not say that {shown} is stopped: {told}; it may run, or be started again"
        return Judgement(Verdict.UNKNOWN, why[:500], Grade.NONE)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Start it if it ran before and is the same."""
        seen = now.objects.get(INSTANCE)
        return Reversal({key: self._back(resource, was, seen) for key, was in before.objects.items()}, UNDONE)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: what does not run cannot be asked."""
        return None

    def _back(self, resource: Resource, was: Json, now: Json) -> Outcome:
        seen = fields(now)
        if not seen or uid_of(was) != uid_of(now):
            return Outcome.DRIFTED
        if _runs(seen) or not _ran(fields(was)):
            return Outcome.ALREADY
        if not _stopped(seen):
            raise Unsettled("is not known to be stopped", where=name_of(resource))
        if resource.params["late"]:
            return Outcome.ENDED
        return self._start(name_of(resource), fields(was))

    def _start(self, name: str, was: Mapping[str, Json]) -> Outcome:
        """Start the version that is looked at, and no other.

        Raises:
            Conflict: somebody else wrote between each read and start, five times.
            Transient: it does not run yet.
        """
        for tried in range(1, MOST_TRIES + 1):
            live = _live(self._project, name)
            now = _facts(live) if live else {}
            if any(now.get(key) != was.get(key) for key in ("uid", "runs")):
                return Outcome.DRIFTED
            asked = {"name": name, "etag": text(live, "etag")}
            try:
                done = self._project.operate(SERVICE, "start_instance", asked)
            except Conflict:
                if tried == MOST_TRIES:
                    raise
                continue
            if not done:
                raise Transient("is started, and does not run yet", where=name)
            break
        return Outcome.RESTORED


def _live(project: Project, name: str) -> JsonObject | None:
    """Return an instance as REST tells it; None: it is gone.

    Raises:
        ProviderError: it cannot be read, or nobody there knows of instances: that is no word of its end.
    """
    try:
        return project.rest(SERVICE, "GET", f"v2/{name}")
    except Gone as error:
        gone = error
    try:
        listed = project.every(SERVICE, "list_instances", {"parent": name.rpartition("/instances/")[0]})
    except Gone as error:
        raise ProviderError(f"Cloud Run lists no instances there: {error.what}", where=name) from error
    if listed.unreachable or any(str(one.name).rpartition("/")[2] == _short(name) for one in listed.items):
        raise ProviderError(f"is listed, or may be, and cannot be read: {gone.what}", where=name) from gone
    return None


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def _facts(live: JsonObject) -> JsonObject:
    """Return what a journal keeps of an instance: what it would run by its digest, since it holds secrets."""
    told = field(live, "conditions")
    conditions = [field(live, "terminalCondition"), *(told if isinstance(told, list) else [])]
    reasons: list[Json] = [*sorted({text(one, "instanceReason") for one in conditions} - {""})]
    planted = json.dumps({key: live.get(key) for key in _PLANTED}, sort_keys=True)
    return {
        "uid": text(live, "uid"),
        "runs": hashlib.sha256(planted.encode()).hexdigest(),
        "ready": text(live, "terminalCondition", "state"),
        "reasons": reasons,
        "reconciling": bool(live.get("reconciling")),
    }


def _reasons(seen: Mapping[str, Json]) -> list[str]:
    told = seen.get("reasons")
    return [str(one) for one in told] if isinstance(told, list) else []


def _stopped(seen: Mapping[str, Json]) -> bool:
    """Tell whether Cloud Run says that it is stopped, and nothing that contradicts it."""
    return _reasons(seen) == [STOPPED] and not seen.get("reconciling") and seen.get("ready") != READY


def _runs(seen: Mapping[str, Json]) -> bool:
    """Tell whether it is ready; a condition that succeeded has no reason (condition.proto, `reasons`)."""
    return seen.get("ready") == READY and not _reasons(seen) and not seen.get("reconciling")


def _ran(was: Mapping[str, Json]) -> bool:
    """Tell whether it ran before the stop, or was about to."""
    return not _reasons(was) and was.get("ready") in _ON


def propose(project: Project, found: Found) -> Proposed:
    """Propose to stop each instance that is the agent's; one that cannot be read hides no other."""
    notes, proposed = Notes(), Proposed()
    for named in found.of("run_instances"):
        proposed = proposed.plus(notes.attempt(lambda named=named: _of_instance(project, named), Proposed()))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
    return proposed.plus(Proposed(incomplete=tuple(notes.incomplete)))


def _of_instance(project: Project, named: str) -> Proposed:
    name, shown = full_name(project, "instances", named), f"Cloud Run instance {named}"
    live = _live(project, name)
    if live is None:
        return Proposed(not_touched=(NotTouched(shown, "there is none of this name"),))
    made = text(live, "createTime")
    late = made_since(made, project.connection.since)
    why = f"{shown}, made at {made}, since the harm began: a restore leaves it off"
    target = project.target(
        "gcp-run-instance",
        f"instance/{named}",
        shown,
        name=name,
        instance=named,
        account=text(live, "serviceAccount"),
        late=late,
    )
    step = Proposal(
        key=f"stop_run_instance:{named}",
        action=SPEC.name,
        target=target,
        settle_s=project.settle_s(SPEC),
        affects=(why,) if late else (),
    )
    return Proposed((step,))


ACTION_CLASSES = (StopInstance,)
SPECS = (SPEC,)
