"""``gcp.run.remove_job_invokers``: nobody may start a job by the job's own allow policy any more.

Roles that only let somebody run it are taken from all; every other role of the job from the agent alone.
Grants of the project, a folder or the organization are not in the job's policy, and remain.
"""

from __future__ import annotations

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
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_gcp.actions.run_reading import name_of
from breakglass_gcp.agent_principals import member_name
from breakglass_gcp.found import Found
from breakglass_gcp.messages import text
from breakglass_gcp.policies import Grant, grants, with_back, without
from breakglass_gcp.policy_writes import change_policy, read_policy
from breakglass_gcp.project import Project

STARTERS = frozenset({"roles/run.invoker", "roles/run.jobsExecutor", "roles/run.jobsExecutorWithOverrides"})
SPEC = ActionSpec(
    name="gcp.run.remove_job_invokers",
    capability=Capability.BLOCK_RELAUNCH,
    summary="takes the right to start the job from everybody who has it by the job's own policy",
    permissions=("run.jobs.get", "run.jobs.getIamPolicy", "run.jobs.setIamPolicy"),
    blast_radius="schedules, workflows and people that start the job",
    reversibility=Reversibility.FULL,
    undo="puts each grant back where it stood",
    settle_s=120,
    best_grade=Grade.READ_BACK,
    example="gcp.run.remove_job_invokers starters/europe-west1/support-bot-batch",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "Cloud Run documentation, Execute jobs: Required roles"),
        Source("settle", Authority.VENDOR_TEXT, "IAM documentation, Access change propagation: 2 minutes"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_run_jobs.py"),
    ),
    service="run",
)


class RemoveJobInvokers:
    """The grants by which somebody starts one job."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read every such grant, with whose job it is; a job that is gone has none."""
        try:
            uid = self._uid(resource)
            policy = read_policy(self._project, "run_jobs", name_of(resource))
        except Gone:
            return State({})
        return State({one.key: {**one.as_json(), "uid": uid} for one in _starting(policy, resource)})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Take all of them away in one write."""
        if not before.objects:
            return

        def change(policy: Json) -> JsonObject:
            return without(policy, _starting(policy, resource))

        try:
            change_policy(self._project, "run_jobs", name_of(resource), change)
        except Gone:
            return

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether a grant is left."""
        if state.objects:
            return Judgement(Verdict.NOT_CONTAINED, f"{len(state.objects)} grants let somebody start the job")
        return Judgement(Verdict.CONTAINED, "the job's policy lets nobody start it")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Put back each grant that is not there, on the job that had it and on no other."""
        outcomes = dict.fromkeys(before.objects, Outcome.ALREADY)
        missing = {key: one for key, one in before.objects.items() if key not in now.objects}
        planned = resource.params.get("granted")
        late = [key for key in missing if isinstance(planned, list) and key not in planned]
        outcomes.update(dict.fromkeys(late, Outcome.ENDED))
        missing = {key: one for key, one in missing.items() if key not in late}
        try:
            uid = self._uid(resource) if missing else ""
            wanted = {key: Grant.of(one) for key, one in missing.items() if text(one, "uid") == uid}
            outcomes.update(dict.fromkeys(missing, Outcome.DRIFTED))
            if wanted:
                change_policy(
                    self._project,
                    "run_jobs",
                    name_of(resource),
                    lambda policy: with_back(policy, wanted.values()),
                )
            outcomes.update(dict.fromkeys(wanted, Outcome.RESTORED))
        except Gone:
            outcomes.update(dict.fromkeys(missing, Outcome.DRIFTED))
        said = "the grants that the plan names are there again; what others changed or added since is not"
        return Reversal(outcomes, said)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - see below
        """Return None: a start that was let through would make the agent work."""
        return None

    def _uid(self, resource: Resource) -> str:
        return str(self._project.call("run_jobs", "get_job", {"name": name_of(resource)}).uid)


def _starting(policy: Json, resource: Resource) -> tuple[Grant, ...]:
    agents = resource.params.get("members")
    mine = {str(one) for one in agents} if isinstance(agents, list) else set()
    return tuple(one for one in grants(policy, lambda _: True) if one.role in STARTERS or one.member in mine)


def of_job(project: Project, found: Found, named: str, name: str) -> Proposed:
    """Propose it for one job. Raises ProviderError: its policy cannot be read."""
    agents = dict.fromkeys((*found.identities, *found.of("service_accounts"), *found.of("principals")))
    members: list[Json] = [member_name(one) for one in agents]
    label = f"who may start Cloud Run job {named} by its own policy"
    params: dict[str, Json] = {"name": name, "job": named, "members": members}
    policy = read_policy(project, "run_jobs", name)
    starting = _starting(policy, project.target("gcp-run-job", f"starters/{named}", label, **params))
    params["granted"] = [one.key for one in starting]
    target = project.target("gcp-run-job", f"starters/{named}", label, **params)
    affected = dict.fromkeys(one.member for one in starting if one.member not in members)
    step = Proposal(
        key=f"remove_job_invokers:{named}",
        action=SPEC.name,
        target=target,
        settle_s=project.settle_s(SPEC),
        affects=tuple(affected),
    )
    return Proposed((step,))
