"""``aws.codedeploy.stop_deployments``: the deployments that run in a group end where they are.

CodeDeploy has no switch that keeps new ones out. So this step closes no deployer for good: the plan shows
that as a door that stays open, until whoever creates deployments is denied to do so.
"""

from __future__ import annotations

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
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, ProposedDoor, Reversal
from breakglass_aws.account import Account
from breakglass_aws.found import Found
from breakglass_aws.refusals import code_of

SPEC = ActionSpec(
    name="aws.codedeploy.stop_deployments",
    capability=Capability.FREEZE_CHANGE,
    summary="stops every deployment of the group that is under way, without rolling back",
    permissions=("codedeploy:GetDeployment", "codedeploy:ListDeployments", "codedeploy:StopDeployment"),
    undo_permissions=("codedeploy:GetDeployment", "codedeploy:ListDeployments"),
    blast_radius="a release stops half-way: some instances have the new revision, some the old one",
    reversibility=Reversibility.NONE,
    undo="nothing: a stopped deployment does not go on; whoever owns it deploys again",
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="aws.codedeploy.stop_deployments deployment-group/support-bot/production",
    sources=(
        Source(
            "summary", Authority.VENDOR_TEXT, "CodeDeploy API reference, StopDeployment: autoRollbackEnabled"
        ),
        Source("settle", Authority.UNVERIFIED, "no figure is published; read back twice, 5 s apart"),
        Source("effect", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_deployers.py"),
    ),
    service="codedeploy",
)
KIND = "codedeploy:"
RUNNING = ("Created", "Queued", "InProgress", "Baking", "Ready")
"""Every status from which a deployment may still change something (API reference, DeploymentStatus)."""


class StopDeployments:
    """The deployments of one group."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read the status of each deployment that is under way; a group that is gone has none."""
        try:
            running = under_way(self._account, resource)
        except Gone:
            return State({})
        return State({name: self._status(name) for name in running})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Stop each; one that has ended meanwhile is no error."""
        for name, status in before.objects.items():
            if status not in RUNNING:
                continue
            try:
                self._account.call(
                    "codedeploy", "stop_deployment", deploymentId=name, autoRollbackEnabled=False
                )
            except ProviderError as error:
                if code_of(error) != "DeploymentAlreadyCompletedException" and not isinstance(error, Gone):
                    raise

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether one is still under way."""
        running = sorted(name for name, status in state.objects.items() if status in RUNNING)
        if running:
            return Judgement(Verdict.NOT_CONTAINED, f"under way: {', '.join(running)}")
        return Judgement(Verdict.CONTAINED, "no deployment is under way; nothing keeps new ones out")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - nothing to set
        """Do nothing: what was stopped is over."""
        outcomes = dict.fromkeys(before.objects, Outcome.ENDED)
        return Reversal(outcomes, "a stopped deployment does not go on; its owner deploys again")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: a trial would be a deployment."""
        return None

    def _status(self, name: str) -> str:
        answer = self._account.call("codedeploy", "get_deployment", deploymentId=name)
        return str(answer["deploymentInfo"]["status"])


def under_way(account: Account, resource: Resource) -> list[str]:
    """Return the ids of the group's deployments that have not ended.

    Raises:
        Gone: there is no such application or group.
    """
    return list(
        account.pages(
            "codedeploy",
            "list_deployments",
            "deployments",
            applicationName=str(resource.params["application"]),
            deploymentGroupName=str(resource.params["group"]),
            includeOnlyStatuses=list(RUNNING),
        )
    )


def propose(account: Account, found: Found) -> Proposed:
    """Propose to stop what is under way in each group that the inventory names, and name the open door."""
    proposed = Proposed()
    for entry in found.of("deployers"):
        if not entry.startswith(KIND):
            continue
        name = entry.removeprefix(KIND)
        application, _, group = name.partition("/")
        params = {"application": application, "group": group}
        target = Resource(
            "deployment-group", f"deployment-group/{name}", f"deployments of {name}", {**params}
        )
        if not group or not _is_there(account, target):
            note = NotTouched(f"deployer {entry}", "there is no such deployment group")
            proposed = proposed.plus(Proposed(not_touched=(note,)))
            continue
        step = Proposal(f"stop_deployments:{name}", SPEC.name, target, settle_s=account.settle_s(SPEC))
        proposed = proposed.plus(Proposed((step,), doors=(_door(name),)))
    return proposed


def _is_there(account: Account, target: Resource) -> bool:
    try:
        under_way(account, target)
    except Gone:
        return False
    return True


def _door(name: str) -> ProposedDoor:
    return ProposedDoor(
        Door(
            kind=DoorKind.NO_STEP,
            name=f"deployer codedeploy {name}",
            reason="CodeDeploy has no switch that keeps new deployments out",
            remedy="deny codedeploy:CreateDeployment to whoever deploys",
            owner="",
            closed_by=(),
            verdict=Verdict.UNKNOWN,
        )
    )


ACTION_CLASSES = (StopDeployments,)
SPECS = (SPEC,)
