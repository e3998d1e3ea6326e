"""``gcp.run.cancel_executions``: every running execution of a job is cancelled.

Also those that start while the stop runs. A job has no pause: who may start it again is the step beside this
one (`run_job_invokers`), and who may in the whole project is said.
"""

from __future__ import annotations

from functools import partial

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
from breakglass_gcp.actions import run_job_invokers
from breakglass_gcp.actions.run_reading import full_name, name_of
from breakglass_gcp.calls import OPERATION_S, Listing
from breakglass_gcp.found import Found
from breakglass_gcp.messages import as_json, text
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import code_of

ENDED = ("FAILED_PRECONDITION", "BAD_REQUEST")
"""What a cancel of an execution is answered that has ended meanwhile, over gRPC and over REST."""
SPEC = ActionSpec(
    name="gcp.run.cancel_executions",
    capability=Capability.STOP_WORKLOADS,
    summary="cancels every running execution of the job, those that start meanwhile included",
    permissions=("run.executions.cancel", "run.executions.list", "run.jobs.get"),
    undo_permissions=("run.executions.list",),
    blast_radius="whoever waits for what the job does",
    reversibility=Reversibility.NONE,
    undo="nothing: a cancelled execution is started again by its owner",
    settle_s=30,
    best_grade=Grade.READ_BACK,
    example="gcp.run.cancel_executions job/europe-west1/support-bot-batch",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "Cloud Run Admin API reference, jobs.executions.cancel"),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_run_jobs.py"),
        Source("settle", Authority.VENDOR_TEXT, "Container runtime contract: SIGTERM, then 10 s to the end"),
        Source("settle", Authority.UNVERIFIED, "no time to the signal is published; 30 s is our margin"),
        Source("undo", Authority.VENDOR_TEXT, "google.cloud.run.v2 proto, Execution: run to completion"),
    ),
    destroys_evidence="memory and disks of the tasks",
    service="run",
)


class CancelExecutions:
    """The running executions of one job."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read every execution that has not ended, all pages."""
        listed = self._listed(name_of(resource))
        running = (as_json(one) for one in listed.items if not one.completion_time or one.running_count)
        objects: dict[str, Json] = {
            text(one, "name").rpartition("/")[2]: {
                "name": text(one, "name"),
                "running": one.get("running_count", 0),
                "created": text(one, "create_time"),
            }
            for one in running
        }
        missed = ", ".join(listed.unreachable)
        return State(objects, complete=not missed, note=missed and f"did not answer: {missed}")

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Cancel each, and wait for the last; one that fails keeps none of the others from it."""
        failed: ProviderError | None = None
        for left, (name, seen) in enumerate(before.objects.items(), 1 - len(before.objects)):
            whole = text(seen, "name") or f"{name_of(resource)}/executions/{name}"
            try:
                asked, wait_s = {"name": whole}, 0.0 if left else OPERATION_S
                self._project.operate("run_executions", "cancel_execution", asked, wait_s=wait_s)
            except Gone:
                continue
            except ProviderError as error:
                failed = failed if code_of(error) in ENDED else error
        if failed is not None:
            raise failed

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether one is left that runs."""
        if state.objects:
            return Judgement(Verdict.NOT_CONTAINED, f"{len(state.objects)} executions have not ended")
        return Judgement(Verdict.CONTAINED, "no execution runs")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - the states say it
        """Leave them ended: their owner starts what is still wanted."""
        outcomes = {key: Outcome.ALREADY if key in now.objects else Outcome.ENDED for key in before.objects}
        return Reversal(outcomes, "executions that were cancelled are started again by their owner")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: that an execution has ended is read back."""
        return None

    def _listed(self, job: str) -> Listing:
        """List a job's executions; of one that is gone among all: they need not have ended with it."""
        try:
            return self._project.every("run_executions", "list_executions", {"parent": job})
        except Gone:
            anywhere = f"{job.rpartition('/')[0]}/-"
        listed = self._project.every("run_executions", "list_executions", {"parent": anywhere})
        own = tuple(one for one in listed.items if str(one.name).startswith(f"{job}/executions/"))
        return Listing(own, listed.unreachable)


def propose(project: Project, found: Found) -> Proposed:
    """Propose to stop each job that is the agent's."""
    notes, proposed = Notes(), Proposed()
    for named in found.of("run_jobs"):
        proposed = proposed.plus(
            notes.attempt(lambda named=named: _of_job(project, found, named), Proposed())  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        )
    return proposed.plus(Proposed(incomplete=tuple(notes.incomplete)))


def _of_job(project: Project, found: Found, named: str) -> Proposed:
    name, shown = full_name(project, "jobs", named), f"Cloud Run job {named}"
    try:
        live = as_json(project.call("run_jobs", "get_job", {"name": name}))
    except Gone:
        return Proposed(not_touched=(NotTouched(shown, "there is none of this name"),))
    account = text(live, "template", "template", "service_account")
    params: dict[str, Json] = {"name": name, "job": named, "account": account}
    label = f"executions of {shown}"
    cancel = Proposal(
        key=f"cancel_executions:{named}",
        action=SPEC.name,
        target=project.target("gcp-run-job", f"job/{named}", label, **params),
        settle_s=project.settle_s(SPEC),
    )
    others = NotTouched(
        f"who starts {shown}",
        "whoever holds run.jobs.run in the whole project; schedules and triggers that are named have steps,"
        " and the agent's own accounts are cut off by theirs",
    )
    notes = Notes()
    block = notes.attempt(partial(run_job_invokers.of_job, project, found, named, name), Proposed())
    own = Proposed((cancel,), not_touched=(others,), incomplete=tuple(notes.incomplete))
    return own.plus(block)


ACTION_CLASSES = (CancelExecutions, run_job_invokers.RemoveJobInvokers)
SPECS = (SPEC, run_job_invokers.SPEC)
