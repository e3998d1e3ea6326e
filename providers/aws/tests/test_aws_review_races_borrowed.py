"""A session of somebody else's role that the agent may hold is a door: it outlives the stop."""

from __future__ import annotations

import json

from breakglass.canon import Json
from breakglass.clock import SystemClock
from providers.aws.tests.rig_aws import Rig
from providers.aws.tests.test_aws_discover import gathered, trust

ACCOUNT = "arn:aws:iam::123456789012:root"


def _doors(rig: Rig, **settings: Json) -> set[str]:
    seen = gathered(rig.provider(**settings), SystemClock().now().plus(-60))
    return {one.door.name for one in seen.proposed.doors if one.door.name.startswith("sessions of")}


def test_a_role_that_trusts_the_account_and_that_the_agent_may_assume_is_a_door(rig: Rig) -> None:
    """A session of it was made hours ago, or minutes ago: CloudTrail tells of neither."""
    rig.sandbox.control("settings", {"trail_delay_s": 300})
    iam = rig.boto("iam")
    iam.create_user(UserName="bot")
    for name in ("deployer", "reader"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(AWS=ACCOUNT))
    may = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "arn:aws:iam::*:role/deploy*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    iam.put_user_policy(UserName="bot", PolicyName="p", PolicyDocument=document)

    assert _doors(rig, users=["bot"]) == {"sessions of role/deployer"}
    assert _doors(rig, users=["bot"], role_sessions=["deployer/*"]) == set()


def test_the_role_of_the_agents_function_that_nobody_named_is_a_door(rig: Rig) -> None:
    """Its credentials are in the function's environment: copied out of it they work on."""
    role = rig.boto("iam").create_role(
        RoleName="worker", AssumeRolePolicyDocument=trust(Service="lambda.amazonaws.com")
    )["Role"]["Arn"]
    rig.boto("lambda").create_function(
        FunctionName="bot", Role=role, Runtime="python3.12", Handler="x.y", Code={"ZipFile": b"PK"}
    )

    assert _doors(rig, functions=["bot"]) == {"sessions of role/worker"}
    assert _doors(rig, functions=["bot"], roles=["worker"]) == set()
