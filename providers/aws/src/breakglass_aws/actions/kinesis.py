"""``aws.kinesis.deny_stream``: the agent's principals neither read a stream nor write to it.

A consumer with enhanced fan-out has a policy of its own: all of them are closed with the stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

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
)
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Proposal, Proposed, Reversal
from breakglass_aws import tiers
from breakglass_aws.account import Account
from breakglass_aws.agent_principals import deny_statements, principal_params, principals_shared
from breakglass_aws.found import Found
from breakglass_aws.policy_deny import Policies, close_policies, judge_policies, revert_policies

OF_STREAM = (
    "kinesis:DescribeStreamSummary",
    "kinesis:GetRecords",
    "kinesis:GetShardIterator",
    "kinesis:ListShards",
    "kinesis:PutRecord",
    "kinesis:PutRecords",
)
OF_CONSUMER = ("kinesis:DescribeStreamConsumer", "kinesis:SubscribeToShard")
"""All that a stream's or a consumer's policy may name (Kinesis Developer Guide, "Resource-based policy")."""
SPEC = ActionSpec(
    name="aws.kinesis.deny_stream",
    capability=Capability.PAUSE_QUEUES,
    summary="denies the stream and its consumers to the agent's principals, in their own policies",
    permissions=(
        "kinesis:DescribeStreamSummary",
        "kinesis:GetResourcePolicy",
        "kinesis:ListStreamConsumers",
        "kinesis:PutResourcePolicy",
    ),
    undo_permissions=(
        "kinesis:DeleteResourcePolicy",
        "kinesis:GetResourcePolicy",
        "kinesis:ListStreamConsumers",
        "kinesis:PutResourcePolicy",
    ),
    blast_radius="whoever shares a role with the agent; records leave the stream at its retention",
    reversibility=Reversibility.FULL,
    undo="puts each policy back byte for byte, or removes it where there was none",
    settle_s=60,
    best_grade=Grade.READ_BACK,
    example="aws.kinesis.deny_stream stream/support-bot",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "Kinesis Data Streams API reference, PutResourcePolicy"),
        Source("settle", Authority.UNVERIFIED, "no time is published; that of SQS is taken"),
        tiers.source("request shapes are held against the service's model"),
    ),
    service="kinesis",
)


class DenyStream:
    """The policies of one stream and of its consumers."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read every policy; a stream that is gone has none."""
        arn = str(resource.params["stream"])
        try:
            objects: dict[str, Json] = {arn: self._policy(arn)}
            listed = self._account.pages("kinesis", "list_stream_consumers", "Consumers", StreamARN=arn)
            consumers = [str(one["ConsumerARN"]) for one in listed]
        except Gone:
            return State({})
        for one in consumers:
            with suppress(Gone):  # this consumer alone was removed since
                objects[one] = self._policy(one)
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Add the Deny wherever it is missing."""
        close_policies(self._policies(resource), before)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether every policy has it."""
        return judge_policies(self._policies(resource), state, "the agent's principals")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Take the Deny out."""
        return revert_policies(self._policies(resource), before, now)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - see below
        """Return None: a try that was let through would read or write records."""
        return None

    def _policy(self, arn: str) -> str | None:
        text = self._account.call("kinesis", "get_resource_policy", ResourceARN=arn).get("Policy")
        return text if text and text != "{}" else None

    def _policies(self, resource: Resource) -> Policies:
        stream = resource.params["stream"]

        def wanted(arn: str) -> Sequence[JsonObject]:
            actions = OF_STREAM if arn == stream else OF_CONSUMER
            return deny_statements(self._account, resource.params, actions, arn)

        def put(arn: str, text: str) -> None:
            self._account.call("kinesis", "put_resource_policy", ResourceARN=arn, Policy=text)

        def remove(arn: str) -> None:
            self._account.call("kinesis", "delete_resource_policy", ResourceARN=arn)

        return Policies(wanted, put, remove)


def propose(account: Account, found: Found) -> Proposed:
    """Propose a Deny for each stream."""
    principals = principal_params(found)
    proposed = Proposed()
    for name in found.of("streams"):
        arn = account.arn("kinesis", f"stream/{name}")
        if not principals["principals"] and not principals["sessions"]:
            why = "no principal of the agent is named that a policy could deny"
            proposed = proposed.plus(Proposed(not_touched=(NotTouched(f"stream {name}", why),)))
            continue
        try:
            account.call("kinesis", "describe_stream_summary", StreamARN=arn)
        except Gone:
            gone = NotTouched(f"stream {name}", f"there is none in {account.region}")
            proposed = proposed.plus(Proposed(not_touched=(gone,)))
            continue
        label = tiers.label(f"stream {name} for the agent's principals")
        step = Proposal(
            key=f"deny_stream:{name}",
            action=SPEC.name,
            target=Resource("aws-stream", f"stream/{name}", label, {"stream": arn, **principals}),
            settle_s=account.settle_s(SPEC),
            affects=principals_shared(found),
        )
        proposed = proposed.plus(Proposed((step,)))
    return proposed


ACTION_CLASSES = (DenyStream,)
SPECS = (SPEC,)
