"""``aws.sns.deny_publish``: the agent's principals cannot publish to a topic or change it any more.

What others publish still reaches the subscribers: the agent's functions and queues among them are stopped
by steps of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

from breakglass.canon import JsonObject
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
from breakglass_aws.account import Account
from breakglass_aws.agent_principals import deny_statements, principal_params, principals_shared
from breakglass_aws.found import Found
from breakglass_aws.policy_deny import Policies, close_policies, judge_policies, revert_policies
from breakglass_aws.public_policy import fits, lets_anybody_in, open_door

DENIED = (
    "sns:Publish",
    "sns:Subscribe",
    "sns:SetTopicAttributes",
    "sns:AddPermission",
    "sns:RemovePermission",
    "sns:DeleteTopic",
)
"""Publishing; and taking this Deny away again. SNS takes no ``sns:*`` in a topic's policy: an action that is
none of a topic's is refused (SNS Developer Guide, "Amazon SNS API permissions")."""
MOST_STATEMENTS = 100
MOST_BYTES = 30_720
SPEC = ActionSpec(
    name="aws.sns.deny_publish",
    capability=Capability.PAUSE_QUEUES,
    summary="denies the agent's principals to publish to the topic, in the topic's own policy",
    permissions=("sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic", "sns:SetTopicAttributes"),
    undo_permissions=("sns:GetTopicAttributes", "sns:SetTopicAttributes"),
    blast_radius="whoever shares a role with the agent; what others publish is delivered as before",
    reversibility=Reversibility.FULL,
    undo="puts the policy back byte for byte",
    settle_s=60,
    best_grade=Grade.READ_BACK,
    example="aws.sns.deny_publish topic/support-bot-events",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "SNS Developer Guide, access policies: explicit deny"),
        Source("settle", Authority.UNVERIFIED, "no time is published; that of SQS is taken"),
        Source("undo", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_sns_kinesis.py"),
    ),
    service="sns",
)


class DenyPublish:
    """The policy of one topic."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read the policy; a topic that is gone has none."""
        arn = str(resource.params["topic"])
        try:
            return State({arn: policy_of(self._account, arn)})
        except Gone:
            return State({})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Add the Deny."""
        close_policies(self._policies(resource), before)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether the Deny is there."""
        return judge_policies(self._policies(resource), state, "publishing by the agent's principals")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Take the Deny out."""
        return revert_policies(self._policies(resource), before, now)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - see below
        """Return None: a try that was let through would publish."""
        return None

    def _policies(self, resource: Resource) -> Policies:
        def wanted(arn: str) -> Sequence[JsonObject]:
            return deny_statements(self._account, resource.params, DENIED, arn)

        def put(arn: str, text: str) -> None:
            self._account.call(
                "sns", "set_topic_attributes", TopicArn=arn, AttributeName="Policy", AttributeValue=text
            )

        return Policies(wanted, put, lambda arn: put(arn, ""))


def policy_of(account: Account, arn: str) -> str | None:
    """Return the text of a topic's policy."""
    text = account.call("sns", "get_topic_attributes", TopicArn=arn)["Attributes"].get("Policy")
    return str(text) if text else None


def propose(account: Account, found: Found) -> Proposed:
    """Propose a Deny for each topic."""
    proposed = Proposed()
    for name in found.of("topics"):
        proposed = proposed.plus(_propose(account, found, name))
    return proposed


def _propose(account: Account, found: Found, name: str) -> Proposed:
    principals, arn = principal_params(found), account.arn("sns", name)
    if not principals["principals"] and not principals["sessions"]:
        why = "no principal of the agent is named that a policy could deny"
        return Proposed(not_touched=(NotTouched(f"topic {name}", why),))
    try:
        policy = policy_of(account, arn)
        endpoints = _endpoints(account, arn)
    except Gone:
        return Proposed(not_touched=(NotTouched(f"topic {name}", f"there is none in {account.region}"),))
    wanted = deny_statements(account, principals, DENIED, arn)
    if not fits(policy, wanted, statements_at_most=MOST_STATEMENTS, bytes_at_most=MOST_BYTES):
        return Proposed(
            doors=(open_door(f"topic {name}", "its policy has no room for a Deny", "remove statements"),)
        )
    step = Proposal(
        key=f"deny_publish:{name}",
        action=SPEC.name,
        target=Resource(
            "aws-topic",
            f"topic/{name}",
            f"topic {name} for the agent's principals",
            {"topic": arn, **principals},
        ),
        settle_s=account.settle_s(SPEC),
        affects=principals_shared(found),
    )
    why = "what others publish still reaches it; an agent's function or queue is stopped by its own step"
    untouched = tuple(NotTouched(f"subscription of {one} to topic {name}", why) for one in endpoints)
    public = open_door(f"topic {name}", "its policy lets anybody in, without credentials", "remove that")
    return Proposed((step,), (public,) if lets_anybody_in(policy) else (), untouched)


def _endpoints(account: Account, arn: str) -> tuple[str, ...]:
    """Return who hears the topic; of an address of mail or the web, only its kind."""
    listed = account.pages("sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=arn)
    shown = (
        str(one["Endpoint"] if str(one["Endpoint"]).startswith("arn:") else one["Protocol"]) for one in listed
    )
    return tuple(dict.fromkeys(shown))


ACTION_CLASSES = (DenyPublish,)
SPECS = (SPEC,)
