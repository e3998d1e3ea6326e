"""What the tests of the sandbox's platform share: roles, functions, and waiting for what happens."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

from breakglass_aws.sandbox.process import ACCOUNT, REGION
from providers.aws.tests.rig_aws import Rig

PATIENCE_S = 45.0
CHANNEL = "function/worker"
POLL = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
LIST = "s3:ListAllMyBuckets"
TICKS = 3
"""A tick looks at everything and does what is due; what one begins, the next may go on with."""


def until(happened: Callable[[], object], what: str) -> None:
    """Wait until something has happened."""
    end = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.05)


def settle(rig: Rig, *, on: bool = True) -> None:
    """Let the platform do what is due, and wait until it has: what was under way before has ended too."""
    rig.sandbox.control("platform", {"on": False, "ticks": 1})
    rig.sandbox.control("platform", {"on": on})


def quiet(rig: Rig, value: Callable[[], object]) -> bool:
    """Say whether a value stays as it is while the platform does all that it would do by itself."""
    settle(rig, on=False)
    before = value()
    rig.sandbox.control("platform", {"ticks": TICKS})
    after = value()
    rig.sandbox.control("platform", {"on": True})
    return after == before


def refused(rig: Rig, operation: str, principal: str) -> int:
    """Return how often the sessions of a role were refused an operation."""
    return sum(
        not one["allowed"]
        and one["operation"] == operation
        and f":assumed-role/{principal}/" in one["principal"]
        for one in rig.sandbox.control("calls")
    )


def role(rig: Rig, name: str, service: str, *actions: str) -> str:
    """Make a role that a service may assume and that may do these; return its ARN."""
    iam = rig.boto("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))
    if actions:
        allow(rig, name, *actions)
    return str(made["Role"]["Arn"])


def allow(rig: Rig, name: str, *actions: str) -> None:
    """Let a role do these on everything."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    rig.boto("iam").put_role_policy(RoleName=name, PolicyName="may", PolicyDocument=document(statement))


def deny(rig: Rig, name: str) -> None:
    """Deny everything to a role."""
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    rig.boto("iam").put_role_policy(RoleName=name, PolicyName="stop", PolicyDocument=document(statement))


def document(*statements: Mapping[str, Any]) -> str:
    """Return a policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def function(rig: Rig, name: str, role_arn: str) -> str:
    """Make a function; return its ARN."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("f.py", "def h(e, c): return 1")
    made = rig.boto("lambda").create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=role_arn,
        Handler="f.h",
        Code={"ZipFile": body.getvalue()},
    )
    return str(made["FunctionArn"])


def queue(rig: Rig, name: str, **attributes: str) -> tuple[str, str]:
    """Make a queue; return its URL and ARN."""
    made = rig.boto("sqs").create_queue(QueueName=name, Attributes=attributes)
    return str(made["QueueUrl"]), f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def behave(rig: Rig, channel: str, **last: float) -> None:
    """Let a resource list buckets when it runs."""
    deed = {"service": "s3", "operation": "ListBuckets", "params": {}, **last}
    rig.sandbox.control("platform", {"behaviours": {channel: [deed]}})


def worker(rig: Rig) -> str:
    """Make the function `worker`, which lists buckets and may take from queues; return its ARN."""
    arn = function(rig, "worker", role(rig, "worker", "lambda.amazonaws.com", LIST, *POLL))
    behave(rig, CHANNEL)
    return arn


def count(rig: Rig, channel: str) -> int:
    """Return how often a channel has acted."""
    return sum(int(one["count"]) for one in rig.sandbox.control("effects") if one["channel"] == channel)


def code(call: Callable[[], object]) -> str:
    """Return the code that a call is refused with."""
    from botocore.exceptions import ClientError

    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""
