"""``aws.ecs.stop_tasks``: every task of a family, those included that are started while the stop runs.

A task is told to stop, and killed after its stop timeout (30 s, at most 120 s on Fargate). Its tags are lost
with it (Amazon ECS API reference, StopTask), so its facts are read and recorded first.
"""

from __future__ import annotations

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
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_aws.account import Account
from breakglass_aws.actions import ecs_reading
from breakglass_aws.found import Found

SPEC = ActionSpec(
    name="aws.ecs.stop_tasks",
    capability=Capability.STOP_WORKLOADS,
    summary="stops every task of the family in the cluster, also one that is started while the stop runs",
    permissions=("ecs:DescribeTaskDefinition", "ecs:ListTasks", "ecs:DescribeTasks", "ecs:StopTask"),
    blast_radius="whoever waits for what these tasks do",
    reversibility=Reversibility.PARTIAL,
    undo="starts nothing: whoever ran the tasks runs them again",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    destroys_evidence="disks and memory of the tasks, and their tags",
    example="aws.ecs.stop_tasks tasks/prod/support-bot-batch",
    sources=(
        Source("settle", Authority.UNVERIFIED, "no time is published; tasks are listed until all have ended"),
        Source(
            "undo", Authority.VENDOR_TEXT, "Amazon ECS Developer Guide, task lifecycle: STOPPED is the last"
        ),
        Source(
            "destroys_evidence", Authority.VENDOR_TEXT, "Amazon ECS API reference, StopTask: tags are deleted"
        ),
        Source("effect", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_ecs_tasks.py"),
    ),
    service="ecs",
    undo_permissions=("ecs:ListTasks", "ecs:DescribeTasks"),
)
DEADLINE_S = 240.0


class StopTasks:
    """The tasks of one family in one cluster."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read the family's tasks that have not ended."""
        cluster, family = str(resource.params["cluster"]), str(resource.params["family"])
        return State(ecs_reading.alive(ecs_reading.described(self._account, cluster, family=family)))

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Stop each."""
        ecs_reading.stop_each(self._account, str(resource.params["cluster"]), before.objects)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether a task has not ended."""
        if not state.objects:
            return Judgement(Verdict.CONTAINED, "no task of the family is left")
        groups = sorted({str(facts["group"]) for facts in state.objects.values() if isinstance(facts, dict)})
        services = [group for group in groups if group.startswith("service:")]
        more = f"; started again by {', '.join(services)}" if services else ""
        return Judgement(Verdict.NOT_CONTAINED, f"{len(state.objects)} tasks have not ended{more}"[:300])

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - nothing is started
        """Start nothing: what ended stays ended."""
        outcomes = {key: Outcome.ALREADY if key in now.objects else Outcome.ENDED for key in before.objects}
        return Reversal(outcomes, "the tasks that were ended are for their owner to run again")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: a task that has ended cannot be asked."""
        return None


def propose(account: Account, found: Found) -> Proposed:
    """Propose to stop the tasks of each of the agent's families, also where none runs just now."""
    proposals: list[Proposal] = []
    left: list[NotTouched] = []
    for name in found.of("task_families"):
        cluster, _, family = name.partition("/")
        if not _is_there(account, cluster):
            left.append(NotTouched(f"ECS tasks {name}", "there is no such cluster"))
            continue
        params: dict[str, Json] = {"cluster": cluster, "family": family}
        if role := ecs_reading.task_role(account, family):
            params["role_arn"] = role
        proposals.append(
            Proposal(
                key=f"stop_tasks:{name}",
                action=SPEC.name,
                target=Resource("aws-ecs-tasks", f"tasks/{name}", f"ECS tasks of {name}", params),
                settle_s=account.settle_s(SPEC),
                deadline_s=DEADLINE_S,
            )
        )
    return Proposed(tuple(proposals), not_touched=tuple(left))


def _is_there(account: Account, cluster: str) -> bool:
    try:
        account.call("ecs", "list_tasks", cluster=cluster, maxResults=1)
    except Gone:
        return False
    return True


ACTION_CLASSES = (StopTasks,)
SPECS = (SPEC,)
