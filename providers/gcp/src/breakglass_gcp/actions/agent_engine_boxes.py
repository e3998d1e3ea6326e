"""``gcp.agentengine.pause_sandboxes``: the sandbox environments in which the agent runs code are paused.

Pausing keeps what is in them, which is evidence; they end at their own expireTime all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Gone, ProviderError, Transient
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
from breakglass_gcp.actions.agent_engine_reading import SERVICE, engine_of, place, wait_for
from breakglass_gcp.messages import field
from breakglass_gcp.project import Project

RUNNING, PAUSED = "STATE_RUNNING", "STATE_PAUSED"
STILL = frozenset({PAUSED, "STATE_TERMINATED", "STATE_DELETED"})
SPEC = ActionSpec(
    name="gcp.agentengine.pause_sandboxes",
    capability=Capability.STOP_WORKLOADS,
    summary="pauses every sandbox environment of the engine that runs",
    permissions=("aiplatform.sandboxEnvironments.list", "aiplatform.sandboxEnvironments.pause"),
    undo_permissions=("aiplatform.sandboxEnvironments.list", "aiplatform.sandboxEnvironments.resume"),
    blast_radius="code of every user of this engine that runs in them; one that expires meanwhile is lost",
    reversibility=Reversibility.PARTIAL,
    undo="resumes those that ran before; connections into them are gone",
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="gcp.agentengine.pause_sandboxes engine/europe-west1/1234567890123456789",
    sources=(
        Source(
            "summary",
            Authority.VENDOR_TEXT,
            "Vertex AI v1 reference, reasoningEngines.sandboxEnvironments.pause",
        ),
        Source("settle", Authority.UNVERIFIED, "no time is published; they are read until PAUSED"),
        Source("permissions", Authority.UNVERIFIED, "named as its methods are"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_agent_engine_boxes.py"),
    ),
    service=SERVICE,
)
WAIT_S = 5.0
PAUSE_S = 0.3


class PauseSandboxes:
    """The sandbox environments of one engine."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read them all; an engine that is gone has none."""
        path = f"v1/{engine_of(resource)}/sandboxEnvironments"
        try:
            listed = self._project.rest_pages(SERVICE, path, "sandboxEnvironments", location=place(resource))
        except Gone:
            return State({})
        objects = {str(one.get("name")): _facts(one) for one in listed.items}
        missed = ", ".join(listed.unreachable)
        return State(objects, complete=not missed, note=f"not answered: {missed}" if missed else "")

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Pause those that run; what is on its way is waited for by the next look."""
        running = [name for name, value in before.objects.items() if field(value, "state") == RUNNING]
        self._turn(resource, running, "pause")
        if before.objects and not running:
            self._project.connection.clock.sleep(PAUSE_S)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether code can run in one of them."""
        odd = {str(field(one, "state")) for one in state.objects.values()} - STILL
        if odd:
            return Judgement(Verdict.NOT_CONTAINED, f"sandbox environments are {', '.join(sorted(odd))}")
        return Judgement(Verdict.CONTAINED, f"none of {len(state.objects)} sandbox environments runs")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Resume those that ran and are paused."""
        outcomes: dict[str, Outcome] = {}
        for name, value in before.objects.items():
            there = now.objects.get(name)
            if there is None or field(there, "created") != field(value, "created"):
                outcomes[name] = Outcome.DRIFTED
            elif field(value, "state") != RUNNING or field(there, "state") == RUNNING:
                outcomes[name] = Outcome.ALREADY
            elif field(there, "state") != PAUSED:
                outcomes[name] = Outcome.DRIFTED
            else:
                self._turn(resource, [name], "resume")
                outcomes[name] = Outcome.RESTORED
        return Reversal(outcomes, "those run again that ran before; one that expired is gone")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: code that ran would be the harm."""
        return None

    def _turn(self, resource: Resource, names: list[str], verb: str) -> None:
        """Pause or resume each; one that cannot be stops no other, and is told at the end."""
        begun: list[Mapping[str, Any]] = []
        failed: list[ProviderError] = []
        for name in names:
            try:
                begun.append(
                    self._project.rest(
                        SERVICE, "POST", f"v1/{name}:{verb}", body={}, location=place(resource)
                    )
                )
            except Gone:
                continue
            except ProviderError as error:
                failed.append(error)
        clock = self._project.connection.clock
        end_s = clock.monotonic_s() + WAIT_S
        for one in begun:
            try:
                wait_for(self._project, one, place(resource), max(0.0, end_s - clock.monotonic_s()))
            except ProviderError as error:
                failed.append(error)
        if failed:
            raise next((one for one in failed if isinstance(one, Transient)), failed[0])


def _facts(one: Mapping[str, Any]) -> Json:
    return {
        "state": str(one.get("state") or "STATE_UNSPECIFIED"),
        "created": str(one.get("createTime") or ""),
        "expires": str(one.get("expireTime") or ""),
    }
