"""``aws.lambda.outlast_invocations``: an invocation that runs already ends by itself, and not before.

No API ends one. Where nothing of the agent's may change the function, its timeouts say when the last one
has ended, and a short one is waited out: that is proof. Else it is over after 900 s at the latest (Lambda
quotas, "Function timeout"), and that is a window. A denied role does not make it moot: the code that runs
may hold keys of third parties and use the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, ProposedDoor, Reversal, WaitFor
from breakglass_aws.account import Account
from breakglass_aws.actions import lambda_concurrency, lambda_mappings
from breakglass_aws.actions.denial import as_list, statements
from breakglass_aws.found import Found
from breakglass_aws.lambda_functions import Function, function_of, functions, mappings
from breakglass_aws.lambda_timeouts import LONGEST_S, may_change, timeouts, wait_s
from breakglass_aws.lambda_timeouts import PERMISSIONS as TIMEOUT_PERMISSIONS
from breakglass_aws.recorded import fields

WINDOW_S = LONGEST_S
PATIENCE_S = 60
"""A run that ends within this time is waited for; a longer one stays open with its window."""
MAPPINGS_S = 20
"""So long an SQS mapping is waited for: its messages would be received by nobody, again and again, up to
their dead-letter queue. A message needs several visibility timeouts for that (30 s each by default)."""
CONCURRENCY_S = 60
SPEC = ActionSpec(
    name="aws.lambda.outlast_invocations",
    capability=Capability.STOP_WORKLOADS,
    summary="waits until invocations that run already have ended by themselves: nothing can end them",
    permissions=("lambda:GetFunctionConcurrency", *TIMEOUT_PERMISSIONS),
    undo_permissions=("lambda:GetFunctionConcurrency", "lambda:ListVersionsByFunction"),
    blast_radius="none: it changes nothing",
    reversibility=Reversibility.FULL,
    undo="nothing was changed",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="aws.lambda.outlast_invocations function/support-bot",
    sources=(
        Source("window", Authority.VENDOR_TEXT, "Lambda quotas: function timeout 900 seconds"),
        Source("effect", Authority.VENDOR_TEXT, "Lambda API reference: no operation ends an invocation"),
    ),
    service="lambda",
)


class OutlastInvocations:
    """The invocations of one function that run already."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read whether new ones can start, and how long one may run; the running ones no API shows."""
        name = str(resource.params["function"])
        try:
            answer = self._account.call("lambda", "get_function_concurrency", FunctionName=name)
            found = timeouts(self._account, name)
        except Gone:
            return State({})
        number = answer.get("ReservedConcurrentExecutions")
        facts: dict[str, Json] = {"start": number != 0, "longest_s": found.longest_s}
        return State({"invocations": {**facts, "modified_ms": found.modified_ms}})

    def apply(self, resource: Resource, before: State, token: str) -> None:
        """Change nothing: what stops new ones is a step of its own."""

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether the last invocation has started; when it ends is a matter of time."""
        seen = fields(state.objects.get("invocations"))
        if seen.get("start"):
            return Judgement(Verdict.NOT_CONTAINED, "new invocations can start")
        if waits_s := resource.params.get("wait_s"):
            if not seen:
                reason = f"the function is gone; a run does not end with it, and may live {WINDOW_S} s"
                return Judgement(Verdict.UNKNOWN, reason, Grade.NONE)
            if seen.get("modified_ms") != resource.params.get("modified_ms"):
                reason = f"the function was changed since planning: one that runs may live {WINDOW_S} s"
                return Judgement(Verdict.UNKNOWN, reason, Grade.NONE)
            return Judgement(
                Verdict.CONTAINED, f"no invocation starts, and none runs longer than {waits_s} s"
            )
        reason = f"no new invocation starts; one that runs already may live {WINDOW_S} s"
        return Judgement(Verdict.CONTAINED, reason, Grade.NONE)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - nothing to do
        """Return that nothing was changed."""
        return Reversal(dict.fromkeys(before.objects, Outcome.ALREADY), "nothing was changed")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: nothing shows a running invocation."""
        return None


def propose(account: Account, found: Found) -> Proposed:
    """Propose for each function to let none start, and to wait for those that run."""
    proposed = Proposed()
    fed = _fed_by_sqs(account) if found.of("functions") else frozenset()
    for one in functions(account, found):
        if one.config is None:
            continue
        if one.managed_instances:
            proposed = proposed.plus(_managed(one))
            continue
        callers = _callers(account, one.name)
        wait = _wait(account, found, one)
        steps = (_stop(account, one, callers, fed=one.name in fed), wait)
        proposed = proposed.plus(Proposed(steps, not_touched=_asynchronous(one)))
    return proposed


