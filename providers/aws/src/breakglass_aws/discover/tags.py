"""Finds what carries the agent's tag, in every service that answers for tags (Resource Groups Tagging API).

IAM's users and roles are not among them ("Services that support the Resource Groups Tagging API"):
`principals` reads their tags.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from breakglass_aws.account import Account

TAG = "breakglass.dev/agent"
ORIGIN = f"tagged {TAG}"
Tagged = tuple[Sequence[tuple[str, str]], Sequence[str]]
"""(Key of the inventory, name) of what carries the tag, and the ARNs that no action knows."""
_KINDS = (
    ("functions", re.compile(r"arn:[\w-]+:lambda:[\w-]+:\d+:function:([\w-]+)$")),
    ("queues", re.compile(r"arn:[\w-]+:sqs:[\w-]+:\d+:([\w.-]+)$")),
    ("topics", re.compile(r"arn:[\w-]+:sns:[\w-]+:\d+:([\w.-]+)$")),
    ("rules", re.compile(r"arn:[\w-]+:events:[\w-]+:\d+:rule/([\w./-]+)$")),
    ("pipes", re.compile(r"arn:[\w-]+:pipes:[\w-]+:\d+:pipe/([\w.-]+)$")),
    ("state_machines", re.compile(r"arn:[\w-]+:states:[\w-]+:\d+:stateMachine:([\w-]+)$")),
    ("services", re.compile(r"arn:[\w-]+:ecs:[\w-]+:\d+:service/([\w-]+/[\w-]+)$")),
    ("instances", re.compile(r"arn:[\w-]+:ec2:[\w-]+:\d+:instance/(i-[0-9a-f]+)$")),
    (
        "auto_scaling_groups",
        re.compile(r"arn:[\w-]+:autoscaling:[\w-]+:\d+:autoScalingGroup:[\w-]+:autoScalingGroupName/(.+)$"),
    ),
    ("streams", re.compile(r"arn:[\w-]+:kinesis:[\w-]+:\d+:stream/([\w.-]+)$")),
    ("secrets", re.compile(r"(arn:[\w-]+:secretsmanager:[\w-]+:\d+:secret:[\w/+=.@-]+)$")),
    ("log_groups", re.compile(r"arn:[\w-]+:logs:[\w-]+:\d+:log-group:([\w./#-]+)$")),
)


def tagged(account: Account) -> Tagged:
    """Return what carries the agent's tag.

    Raises:
        ProviderError: the listing failed.
    """
    found: list[tuple[str, str]] = []
    unknown: list[str] = []
    wanted = [{"Key": TAG, "Values": [account.connection.agent.name]}]
    pages = account.pages(
        "resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", TagFilters=wanted
    )
    for item in pages:
        arn = str(item["ResourceARN"])
        named = kind_of(arn)
        if named is None:
            unknown.append(arn)
        else:
            found.append(named)
    return found, unknown


def kind_of(arn: str) -> tuple[str, str] | None:
    """Return the inventory's key and name of an ARN; None: no action is about such a thing."""
    for key, pattern in _KINDS:
        if match := pattern.match(arn):
            return key, match[1].removeprefix("default/") if key == "rules" else match[1]
    return None
