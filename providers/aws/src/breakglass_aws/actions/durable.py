"""``aws.lambda.pause_durable_executions``: an agent loop that sleeps in Lambda does not wake any more.

A durable execution outlives its invocations, and a concurrency of 0 leaves it waiting to go on. A pause
holds from the next checkpoint of an invocation that runs (Lambda API reference, PauseDurableExecution);
one that cannot be paused is stopped for good.
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
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_aws import tiers
from breakglass_aws.account import Account
from breakglass_aws.found import Found
from breakglass_aws.lambda_functions import functions
from breakglass_aws.recorded import fields, recorded
from breakglass_aws.refusals import code_of

SPEC = ActionSpec(
    name="aws.lambda.pause_durable_executions",
    capability=Capability.STOP_WORKLOADS,
    summary="pauses every durable execution of the function, of all its versions",
    permissions=(
        "lambda:GetFunctionConfiguration",
        "lambda:ListDurableExecutionsByFunction",
        "lambda:PauseDurableExecution",
        "lambda:StopDurableExecution",
    ),
    undo_permissions=("lambda:ListDurableExecutionsByFunction", "lambda:ResumeDurableExecution"),
    blast_radius="whoever waits for an execution; its own timeout runs on",
    reversibility=Reversibility.PARTIAL,
    undo="resumes those that ran; one that could only be stopped, or whose time ran out, stays ended",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="aws.lambda.pause_durable_executions function/support-bot",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "Lambda API reference, PauseDurableExecution"),
        Source("settle", Authority.UNVERIFIED, "PAUSED is said once it is so; 10 s is our margin"),
        tiers.source("request shapes and states are held against the service's model"),
    ),
    service="lambda",
)
PAUSED = "PAUSED"
_RUNS = "RUNNING"
_LISTED = (_RUNS, "PAUSING", PAUSED)
_CANNOT_PAUSE = "InvalidParameterValueException"
_KEPT = ("Status", "DurableExecutionName", "FunctionArn", "StartTimestamp")


class PauseDurableExecutions:
    """The durable executions of one function that have not ended."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read those that run, are being paused, or are paused; without a qualifier, of every version."""
        try:
            listed = self._account.pages(
                "lambda",
                "list_durable_executions_by_function",
                "DurableExecutions",
                FunctionName=str(resource.params["function"]),
                Statuses=list(_LISTED),
            )
            return State({one["DurableExecutionArn"]: _record(one) for one in listed})
        except Gone:
            return State({})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - a pause repeats well
        """Pause every one that runs."""
        for arn, one in before.objects.items():
            if fields(one)["Status"] == _RUNS:
                self._pause(arn)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether all are paused; one that is *being* paused still runs."""
        left = [one for one in state.objects.values() if fields(one)["Status"] != PAUSED]
        if left:
            shown = ", ".join(sorted({str(fields(one)["Status"]) for one in left}))
            return Judgement(Verdict.NOT_CONTAINED, f"{len(left)} durable executions are {shown}")
        return Judgement(Verdict.CONTAINED, f"all {len(state.objects)} durable executions are paused")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - as above
        """Resume those that ran before the stop and are paused now."""
        outcomes: dict[str, Outcome] = {}
        for arn, one in before.objects.items():
            current = fields(now.objects.get(arn))
            if not current:
                outcomes[arn] = Outcome.ENDED
            elif fields(one)["Status"] != _RUNS or current["Status"] == _RUNS:
                outcomes[arn] = Outcome.ALREADY
            else:
                outcomes[arn] = self._resume(arn)
        return Reversal(outcomes, "executions that ran go on; one that has ended stays so")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: that it is paused is read back."""
        return None

    def _pause(self, arn: str) -> None:
        try:
            self._account.call("lambda", "pause_durable_execution", DurableExecutionArn=arn)
        except Gone:
            return
        except ProviderError as error:
            if code_of(error) != _CANNOT_PAUSE:
                raise
            self._account.call("lambda", "stop_durable_execution", DurableExecutionArn=arn)

    def _resume(self, arn: str) -> Outcome:
        try:
            self._account.call("lambda", "resume_durable_execution", DurableExecutionArn=arn)
        except Gone:
            return Outcome.ENDED
        return Outcome.RESTORED


def _record(one: dict[str, object]) -> Json:
    return recorded({key: one[key] for key in _KEPT if key in one})


def propose(account: Account, found: Found) -> Proposed:
    """Propose it for each function that is durable."""
    return Proposed(
        tuple(
            Proposal(
                key=f"pause_durable_executions:{one.name}",
                action=SPEC.name,
                target=Resource(
                    "aws-function",
                    f"function/{one.name}",
                    tiers.label(f"durable executions of function {one.name}"),
                    {"function": one.name},
                ),
                settle_s=account.settle_s(SPEC),
            )
            for one in functions(account, found)
            if one.durable
        )
    )


ACTION_CLASSES = (PauseDurableExecutions,)
SPECS = (SPEC,)