def _stop(account: Account, one: Function, callers: tuple[str, ...], *, fed: bool) -> Proposal:
    concurrency = lambda_concurrency.SPEC
    return Proposal(
        key=f"stop_concurrency:{one.name}",
        action=concurrency.name,
        target=_target(one.name, f"new invocations of function {one.name}", {}),
        after=(WaitFor(lambda_mappings.key_of(one.name), MAPPINGS_S),) if fed else (),
        settle_s=account.settle_s(concurrency),
        affects=callers,
    )


def _wait(account: Account, found: Found, one: Function) -> Proposal:
    """Wait for the runs to end where that is short and can be relied on; else name the window."""
    seen = timeouts(account, one.name)
    needed_s = wait_s(account, seen)
    arn = str((one.config or {}).get("FunctionArn", ""))
    short = needed_s <= PATIENCE_S and not may_change(account, _principals(account, found), arn)
    label = f"invocations of function {one.name} that run already, with or without its role"
    params: dict[str, Json] = {"wait_s": needed_s, "modified_ms": seen.modified_ms} if short else {}
    return Proposal(
        key=f"outlast_invocations:{one.name}",
        action=SPEC.name,
        target=_target(one.name, label, params),
        after=(WaitFor(f"stop_concurrency:{one.name}", CONCURRENCY_S),),
        best_grade=Grade.READ_BACK if short else Grade.NONE,
        # The last run may begin as long as a limit takes to be in force everywhere, and lasts from then on.
        settle_s=account.settle_s(SPEC) + (needed_s if short else 0),
        window_s=None if short else WINDOW_S,
    )


def _principals(account: Account, found: Found) -> tuple[str, ...]:
    """Return the ARNs of the agent's users and roles, as far as the inventory's names tell them."""
    named = [*(f"user/{one}" for one in found.of("users")), *(f"role/{one}" for one in found.of("roles"))]
    return tuple(account.arn("iam", one, region="") for one in named)


def _target(name: str, label: str, params: Mapping[str, Json]) -> Resource:
    return Resource("aws-function", f"function/{name}", label, {"function": name, **params})


def _asynchronous(one: Function) -> tuple[NotTouched, ...]:
    """Return what happens to events that wait inside of Lambda, where nothing catches them."""
    if (one.config or {}).get("DeadLetterConfig", {}).get("TargetArn"):
        return ()
    why = "those that Lambda's own queue holds fail at once, and no dead-letter queue is set to keep them"
    return (NotTouched(f"asynchronous events of function {one.name}", why),)


def _managed(one: Function) -> Proposed:
    door = Door(
        kind=DoorKind.NO_STEP,
        name=f"Lambda function {one.name}",
        reason="it runs on Lambda Managed Instances: no concurrency can be reserved for it",
        remedy="set its scaling to 0 by hand (PutFunctionScalingConfig) for each published version",
        owner="",
        closed_by=(),
        verdict=Verdict.NOT_CONTAINED,
    )
    return Proposed(doors=(ProposedDoor(door),))


def _fed_by_sqs(account: Account) -> frozenset[str]:
    """Return the functions that an SQS queue feeds."""
    return frozenset(
        function_of(one["FunctionArn"])
        for one in mappings(account)
        if str(one.get("EventSourceArn", "")).split(":")[2:3] == ["sqs"]
    )


def _callers(account: Account, name: str) -> tuple[str, ...]:
    """Return who may invoke it by its own policy: they get 429 from now on."""
    try:
        policy = str(account.call("lambda", "get_policy", FunctionName=name)["Policy"])
    except Gone:
        return ()
    return tuple(dict.fromkeys(_caller(one) for one in statements(policy) if one.get("Effect") == "Allow"))


def _caller(statement: Mapping[str, Any]) -> str:
    principal = statement.get("Principal")
    named = (
        [str(one) for value in principal.values() for one in as_list(value)]
        if isinstance(principal, dict)
        else [str(principal)]
    )
    sources = [
        str(one)
        for keys in (statement.get("Condition") or {}).values()
        for key, value in keys.items()
        if key.lower() == "aws:sourcearn"
        for one in as_list(value)
    ]
    return ", ".join(named) + (f" for {', '.join(sources)}" if sources else "")


ACTION_CLASSES = (lambda_concurrency.StopConcurrency, OutlastInvocations)
SPECS = (lambda_concurrency.SPEC, SPEC)
