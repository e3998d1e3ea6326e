"""``gcp.run.scale_service_to_zero``: a service has no instance any more, and none can start.

Manual scaling with zero instances is no new revision, and switches the service off (Cloud Run documentation,
"Manual scaling"). A revision that is reachable by a traffic tag alone does not count towards it: it keeps its
own minimum, or starts one instance for a request to the tag (the same, "Traffic splits for manual scaling").
So such tags are taken out of the traffic, too.
"""

from __future__ import annotations

from collections.abc import Mapping

from breakglass.canon import Json, JsonObject
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
from breakglass.provider import Outcome, Reversal
from breakglass_gcp.actions import run_reading as reading
from breakglass_gcp.actions.run_reading import SERVICE, STATUS, name_of
from breakglass_gcp.messages import fields
from breakglass_gcp.project import Project

MANUAL = "MANUAL"
ZERO: JsonObject = {"scaling_mode": MANUAL, "manual_instance_count": 0}
USUAL_MOST = 100
"""vendor_settings.proto, RevisionScaling.max_instance_count: the server's default."""
UPDATE = ("iam.serviceAccounts.actAs", "run.operations.get", "run.services.get", "run.services.update")
"""Cloud Run documentation, "Manual scaling", Required roles: Cloud Run Developer on the service and Service
Account User on its identity."""
SPEC = ActionSpec(
    name="gcp.run.scale_service_to_zero",
    capability=Capability.STOP_WORKLOADS,
    summary="switches the service to manual scaling with 0 instances, and takes out revisions that only a"
    " traffic tag keeps alive",
    permissions=UPDATE,
    blast_radius="everybody who calls the service is answered 503; messages pushed to it are retried",
    reversibility=Reversibility.FULL,
    undo="puts scaling back, minimum and maximum too, and the traffic tags; not where it was deployed again",
    settle_s=30,
    best_grade=Grade.READ_BACK,
    example="gcp.run.scale_service_to_zero run/europe-west1/support-bot",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "Cloud Run documentation, Manual scaling"),
        Source("effect", Authority.VENDOR_TEXT, "google.cloud.run.v2 proto, ServiceScaling, reconciling"),
        Source(
            "effect", Authority.UNVERIFIED, "that it works for a service whose account is disabled already"
        ),
        Source("settle", Authority.VENDOR_TEXT, "Container runtime contract: SIGTERM, then 10 s to the end"),
        Source("settle", Authority.UNVERIFIED, "no time to the signal is published; 30 s is our margin"),
        Source("undo", Authority.VENDOR_TEXT, "Manual scaling: to automatic both min and max, or neither"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_run_scaling.py"),
    ),
    destroys_evidence="memory and disks of the service's instances",
    service="run",
)
SCALING, TAGS = "scaling", "tags"


