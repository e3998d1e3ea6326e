"""``aws.sqs.pause_queue``: the agent's principals neither take from a queue nor write to it; nothing is lost.

SQS has no pause: a Deny in the queue's policy holds the agent back, the others work on. Messages stay; their
retention is raised to its maximum so that none expires before the restore. No message is ever received.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    Verdict,
)
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_aws.account import Account
from breakglass_aws.agent_principals import deny_statements, principal_params, principals_shared
from breakglass_aws.found import Found
from breakglass_aws.policy_deny import added, holds, put_back
from breakglass_aws.public_policy import fits, lets_anybody_in, open_door
from breakglass_aws.recorded import fields

DENIED = ("sqs:*",)
"""Receiving and sending, deleting and purging; and taking this Deny away again."""
LONGEST_RETENTION = "1209600"
"""14 days (SQS API reference, SetQueueAttributes, MessageRetentionPeriod)."""
MOST_STATEMENTS = 20
MOST_BYTES = 8192
"""SQS Developer Guide, "Quotas related to policies"."""
SPEC = ActionSpec(
    name="aws.sqs.pause_queue",
    capability=Capability.PAUSE_QUEUES,
    summary="denies the queue to the agent's principals in its own policy, and keeps messages for 14 days",
    permissions=("sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:SetQueueAttributes"),
    undo_permissions=("sqs:GetQueueAttributes", "sqs:SetQueueAttributes"),
    blast_radius="whoever shares a role with the agent; the queue grows while nobody else empties it",
    reversibility=Reversibility.FULL,
    undo="puts the policy back byte for byte, or removes it where there was none, and the retention; a "
    "message that is then older than the retention that was is deleted by SQS",
    settle_s=60,
    best_grade=Grade.READ_BACK,
    example="aws.sqs.pause_queue queue/support-bot-work",
    sources=(
        Source("settle", Authority.VENDOR_TEXT, "SQS API reference, SetQueueAttributes: up to 60 seconds"),
        Source("effect", Authority.VENDOR_TEXT, "SQS Developer Guide, access policy language: explicit deny"),
        Source("undo", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_sqs.py"),
    ),
    service="sqs",
)
POLICY = "policy"
RETENTION = "retention"
_READ = ("Policy", "MessageRetentionPeriod", "CreatedTimestamp", "QueueArn")


class PauseQueue:
    """Policy and retention of one queue."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read both, with the moment the queue was made; one that is gone has neither."""
        try:
            read = attributes(self._account, str(resource.params["url"]))
        except Gone:
            return State({})
        made: JsonObject = {"created": read["CreatedTimestamp"]}
        return State(
            {
                POLICY: {**made, "text": read.get("Policy") or None},
                RETENTION: {**made, "seconds": read["MessageRetentionPeriod"]},
            }
        )

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Add the Deny and raise the retention, in one call."""
        if not before.objects:
            return
        wanted, changes = self._wanted(resource), dict[str, str]()
        if not holds(_policy(before), wanted):
            changes["Policy"] = added(_policy(before), wanted)
        if fields(before.objects[RETENTION])["seconds"] != LONGEST_RETENTION:
            changes["MessageRetentionPeriod"] = LONGEST_RETENTION
        if changes:
            self._set(resource, changes)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether the Deny is there and nothing expires."""
        if not state.objects:
            return Judgement(Verdict.CONTAINED, f"queue {resource.params['queue']} is gone")
        if not holds(_policy(state), self._wanted(resource)):
            return Judgement(Verdict.NOT_CONTAINED, "the queue's policy does not deny the agent's principals")
        if fields(state.objects[RETENTION])["seconds"] != LONGEST_RETENTION:
            return Judgement(Verdict.NOT_CONTAINED, "its messages may expire before the restore")
        return Judgement(Verdict.CONTAINED, "the policy denies the agent's principals; messages stay 14 days")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Take the Deny out and lower the retention, where they are as the stop left them."""
        changes: dict[str, str] = {}
        outcomes = {key: self._restore(resource, key, before, now, changes) for key in before.objects}
        if changes:
            self._set(resource, changes)
        return Reversal(outcomes, "the queue is as it was; what others changed or made again is left alone")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - see below
        """Return None: a try that was let through would take a message or write one."""
        return None

    def _restore(
        self, resource: Resource, key: str, before: State, now: State, changes: dict[str, str]
    ) -> Outcome:
        was, current = fields(before.objects[key]), fields(now.objects.get(key))
        if was == current:
            return Outcome.ALREADY
        if was["created"] != current.get("created"):
            return Outcome.DRIFTED
        if key == RETENTION:
            if current["seconds"] != LONGEST_RETENTION:
                return Outcome.DRIFTED
            changes["MessageRetentionPeriod"] = str(was["seconds"])
            return Outcome.RESTORED
        decided = put_back(_policy(before), _policy(now), self._wanted(resource))
        if decided.change:
            changes["Policy"] = decided.policy or ""
        return decided.outcome

    def _wanted(self, resource: Resource) -> Sequence[JsonObject]:
        arn = self._account.arn("sqs", str(resource.params["queue"]))
        return deny_statements(self._account, resource.params, DENIED, arn)

    def _set(self, resource: Resource, changes: Mapping[str, str]) -> None:
        url = str(resource.params["url"])
        self._account.call("sqs", "set_queue_attributes", QueueUrl=url, Attributes=dict(changes))


def attributes(account: Account, url: str) -> Mapping[str, str]:
    """Return what is read of a queue."""
    answer = account.call("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=list(_READ))
    found: Mapping[str, str] = answer["Attributes"]
    return found


def _policy(state: State) -> str | None:
    text = fields(state.objects[POLICY])["text"]
    return text if isinstance(text, str) else None


def propose(account: Account, found: Found) -> Proposed:
    """Propose to pause each queue for the agent's principals."""
    principals = principal_params(found)
    proposed = Proposed()
    for name in found.of("queues"):
        if not principals["principals"] and not principals["sessions"]:
            why = "no principal of the agent is named that a policy could deny"
            proposed = proposed.plus(Proposed(not_touched=(NotTouched(f"queue {name}", why),)))
            continue
        try:
            url = str(account.call("sqs", "get_queue_url", QueueName=name)["QueueUrl"])
            policy = attributes(account, url).get("Policy")
        except Gone:
            gone = NotTouched(f"queue {name}", f"there is none in {account.region}")
            proposed = proposed.plus(Proposed(not_touched=(gone,)))
            continue
        params = {"queue": name, "url": url, **principals}
        proposed = proposed.plus(_step(account, found, name, params, policy))
    return proposed


def _step(
    account: Account, found: Found, name: str, params: Mapping[str, Json], policy: str | None
) -> Proposed:
    wanted = deny_statements(account, params, DENIED, account.arn("sqs", name))
    if not fits(policy, wanted, statements_at_most=MOST_STATEMENTS, bytes_at_most=MOST_BYTES):
        full = open_door(f"queue {name}", "its policy has no room for a Deny", "remove statements from it")
        return Proposed(doors=(full,))
    step = Proposal(
        key=f"pause_queue:{name}",
        action=SPEC.name,
        target=Resource("aws-queue", f"queue/{name}", f"queue {name} for the agent's principals", params),
        settle_s=account.settle_s(SPEC),
        affects=principals_shared(found),
    )
    if not lets_anybody_in(policy):
        return Proposed((step,))
    door = open_door(
        f"queue {name}", "its policy lets anybody in, without credentials", "remove that statement"
    )
    return Proposed((step,), doors=(door,))


ACTION_CLASSES = (PauseQueue,)
SPECS = (SPEC,)
