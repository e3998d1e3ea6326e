"""``gcp.run.close_ingress``: no request reaches a service, by whatever way.

Ingress of none lets nothing in; the default URL is switched off as well (google/cloud/run/v2/service.proto,
``ingress``, ``default_uri_disabled``). Taking away invokers would do nothing where ``invoker_iam_disabled``
is set (the same).
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
from breakglass_gcp.actions.run_scaling import UPDATE
from breakglass_gcp.messages import fields
from breakglass_gcp.project import Project

NONE = "INGRESS_TRAFFIC_NONE"
CLOSED: JsonObject = {"ingress": NONE, "default_uri_disabled": True}
SPEC = ActionSpec(
    name="gcp.run.close_ingress",
    capability=Capability.BLOCK_RELAUNCH,
    summary="lets no request in: ingress none, default URL off",
    permissions=UPDATE,
    blast_radius="everybody who calls the service is answered 404; messages pushed to it are retried",
    reversibility=Reversibility.FULL,
    undo="puts ingress and the default URL back as they were",
    settle_s=30,
    best_grade=Grade.READ_BACK,
    example="gcp.run.close_ingress ingress/europe-west1/support-bot",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "google.cloud.run.v2 proto, IngressTraffic, Service"),
        Source("settle", Authority.UNVERIFIED, "no time is published; 30 s after reconciliation is ours"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_run_ingress.py"),
    ),
    service="run",
)
INGRESS = "ingress"


class CloseIngress:
    """Ingress and default URL of one service."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read both, and whether they are in force."""
        try:
            live = reading.read(self._project, SERVICE, name_of(resource))
        except Gone:
            return State({})
        return State({INGRESS: {"uid": live.get("uid", ""), **_doors(live)}, STATUS: reading.status(live)})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Close both, where one is open."""
        if before.objects:
            try:
                reading.write(
                    self._project,
                    SERVICE,
                    name_of(resource),
                    lambda live: {} if _doors(live) == CLOSED else CLOSED,
                )
            except Gone:
                return

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether a request can come in."""
        if not state.objects:
            return Judgement(Verdict.CONTAINED, f"service {resource.params['service']} is gone")
        seen = fields(state.objects[INGRESS])
        if not seen.get("ingress"):
            # service.proto: on output unspecified when no revision is active.
            said = "Cloud Run does not show its ingress: no revision is active"
            return reading.not_in_force(state.objects) or Judgement(Verdict.UNKNOWN, said, Grade.NONE)
        if _doors(seen) != CLOSED:
            return Judgement(Verdict.NOT_CONTAINED, f"ingress is {seen.get('ingress')}")
        return reading.not_in_force(state.objects) or Judgement(
            Verdict.CONTAINED, "ingress none is in force, the default URL is off"
        )

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Open it as far as it was, where it is still closed as the stop left it."""
        rest = dict.fromkeys(before.objects, Outcome.ALREADY)
        if INGRESS in before.objects:
            rest[INGRESS] = self._open(resource, before.objects[INGRESS], now.objects.get(INGRESS))
        return Reversal(
            rest, "ingress is as it was; one that others changed, or that was not shown, is left alone"
        )

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - see below
        """Return None: a request that was let through would make the agent work."""
        return None

    def _open(self, resource: Resource, was: Json, now: Json) -> Outcome:
        if reading.uid_of(was) != reading.uid_of(now):
            return Outcome.DRIFTED
        wanted, current = _doors(fields(was)), _doors(fields(now))
        if wanted == current:
            return Outcome.ALREADY
        if not wanted["ingress"]:
            return Outcome.CANNOT
        if current != CLOSED:
            return Outcome.DRIFTED

        def decide(live: JsonObject) -> Mapping[str, Json]:
            mine = live.get("uid", "") == reading.uid_of(was) and _doors(live) == CLOSED
            return wanted if mine else {}

        reading.put_back(self._project, SERVICE, name_of(resource), decide)
        return Outcome.RESTORED


def _doors(live: JsonObject) -> JsonObject:
    return {
        "ingress": live.get("ingress", ""),
        "default_uri_disabled": bool(live.get("default_uri_disabled")),
    }