class ScaleServiceToZero:
    """Scaling and traffic tags of one service."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read both, and whether they are in force; a service that is gone has neither."""
        try:
            live = reading.read(self._project, SERVICE, name_of(resource))
        except Gone:
            return State({})
        whose = reading.whose(live)
        return State(
            {
                SCALING: {**whose, "value": fields(live.get("scaling"))},
                TAGS: {**whose, "value": [*reading.traffic_of(live)]},
                STATUS: reading.status(live),
            }
        )

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Write zero and the traffic without such tags, where it is otherwise."""
        if before.objects:
            try:
                reading.write(self._project, SERVICE, name_of(resource), stopped)
            except Gone:
                return

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether an instance can be left or start."""
        if not state.objects:
            return Judgement(Verdict.CONTAINED, f"service {resource.params['service']} is gone")
        if not is_zero(fields(fields(state.objects[SCALING]).get("value"))):
            return Judgement(Verdict.NOT_CONTAINED, "the service is not scaled to 0")
        if tags := [str(one.get("tag")) for one in _traffic(state.objects[TAGS]) if _only_tagged(one)]:
            return Judgement(
                Verdict.NOT_CONTAINED, f"revisions are reachable by tags: {', '.join(tags)}"[:300]
            )
        return reading.not_in_force(state.objects) or Judgement(
            Verdict.CONTAINED, "manual scaling with 0 instances is in force, and no tag keeps one"
        )

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Put back what is still as the stop left it: scaling first, then the tags."""
        outcomes: dict[str, Outcome] = {}
        if SCALING in before.objects:
            outcomes[SCALING] = self._scaling(resource, before.objects[SCALING], now.objects.get(SCALING))
        if TAGS in before.objects:
            outcomes[TAGS] = self._tags(resource, before.objects[TAGS], now.objects.get(TAGS))
        rest = dict.fromkeys((one for one in before.objects if one not in outcomes), Outcome.ALREADY)
        said = (
            "the service is as it was; what others changed is left alone, and so is one deployed again since"
        )
        return Reversal({**outcomes, **rest}, said)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - see below
        """Return None: a request that was let through would make the agent work."""
        return None

    def _scaling(self, resource: Resource, was: Json, now: Json) -> Outcome:
        wanted, current = fields(fields(was).get("value")), fields(fields(now).get("value"))
        if reading.uid_of(was) != reading.uid_of(now):
            return Outcome.DRIFTED
        if wanted == current:
            return Outcome.ALREADY
        # Of two writes the first may have been made by a try whose end was not seen.
        left = is_zero(current) or current in steps_back(wanted)
        if not left or not reading.same_code(was, now):
            return Outcome.DRIFTED
        for value in steps_back(wanted):
            self._put(resource, was, "scaling", value, stays=(current, *steps_back(wanted)))
        return Outcome.RESTORED

    def _tags(self, resource: Resource, was: Json, now: Json) -> Outcome:
        wanted, current = _traffic(was), _traffic(now)
        if reading.uid_of(was) != reading.uid_of(now):
            return Outcome.DRIFTED
        if wanted == current:
            return Outcome.ALREADY
        if without_tags(wanted) != current or not reading.same_code(was, now):
            return Outcome.DRIFTED
        self._put(resource, was, "traffic", [*wanted], stays=([*current],))
        return Outcome.RESTORED

    def _put(self, resource: Resource, was: Json, name: str, value: Json, *, stays: tuple[Json, ...]) -> None:
        """Write one field, where it still is one of what it may be."""

        def decide(live: JsonObject) -> Mapping[str, Json]:
            held: Json = fields(live.get(name)) if name == "scaling" else [*reading.traffic_of(live)]
            mine = reading.same_code(was, reading.whose(live)) and held in stays
            return {name: value} if mine and held != value else {}

        reading.put_back(self._project, SERVICE, name_of(resource), decide)


def is_zero(scaling: JsonObject) -> bool:
    """Return whether a service's scaling is manual with no instance."""
    return scaling.get("scaling_mode") == MANUAL and scaling.get("manual_instance_count") == 0


def stopped(live: JsonObject) -> Mapping[str, Json]:
    """Return the fields to write so that nothing of the service runs; none where it is so."""
    change: dict[str, Json] = {}
    if not is_zero(fields(live.get("scaling"))):
        change["scaling"] = dict(ZERO)
    traffic = reading.traffic_of(live)
    if (kept := without_tags(traffic)) != traffic:
        change["traffic"] = [*kept]
    return change


def without_tags(traffic: list[JsonObject]) -> list[JsonObject]:
    """Return the traffic without what only a tag keeps alive."""
    return [one for one in traffic if not _only_tagged(one)]


def steps_back(wanted: JsonObject) -> tuple[JsonObject, ...]:
    """Return the values to write one after another to come back from manual scaling to a value.

    To automatic both minimum and maximum must be given, or neither ("Manual scaling"): where there was only
    one of them, the other is taken out again afterwards.
    """
    if wanted.get("scaling_mode") == MANUAL:
        return (wanted,)
    least, most = wanted.get("min_instance_count"), wanted.get("max_instance_count")
    if least and not most:
        return {**wanted, "max_instance_count": max(USUAL_MOST, int(str(least)))}, wanted
    if most and not least:
        return {**wanted, "min_instance_count": 1}, wanted
    return (wanted,)


def _only_tagged(one: JsonObject) -> bool:
    return not one.get("percent") and bool(one.get("tag"))


def _traffic(value: Json) -> list[JsonObject]:
    found = fields(value).get("value")
    return [fields(one) for one in found] if isinstance(found, list) else []
