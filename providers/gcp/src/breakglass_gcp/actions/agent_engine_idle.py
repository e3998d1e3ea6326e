"""``gcp.agentengine.idle_engine``: no instance of the engine is kept warm without queries.

The smallest number of instances is 1 where nothing is set (ReasoningEngineSpecDeploymentSpec.minInstances):
code of the agent's that goes on between queries lives there. Which instance ends when is the service's
decision, and nothing shows it; the largest number cannot be 0.
"""

from __future__ import annotations

import threading

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
from breakglass.provider import Outcome, Reversal
from breakglass_gcp.actions.agent_engine_reading import (
    SERVICE,
    engine_of,
    is_another,
    least_instances,
    place,
    read_engine,
    wait_for,
)
from breakglass_gcp.messages import field, text
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import Conflict

WHOLE = "spec.deployment_spec"
MASK = f"{WHOLE}.min_instances"
MOST_TRIES = 5
ENGINE = "engine"
SPEC = ActionSpec(
    name="gcp.agentengine.idle_engine",
    capability=Capability.STOP_WORKLOADS,
    summary="sets the engine's minInstances to 0, so that no instance is kept without queries",
    permissions=("aiplatform.reasoningEngines.get", "aiplatform.reasoningEngines.update"),
    blast_radius="the first query after a restore waits for an instance; the change may replace instances",
    reversibility=Reversibility.FULL,
    undo="sets minInstances as it was, or takes it out where it was not set",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="gcp.agentengine.idle_engine engine/europe-west1/1234567890123456789",
    sources=(
        Source(
            "summary",
            Authority.VENDOR_TEXT,
            "Vertex AI v1 reference, ReasoningEngineSpecDeploymentSpec: [0, 75]",
        ),
        Source("settle", Authority.UNVERIFIED, "no time is published, nor when an idle instance ends"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_agent_engine.py"),
    ),
    service=SERVICE,
)


class IdleEngine:
    """The smallest number of instances of one engine."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project
        self._gate = threading.Lock()
        self._going: dict[str, str] = {}
        """Target -> the operation of this run that had not ended when it was last looked at."""

    def observe(self, resource: Resource) -> State:
        """Read the number; an engine that is gone has no state."""
        try:
            engine = read_engine(self._project, engine_of(resource), place(resource))
        except Gone:
            return State({})
        facts: dict[str, Json] = {
            "min": least_instances(engine),
            "bare": field(engine, "spec", "deploymentSpec") is None,
            "created": text(engine, "createTime"),
            "another": is_another(resource, engine),
        }
        return State({ENGINE: facts})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Set it to 0 unless it is.

        Raises:
            Conflict: somebody else wrote between each read and write, five times.
        """
        if ENGINE in before.objects and field(before.objects[ENGINE], "min") != 0:
            self._set(resource, 0)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether an instance is kept without queries."""
        if ENGINE not in state.objects:
            return Judgement(Verdict.CONTAINED, "the engine is gone")
        least = field(state.objects[ENGINE], "min")
        if least != 0:
            kept = "1, since nothing is set" if least is None else str(least)
            return Judgement(Verdict.NOT_CONTAINED, f"instances that are kept without queries: {kept}")
        return Judgement(Verdict.CONTAINED, "no instance is kept without queries")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Set it as it was, where it is as the stop left it."""
        was, there = before.objects.get(ENGINE), now.objects.get(ENGINE)
        outcome = Outcome.DRIFTED
        if there is not None and field(was, "created") == field(there, "created"):
            if field(was, "min") == field(there, "min"):
                outcome = Outcome.ALREADY
            elif field(there, "min") == 0 and self._set(resource, field(was, "min"), bare=_bare(was)):
                outcome = Outcome.RESTORED
        return Reversal(dict.fromkeys(before.objects, outcome), "what others changed since is left alone")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: nothing shows the engine's instances."""
        return None

    def _set(self, resource: Resource, least: Json, *, bare: bool = False) -> bool:
        """Set it by compare-and-set; `bare`: nothing was around it. False: the engine is gone."""
        name, location = engine_of(resource), place(resource)
        with self._gate:
            going = self._going.pop(resource.id, "")
        if going and not wait_for(self._project, {"name": going}, location):
            return self._still(resource, going)
        for tried in range(1, MOST_TRIES + 1):
            try:
                engine = read_engine(self._project, name, location)
                if least_instances(engine) == least:
                    return True
                body: dict[str, object] = {"name": name, "etag": text(engine, "etag")}
                alone = bare and field(engine, "spec", "deploymentSpec") == {"minInstances": 0}
                kept: dict[str, object] = {} if least is None else {"minInstances": least}
                body["spec"] = {} if alone else {"deploymentSpec": kept}
                query = {"updateMask": WHOLE if alone else MASK}
                begun = self._project.rest(
                    SERVICE, "PATCH", f"v1/{name}", query=query, body=body, location=location
                )
            except Gone:
                return False
            except Conflict:
                if tried == MOST_TRIES:
                    raise
                continue
            return wait_for(self._project, begun, location) or self._still(resource, str(begun.get("name")))
        return False

    def _still(self, resource: Resource, operation: str) -> bool:
        with self._gate:
            self._going[resource.id] = operation
        return True


def _bare(was: Json) -> bool:
    """Return whether nothing of the deployment was set before the stop."""
    return field(was, "bare") is True
