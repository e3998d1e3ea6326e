"""``gcp.agentengine.cancel_queries``: asynchronous queries of the engine that run are cancelled.

``gcp.agentengine.outlast_queries``: a query that is being answered right now ends by itself. No method
lists or ends one (Vertex AI v1 reference), so that it is a window and no proof.
"""

from __future__ import annotations

import re
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
from breakglass_gcp.actions.agent_engine_reading import SERVICE, engine_of, place, read_engine
from breakglass_gcp.messages import text
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import code_of

WINDOW_S = 3600
PATIENCE_S = 60
"""A stop waits so long for what ends by itself; in a drill that is shorter, as settle times are."""
CANCEL = ActionSpec(
    name="gcp.agentengine.cancel_queries",
    capability=Capability.STOP_WORKLOADS,
    summary="cancels every asynchronous query of the engine that runs",
    permissions=(
        "aiplatform.reasoningEngines.get",
        "aiplatform.reasoningEngines.cancelAsyncQuery",
        "aiplatform.reasoningEngines.update",
    ),
    undo_permissions=("aiplatform.reasoningEngines.get",),
    blast_radius="whoever waits for an answer of these queries gets none",
    reversibility=Reversibility.NONE,
    undo="nothing can: a cancelled query is asked again by whoever asked it",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="gcp.agentengine.cancel_queries engine/europe-west1/1234567890123456789",
    sources=(
        Source("summary", Authority.VENDOR_TEXT, "Vertex AI v1 reference, reasoningEngines.cancelAsyncQuery"),
        Source("settle", Authority.UNVERIFIED, "no time is published"),
        Source("permissions", Authority.UNVERIFIED, "named as its methods are"),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_agent_engine.py"),
    ),
    service=SERVICE,
)
OUTLAST = ActionSpec(
    name="gcp.agentengine.outlast_queries",
    capability=Capability.STOP_WORKLOADS,
    summary="waits until queries that are being answered have ended by themselves: nothing can end them",
    permissions=("aiplatform.reasoningEngines.get",),
    blast_radius="none: it changes nothing",
    reversibility=Reversibility.FULL,
    undo="nothing was changed",
    settle_s=0,
    best_grade=Grade.NONE,
    example="gcp.agentengine.outlast_queries engine/europe-west1/1234567890123456789",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "Vertex AI v1 reference: no method ends a query"),
        Source("window", Authority.UNVERIFIED, "the longest request of Cloud Run, 60 minutes, is taken"),
    ),
    service=SERVICE,
)
_NOT_A_QUERY = re.compile(r"(?:Create|Update|Delete)ReasoningEngineOperationMetadata$")
_NO_LIST = frozenset({"UNIMPLEMENTED", "NOT_IMPLEMENTED"})


class CancelQueries:
    """The asynchronous queries of one engine."""

    spec = CANCEL

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """List what runs; an engine that is gone runs nothing."""
        path = f"v1/{engine_of(resource)}/operations"
        try:
            listed = self._project.rest_pages(SERVICE, path, "operations", location=place(resource))
        except Gone:
            return State({})
        except ProviderError as error:
            if code_of(error) not in _NO_LIST:
                raise
            return State({}, complete=False, note="the service does not list the engine's operations")
        objects: dict[str, Json] = {
            str(one["name"]): {"operation": str(one["name"])} for one in listed.items if _runs(one)
        }
        missed = ", ".join(listed.unreachable)
        return State(objects, complete=not missed, note=f"not answered: {missed}" if missed else "")

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Cancel each; one that ended meanwhile is fine."""
        failed: list[ProviderError] = []
        for name in before.objects:
            try:
                self._cancel(resource, name)
            except Transient:
                raise
            except ProviderError as error:
                failed.append(error)
        if failed:
            raise failed[0]

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether one runs that can be listed."""
        if state.objects:
            return Judgement(Verdict.NOT_CONTAINED, f"{len(state.objects)} asynchronous queries run")
        if not state.complete:
            return Judgement(Verdict.UNKNOWN, f"whether queries run is not known: {state.note}", Grade.NONE)
        return Judgement(Verdict.CONTAINED, "no asynchronous query runs")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - nothing can
        """Say that they have ended."""
        return Reversal(dict.fromkeys(before.objects, Outcome.ENDED), "whoever asked them asks again")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: the listing says it."""
        return None

    def _cancel(self, resource: Resource, name: str) -> None:
        """Cancel by the method for it, whose name of an operation lacks the engine; else as any operation."""
        engine, location = engine_of(resource), place(resource)
        short = f"{engine.partition('/reasoningEngines/')[0]}/operations/{name.rpartition('/')[2]}"
        body = {"operationName": short}
        try:
            self._project.rest(SERVICE, "POST", f"v1/{engine}:cancelAsyncQuery", body=body, location=location)
        except Transient:
            raise
        except ProviderError:
            try:
                self._project.rest(SERVICE, "POST", f"v1/{name}:cancel", body={}, location=location)
            except Gone:
                return


class OutlastQueries:
    """What the engine is answering right now."""

    spec = OUTLAST

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read that the engine is there; what it is answering no method shows."""
        try:
            read_engine(self._project, engine_of(resource), place(resource))
        except Gone:
            return State({"engine": {"gone": True}})
        return State({"engine": {"gone": False}})

    def apply(self, resource: Resource, before: State, token: str) -> None:
        """Change nothing."""

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - nothing can be seen
        """Say the window: nothing shows when the last one has ended, and only time ends it."""
        reason = f"a query that was being answered lives {resource.params['window_s']} s at the most"
        return Judgement(Verdict.CONTAINED, reason)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - nothing to do
        """Return that nothing was changed."""
        return Reversal(dict.fromkeys(before.objects, Outcome.ALREADY), "nothing was changed")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: nothing shows a running query."""
        return None


def _runs(operation: Mapping[str, Any]) -> bool:
    """Return whether an operation is a query that has not ended; one of an unknown kind might be."""
    kind = text(dict(operation), "metadata", "@type")
    return operation.get("done") is not True and _NOT_A_QUERY.search(kind) is None
