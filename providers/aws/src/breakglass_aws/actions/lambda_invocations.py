"""``aws.lambda.outlast_invocations``: an invocation that runs already ends by itself, and not before.

No API ends one: after 900 s at the latest it is over, whatever the function's timeout says now, since the
agent may have raised it and versions have timeouts of their own (Lambda quotas, "Function timeout"). A
denied role does not make it moot: the code that runs may hold keys of third parties and use the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
from breakglass_aws.recorded import fields

WINDOW_S = 900
MAPPINGS_S = 20
"""So long an SQS mapping is waited for: its messages would be received by nobody, again and again, up to
their dead-letter queue. A message needs several visibility timeouts for that (30 s each by default)."""
CONCURRENCY_S = 60
SPEC = ActionSpec(
    name="aws.lambda.outlast_invocations",
    capability=Capability.STOP_WORKLOADS,
    summary="waits until invocations that run already have ended by themselves: nothing can end them",
    permissions=("lambda:GetFunctionConcurrency",),
    blast_radius="none: it changes nothing",
    reversibility=Reversibility.FULL,
    undo="nothing was changed",
    settle_s=10,
    best_grade=Grade.NONE,
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
        """Read whether new ones can start; the running ones no API shows."""
        name = str(resource.params["function"])
        try:
            answer = self._account.call("lambda", "get_function_concurrency", FunctionName=name)
        except Gone:
            return State({})
        number = answer.get("ReservedConcurrentExecutions")
        return State({"invocations": {"start": number != 0}})

    def apply(self, resource: Resource, before: State, token: str) -> None:
        """Change nothing: what stops new ones is a step of its own."""

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether the last invocation has started; when it ends is the window's matter."""
        if fields(state.objects.get("invocations")).get("start"):
            return Judgement(Verdict.NOT_CONTAINED, "new invocations can start")
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
        proposed = proposed.plus(
            Proposed(_steps(account, one, callers, fed=one.name in fed), not_touched=_asynchronous(one))
        )
    return proposed


def _steps(account: Account, one: Function, callers: tuple[str, ...], *, fed: bool) -> tuple[Proposal, ...]:
    name, concurrency = one.name, lambda_concurrency.SPEC
    key = f"stop_concurrency:{name}"
    stop = Proposal(
        key=key,
        action=concurrency.name,
        target=_target(name, f"new invocations of function {name}"),
        after=(WaitFor(lambda_mappings.key_of(name), MAPPINGS_S),) if fed else (),
        settle_s=account.settle_s(concurrency),
        affects=callers,
    )
    label = f"invocations of function {name} that run already, with or without its role"
    wait = Proposal(
        key=f"outlast_invocations:{name}",
        action=SPEC.name,
        target=_target(name, label),
        after=(WaitFor(key, CONCURRENCY_S),),
        best_grade=Grade.NONE,
        settle_s=account.settle_s(SPEC),
        window_s=WINDOW_S,
    )
    return (stop, wait)


def _target(name: str, label: str) -> Resource:
    return Resource("aws-function", f"function/{name}", label, {"function": name})


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
