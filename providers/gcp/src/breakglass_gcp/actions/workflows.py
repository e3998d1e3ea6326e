"""``gcp.workflows.cancel_executions``: every execution of a workflow that is active or queued is cancelled.

Also those that start while the stop runs. A workflow has no pause, and a change of it does not touch what
runs (Workflows API reference, workflows.patch). Executions that it started elsewhere, jobs and requests go
on: they are stopped where they run.
"""

from __future__ import annotations

from breakglass.canon import Json
from breakglass.errors import Gone, ProviderError
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
from breakglass_gcp.actions.run_jobs import ENDED
from breakglass_gcp.actions.run_reading import full_name, name_of
from breakglass_gcp.found import Found
from breakglass_gcp.messages import as_json, text
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import code_of

STATES = ("QUEUED", "ACTIVE", "UNAVAILABLE")
"""Queued ones first: one that becomes active between two listings is then in both, not in none."""
HIDDEN = "UNAVAILABLE"
PAGE = 1000
SPEC = ActionSpec(
    name="gcp.workflows.cancel_executions",
    capability=Capability.STOP_WORKLOADS,
    summary="cancels every active or queued execution of the workflow, those that start meanwhile included",
    permissions=("workflows.executions.cancel", "workflows.executions.list", "workflows.workflows.get"),
    undo_permissions=("workflows.executions.list",),
    blast_radius="whoever waits for an execution; what it started elsewhere goes on",
    reversibility=Reversibility.NONE,
    undo="nothing: a cancelled execution is started again by its owner",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="gcp.workflows.cancel_executions workflow/europe-west1/support-bot-flow",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "Workflow Executions API reference, executions.cancel"),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_workflows.py"),
        Source("settle", Authority.UNVERIFIED, "no time is published; 10 s is our margin"),
        Source("undo", Authority.VENDOR_TEXT, "Executions proto, State.CANCELLED: stopped intentionally"),
    ),
    service="workflows",
)


class CancelWorkflowExecutions:
    """The executions of one workflow that have not ended."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read every one, all pages; a workflow that is gone cancelled its own (workflows.delete)."""
        objects: dict[str, Json] = {}
        missed: list[str] = []
        for state in STATES:
            asked = {"parent": name_of(resource), "filter": f'state="{state}"', "page_size": PAGE}
            try:
                listed = self._project.every("workflow_executions", "list_executions", asked)
            except Gone:
                return State({})
            missed += listed.unreachable
            for one in (as_json(item) for item in listed.items if not item.end_time):
                key = text(one, "name").rpartition("/")[2]
                objects[key] = {
                    "name": text(one, "name"),
                    "state": text(one, "state"),
                    "started": text(one, "start_time"),
                    "revision": text(one, "workflow_revision_id"),
                }
        return State(objects, complete=not missed, note=", ".join(missed)[:300])

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Cancel each; one that fails keeps none of the others from it."""
        failed: ProviderError | None = None
        for key, seen in before.objects.items():
            name = text(seen, "name") or f"{name_of(resource)}/executions/{key}"
            try:
                self._project.call("workflow_executions", "cancel_execution", {"name": name})
            except Gone:
                continue
            except ProviderError as error:
                failed = failed if code_of(error) in ENDED else error
        if failed is not None:
            raise failed

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether one has not ended."""
        hidden = [key for key, one in state.objects.items() if text(one, "state") == HIDDEN]
        if running := len(state.objects) - len(hidden):
            return Judgement(Verdict.NOT_CONTAINED, f"{running} executions are active or queued")
        if hidden:
            said = f"{len(hidden)} executions cannot be read, since their key is gone: they may go on"
            return Judgement(Verdict.UNKNOWN, said, Grade.NONE)
        return Judgement(Verdict.CONTAINED, "no execution is active or queued")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - the states say it
        """Leave them ended: their owner starts what is still wanted."""
        outcomes = {key: Outcome.ALREADY if key in now.objects else Outcome.ENDED for key in before.objects}
        return Reversal(outcomes, "executions that were cancelled are started again by their owner")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: that an execution has ended is read back."""
        return None


def propose(project: Project, found: Found) -> Proposed:
    """Propose to cancel the executions of each workflow that is the agent's."""
    notes, proposed = Notes(), Proposed()
    for named in found.of("workflows"):
        proposed = proposed.plus(
            notes.attempt(lambda named=named: _of_workflow(project, named), Proposed())  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        )
    return proposed.plus(Proposed(incomplete=tuple(notes.incomplete)))


def _of_workflow(project: Project, named: str) -> Proposed:
    name, shown = full_name(project, "workflows", named), f"workflow {named}"
    try:
        live = as_json(project.call("workflows", "get_workflow", {"name": name}))
    except Gone:
        return Proposed(not_touched=(NotTouched(shown, "there is none of this name"),))
    account = text(live, "service_account").rpartition("/")[2]
    params: dict[str, Json] = {"name": name, "workflow": named, "account": account}
    step = Proposal(
        key=f"cancel_workflow:{named}",
        action=SPEC.name,
        target=project.target("gcp-workflow", f"workflow/{named}", f"executions of {shown}", **params),
        settle_s=project.settle_s(SPEC),
    )
    starters = NotTouched(
        f"who starts {shown}",
        "whoever holds workflows.executions.create in the project: a workflow has no pause and no policy"
        " of its own; schedules and triggers that are named have steps, and the agent's accounts theirs",
    )
    return Proposed((step,), not_touched=(starters,))


ACTION_CLASSES = (CancelWorkflowExecutions,)
SPECS = (SPEC,)
