"""``aws.lambda.disable_event_sources``: no queue, stream or topic of Kafka starts the function any more.

Closed over every mapping of the function, of its versions and of its aliases, those included that appear
while the stop runs. A stream keeps its position, but its records age: what leaves the stream's retention
before the restore is lost (Lambda API reference, UpdateEventSourceMapping).
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
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_aws.account import Account
from breakglass_aws.found import Found
from breakglass_aws.lambda_functions import function_of, functions, mappings
from breakglass_aws.recorded import fields, recorded

SPEC = ActionSpec(
    name="aws.lambda.disable_event_sources",
    capability=Capability.DISABLE_EVENT_SOURCES,
    summary="disables every event source mapping of the function, of its versions and of its aliases",
    permissions=(
        "lambda:GetFunctionConfiguration",
        "lambda:ListEventSourceMappings",
        "lambda:UpdateEventSourceMapping",
    ),
    undo_permissions=("lambda:ListEventSourceMappings", "lambda:UpdateEventSourceMapping"),
    blast_radius="work waits in the queue or stream; records that leave a stream's retention are lost",
    reversibility=Reversibility.FULL,
    undo="enables those mappings again, under the same UUID, that were enabled before the stop",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="aws.lambda.disable_event_sources function/support-bot",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "Lambda API reference, EventSourceMapping: State, Disabled"),
        Source("settle", Authority.UNVERIFIED, "Disabled is said once it is so; 10 s is our margin"),
        Source("undo", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_lambda_mappings.py"),
    ),
    service="lambda",
)
DISABLED = "Disabled"
_ON = frozenset({"Enabled", "Enabling"})
_OFF = frozenset({DISABLED, "Disabling"})
_MOVES = frozenset({"LastModified", "LastProcessingResult", "State", "StateTransitionReason"})
CHANGING = " (changing)"
"""A mapping that is being made, updated or deleted refuses a change, and does not say whether it is on:
it stands under a name of its own until it says so, and what it was is read then."""


class DisableEventSources:
    """Every event source mapping of one function."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read every mapping of the region that starts this function."""
        name = resource.params["function"]
        objects: dict[str, Json] = {}
        for one in mappings(self._account):
            if function_of(one["FunctionArn"]) == name:
                settled = one["State"] in _ON | _OFF
                objects[one["UUID"] + ("" if settled else CHANGING)] = _record(one)
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Disable every mapping that is on."""
        for uuid, one in before.objects.items():
            if fields(one)["state"] in _ON:
                self._set(uuid, enabled=False)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether any mapping may still fetch; one that is *being* disabled may."""
        left = sorted(
            f"{uuid} is {fields(one)['state']}"
            for uuid, one in state.objects.items()
            if fields(one)["state"] != DISABLED
        )
        if left:
            return Judgement(Verdict.NOT_CONTAINED, f"{len(left)} mappings are on: {', '.join(left)}")
        return Judgement(Verdict.CONTAINED, f"all {len(state.objects)} mappings are disabled")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - as above
        """Enable those again that were on and are what they were but for that."""
        outcomes: dict[str, Outcome] = {}
        for uuid, one in before.objects.items():
            outcomes[uuid] = self._restore(uuid, fields(one), now)
        return Reversal(outcomes, "mappings are as they were; one that changed or is gone is left alone")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: what a mapping fetches is nothing that the agent can be refused."""
        return None

    def _restore(self, uuid: str, was: Mapping[str, Json], now: State) -> Outcome:
        if uuid.endswith(CHANGING) or was["state"] not in _ON:
            return Outcome.ALREADY
        current = fields(now.objects.get(uuid))
        if not current or current["mapping"] != was["mapping"]:
            return Outcome.DRIFTED
        if current["state"] in _ON:
            return Outcome.ALREADY
        try:
            self._set(uuid, enabled=True)
        except Gone:
            return Outcome.DRIFTED
        return Outcome.RESTORED

    def _set(self, uuid: str, *, enabled: bool) -> None:
        try:
            self._account.call("lambda", "update_event_source_mapping", UUID=uuid, Enabled=enabled)
        except Gone:
            if enabled:
                raise


def _record(one: Mapping[str, Any]) -> Json:
    mapping = {key: value for key, value in one.items() if key not in _MOVES and value is not None}
    return {"state": one["State"], "mapping": recorded(mapping)}


def propose(account: Account, found: Found) -> Proposed:
    """Propose it for each function: one that has no mapping today may be given one by the agent."""
    proposed = Proposed()
    for one in functions(account, found):
        if one.config is None:
            gone = NotTouched(
                f"Lambda function {one.name}", f"there is none of this name in {account.region}"
            )
            proposed = proposed.plus(Proposed(not_touched=(gone,)))
            continue
        step = Proposal(
            key=key_of(one.name),
            action=SPEC.name,
            target=Resource(
                "aws-function",
                f"function/{one.name}",
                f"event sources of function {one.name}",
                {"function": one.name},
            ),
            settle_s=account.settle_s(SPEC),
        )
        proposed = proposed.plus(Proposed((step,)))
    return proposed


def key_of(function: str) -> str:
    """Return the key of the proposal for this function."""
    return f"disable_event_sources:{function}"


ACTION_CLASSES = (DisableEventSources,)
SPECS = (SPEC,)
