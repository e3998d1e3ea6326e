"""``aws.lambda.stop_concurrency``: no new invocation of a function starts, by whatever trigger.

A reserved concurrency of 0 holds for the function as a whole, its versions, aliases and URLs included
(Lambda Developer Guide, "Configuring reserved concurrency"). It cannot lie below what is provisioned, so
provisioned concurrency goes first. What runs already lives on: see ``aws.lambda.outlast_invocations``.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

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
from breakglass_aws.account import Account
from breakglass_aws.lambda_functions import qualifier_of
from breakglass_aws.recorded import fields

SPEC = ActionSpec(
    name="aws.lambda.stop_concurrency",
    capability=Capability.BLOCK_RELAUNCH,
    summary="sets the function's reserved concurrency to 0: every new invocation is refused",
    permissions=(
        "lambda:DeleteProvisionedConcurrencyConfig",
        "lambda:GetFunctionConcurrency",
        "lambda:GetFunctionConfiguration",
        "lambda:GetPolicy",
        "lambda:ListEventSourceMappings",
        "lambda:ListProvisionedConcurrencyConfigs",
        "lambda:PutFunctionConcurrency",
    ),
    undo_permissions=(
        "lambda:DeleteFunctionConcurrency",
        "lambda:GetFunctionConcurrency",
        "lambda:ListProvisionedConcurrencyConfigs",
        "lambda:PutFunctionConcurrency",
        "lambda:PutProvisionedConcurrencyConfig",
    ),
    blast_radius="everybody who invokes the function gets 429; asynchronous events go to its dead-letter "
    "queue or on-failure destination without a retry",
    reversibility=Reversibility.FULL,
    undo="puts the reserved concurrency back, or removes it where there was none; provisions what was",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="aws.lambda.stop_concurrency function/support-bot",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "Lambda Developer Guide, reserved concurrency: 0 throttles"),
        Source("blast", Authority.VENDOR_TEXT, "Lambda Developer Guide, asynchronous invocation: 0 reserved"),
        Source("settle", Authority.UNVERIFIED, "no time is published; 10 s is our margin"),
        Source("undo", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_lambda_concurrency.py"),
    ),
    service="lambda",
)
RESERVED = "reserved"
ABSENT = None
_PROVISIONED = "provisioned:"


class StopConcurrency:
    """Reserved and provisioned concurrency of one function."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read both; a function that is gone has none."""
        name = str(resource.params["function"])
        try:
            answer = self._account.call("lambda", "get_function_concurrency", FunctionName=name)
        except Gone:
            return State({})
        objects: dict[str, Json] = {
            RESERVED: {"executions": answer.get("ReservedConcurrentExecutions", ABSENT)}
        }
        for one in self._account.pages(
            "lambda",
            "list_provisioned_concurrency_configs",
            "ProvisionedConcurrencyConfigs",
            FunctionName=name,
        ):
            key = f"{_PROVISIONED}{qualifier_of(one['FunctionArn'])}"
            objects[key] = {"executions": one["RequestedProvisionedConcurrentExecutions"]}
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Remove what is provisioned, then allow no invocation at all."""
        name = str(resource.params["function"])
        for key in before.objects:
            if key.startswith(_PROVISIONED):
                self._unprovision(name, key.removeprefix(_PROVISIONED))
        if RESERVED in before.objects and _number(before, RESERVED) != 0:
            self._reserve(name, 0)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether an invocation can start."""
        if RESERVED not in state.objects:
            return Judgement(Verdict.CONTAINED, f"function {resource.params['function']} is gone")
        provisioned = [key for key in state.objects if key.startswith(_PROVISIONED)]
        if provisioned:
            return Judgement(Verdict.NOT_CONTAINED, f"still {', '.join(sorted(provisioned))}")
        number = _number(state, RESERVED)
        if number != 0:
            shown = "not set" if number is ABSENT else number
            return Judgement(Verdict.NOT_CONTAINED, f"its reserved concurrency is {shown}")
        return Judgement(Verdict.CONTAINED, "its reserved concurrency is 0: no invocation starts")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Put back what was reserved, then what was provisioned."""
        name = str(resource.params["function"])
        keys = sorted(before.objects, key=lambda key: key != RESERVED)
        outcomes = {key: self._restore(name, key, before, now) for key in keys}
        return Reversal(outcomes, "concurrency is as it was; what others changed is left alone")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: a dry run does not look at concurrency, and an invocation would run the agent."""
        return None

    def _restore(self, name: str, key: str, before: State, now: State) -> Outcome:
        was = _number(before, key)
        if RESERVED not in now.objects:
            return Outcome.DRIFTED
        if key in now.objects and _number(now, key) == was:
            return Outcome.ALREADY
        try:
            if key != RESERVED:
                if key in now.objects:
                    return Outcome.DRIFTED
                self._provision(name, key.removeprefix(_PROVISIONED), was)
            elif _number(now, RESERVED) != 0:
                return Outcome.DRIFTED
            elif was is ABSENT:
                self._account.call("lambda", "delete_function_concurrency", FunctionName=name)
            else:
                self._reserve(name, was)
        except Gone:
            return Outcome.DRIFTED
        return Outcome.RESTORED

    def _reserve(self, name: str, number: Json) -> None:
        self._account.call(
            "lambda", "put_function_concurrency", FunctionName=name, ReservedConcurrentExecutions=number
        )

    def _unprovision(self, name: str, qualifier: str) -> None:
        with suppress(Gone):
            self._account.call(
                "lambda", "delete_provisioned_concurrency_config", FunctionName=name, Qualifier=qualifier
            )

    def _provision(self, name: str, qualifier: str, number: Json) -> None:
        self._account.call(
            "lambda",
            "put_provisioned_concurrency_config",
            FunctionName=name,
            Qualifier=qualifier,
            ProvisionedConcurrentExecutions=number,
        )


def _number(state: State, key: str) -> Json:
    held: Mapping[str, Json] = fields(state.objects.get(key))
    return held.get("executions")
