"""``aws.lambda.close_url``: a function's public URLs want a signed request from now on.

Beside a concurrency of 0, since each of the two may be refused or undone alone. The URL itself stays: a
deleted one comes back under another host name (Lambda Developer Guide, "Creating and managing URLs").
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
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_aws.account import Account
from breakglass_aws.found import Found
from breakglass_aws.lambda_functions import functions, qualifier_of
from breakglass_aws.recorded import fields, recorded

SPEC = ActionSpec(
    name="aws.lambda.close_url",
    capability=Capability.DISABLE_EVENT_SOURCES,
    summary="lets the function's public URLs take signed requests only",
    permissions=(
        "lambda:GetFunctionConfiguration",
        "lambda:ListFunctionUrlConfigs",
        "lambda:UpdateFunctionUrlConfig",
    ),
    undo_permissions=("lambda:ListFunctionUrlConfigs", "lambda:UpdateFunctionUrlConfig"),
    blast_radius="everybody who calls the URL without signing gets 403",
    reversibility=Reversibility.FULL,
    undo="makes those URLs public again that were; the host name stays",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="aws.lambda.close_url function/support-bot",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "Lambda Developer Guide, function URLs: AuthType AWS_IAM"),
        Source("settle", Authority.UNVERIFIED, "no time is published; 10 s is our margin"),
        Source("undo", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_lambda_url.py"),
    ),
    service="lambda",
)
PUBLIC = "NONE"
SIGNED = "AWS_IAM"


class CloseUrl:
    """The URLs of one function and of its aliases."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read every URL; a function that is gone has none."""
        try:
            return State({one["FunctionArn"]: _record(one) for one in self._urls(resource)})
        except Gone:
            return State({})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Close every URL that is public."""
        for arn, one in before.objects.items():
            if fields(one)["AuthType"] != SIGNED:
                self._set(resource, arn, fields(one), SIGNED)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether any URL is public."""
        public = sorted(arn for arn, one in state.objects.items() if fields(one)["AuthType"] != SIGNED)
        if public:
            return Judgement(Verdict.NOT_CONTAINED, f"public: {', '.join(public)}")
        return Judgement(Verdict.CONTAINED, f"all {len(state.objects)} URLs want a signed request")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Make those public again that were, and are what they were but for that."""
        outcomes: dict[str, Outcome] = {}
        for arn, one in before.objects.items():
            was, current = fields(one), fields(now.objects.get(arn))
            if was == current or was["AuthType"] == SIGNED:
                outcomes[arn] = Outcome.ALREADY
            elif {**was, "AuthType": SIGNED} != current:
                outcomes[arn] = Outcome.DRIFTED
            else:
                self._set(resource, arn, was, str(was["AuthType"]))
                outcomes[arn] = Outcome.RESTORED
        return Reversal(outcomes, "URLs are as they were; one that others changed is left alone")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: a request that got through would run the agent."""
        return None

    def _urls(self, resource: Resource) -> list[Mapping[str, Any]]:
        name = str(resource.params["function"])
        return list(
            self._account.pages(
                "lambda", "list_function_url_configs", "FunctionUrlConfigs", FunctionName=name
            )
        )

    def _set(self, resource: Resource, arn: str, whole: Mapping[str, Json], auth: str) -> None:
        # Cors and InvokeMode are sent as they are: what an update leaves out is not said to stay.
        kept = {key: whole[key] for key in ("Cors", "InvokeMode") if whole.get(key)}
        qualifier = qualifier_of(arn)
        self._account.call(
            "lambda",
            "update_function_url_config",
            FunctionName=str(resource.params["function"]),
            AuthType=auth,
            **kept,
            **({"Qualifier": qualifier} if qualifier else {}),
        )


def _record(one: Mapping[str, Any]) -> Json:
    """Return a URL but for the moment of its last change."""
    return recorded({key: value for key, value in one.items() if key != "LastModifiedTime"})


def propose(account: Account, found: Found) -> Proposed:
    """Propose it for each function that has a public URL."""
    steps: list[Proposal] = []
    action = CloseUrl(account)
    for one in functions(account, found):
        target = Resource(
            "aws-function-url",
            f"function/{one.name}",
            f"public URLs of function {one.name}",
            {"function": one.name},
        )
        if one.config is None or action.judge(target, action.observe(target)).verdict is Verdict.CONTAINED:
            continue
        steps.append(
            Proposal(
                key=f"close_url:{one.name}",
                action=SPEC.name,
                target=target,
                settle_s=account.settle_s(SPEC),
                affects=("everybody who calls the URL without signing",),
            )
        )
    return Proposed(tuple(steps))


ACTION_CLASSES = (CloseUrl,)
SPECS = (SPEC,)
