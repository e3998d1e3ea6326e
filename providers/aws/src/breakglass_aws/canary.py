"""Chooses, when planning, a call that the agent may make now: refused after the stop, it proves the deny.

Each call only reads, costs nothing and changes nothing. GetCallerIdentity is none of them: it is answered
under every deny (STS API reference, GetCallerIdentity), so it only tells whether a credential is alive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from breakglass.errors import ProviderError
from breakglass_aws.account import Account
from breakglass_aws.executor import Keys
from breakglass_aws.found import Found


@dataclass(frozen=True, slots=True)
class Canary:
    """One cheap call, and the right that it needs."""

    service: str
    operation: str
    action: str
    params: Mapping[str, Any]


CALLS: Mapping[str, Canary] = {
    "iam.get_user": Canary("iam", "get_user", "iam:GetUser", {}),
    "sqs.list_queues": Canary("sqs", "list_queues", "sqs:ListQueues", {"MaxResults": 1}),
    "s3.list_buckets": Canary("s3", "list_buckets", "s3:ListAllMyBuckets", {}),
    "ec2.describe_regions": Canary("ec2", "describe_regions", "ec2:DescribeRegions", {}),
    "lambda.list_functions": Canary("lambda", "list_functions", "lambda:ListFunctions", {"MaxItems": 1}),
    "logs.describe_log_groups": Canary("logs", "describe_log_groups", "logs:DescribeLogGroups", {"limit": 1}),
    "sns.list_topics": Canary("sns", "list_topics", "sns:ListTopics", {}),
    "events.list_rules": Canary("events", "list_rules", "events:ListRules", {"Limit": 1}),
    "dynamodb.list_tables": Canary("dynamodb", "list_tables", "dynamodb:ListTables", {"Limit": 1}),
    "ecs.list_clusters": Canary("ecs", "list_clusters", "ecs:ListClusters", {"maxResults": 1}),
}
QUEUE = "sqs.get_queue_url:"
"""Followed by a queue's name: an agent that may use only its own queue has this right most often."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The name of a call, or why there is none."""

    call: str
    why: str = ""


def named(call: str) -> Canary:
    """Return a call by the name that a plan holds.

    Raises:
        ProviderError: this version knows no such call.
    """
    if call.startswith(QUEUE):
        queue = call.removeprefix(QUEUE)
        return Canary("sqs", "get_queue_url", "sqs:GetQueueUrl", {"QueueName": queue})
    if call not in CALLS:
        raise ProviderError(f"the plan's call as the agent is not known here: {call[:80]!r}")
    return CALLS[call]


def choose(account: Account, arn: str, found: Found) -> Chosen:
    """Return the first call that this principal may make now, where its credential is held and alive."""
    try:
        if held(account, arn) is None:
            return Chosen("", "no credential of the agent's is held")
        return _allowed(account, arn, found)
    except ProviderError as error:
        return Chosen("", f"the agent's own credential proves nothing: {error.what}"[:300])


def held(account: Account, arn: str) -> Keys | None:
    """Return this principal's own credential, after a look that it is alive; None: none is held.

    Raises:
        ProviderError: it is not alive, or it is somebody else's.
    """
    keys = account.agent_keys(short(arn))
    if keys is None:
        return None
    caller = str(account.call_as(keys, "sts", "get_caller_identity")["Arn"])
    kind, _, name = short(arn).partition("/")
    own = caller == arn if kind == "user" else caller.split(":")[5].startswith(f"assumed-role/{name}/")
    if not own:
        raise ProviderError(f"it is {caller}'s")
    return keys


def short(arn: str) -> str:
    """Return ``user/NAME`` or ``role/NAME``, without a path."""
    kind, _, path = arn.rpartition(":")[2].partition("/")
    return f"{kind}/{path.rpartition('/')[2]}"


def _allowed(account: Account, arn: str, found: Found) -> Chosen:
    queues = {f"{QUEUE}{name}": account.arn("sqs", name) for name in found.of("queues")[:3]}
    plain = {canary.action: call for call, canary in CALLS.items()}
    if ":role/" in arn:
        del plain["iam:GetUser"]
    results = account.pages(
        "iam",
        "simulate_principal_policy",
        "EvaluationResults",
        PolicySourceArn=arn,
        ActionNames=list(plain),
    )
    allowed = {str(one["EvalActionName"]) for one in results if one["EvalDecision"] == "allowed"}
    for action, call in plain.items():
        if action in allowed:
            return Chosen(call)
    for call, queue in queues.items():
        results = account.pages(
            "iam",
            "simulate_principal_policy",
            "EvaluationResults",
            PolicySourceArn=arn,
            ActionNames=["sqs:GetQueueUrl"],
            ResourceArns=[queue],
        )
        if any(one["EvalDecision"] == "allowed" for one in results):
            return Chosen(call)
    return Chosen("", "the agent may make none of the calls that would show it")
