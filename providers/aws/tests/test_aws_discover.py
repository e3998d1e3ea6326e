"""What is the agent's: named, tagged, made since the harm began; who shares its role; what is unread."""

from __future__ import annotations

import json
import time
from dataclasses import replace

from breakglass.clock import Instant, SystemClock
from breakglass.provider import Discovery
from breakglass_aws.connect import AwsProvider
from breakglass_aws.discover import discover
from breakglass_aws.discover.gather import Gathered, gather
from breakglass_aws.discover.tags import TAG, kind_of
from providers.aws.tests.rig_aws import AGENT, Rig

TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]}
MINE = [{"Key": TAG, "Value": AGENT}]


def trust(**principal: str) -> str:
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{**TRUST["Statement"][0], "Principal": principal}]}  # type: ignore[dict-item]  # plain JSON
    )


def gathered(provider: AwsProvider, since: Instant | None = None) -> Gathered:
    account = provider._account  # noqa: SLF001 - what discovery works with
    account.connection = replace(account.connection, since=since)
    return gather(account)


def share_role(rig: Rig) -> None:
    """Make the role `shared`, which the agent's function `mine` and the neighbour's `billing` run with."""
    role = rig.boto("iam").create_role(
        RoleName="shared", AssumeRolePolicyDocument=trust(Service="lambda.amazonaws.com")
    )["Role"]["Arn"]
    for name in ("mine", "billing"):
        rig.boto("lambda").create_function(
            FunctionName=name, Role=role, Runtime="python3.12", Handler="x.y", Code={"ZipFile": b"PK"}
        )


def test_what_carries_the_agents_tag_is_the_agents(rig: Rig) -> None:
    """Also users and roles, whose tags another service holds; another agent's tag does not count."""
    rig.boto("iam").create_user(UserName="legacy", Tags=MINE)
    rig.boto("iam").create_role(
        RoleName="worker", AssumeRolePolicyDocument=trust(Service="lambda.amazonaws.com"), Tags=MINE
    )
    rig.boto("iam").create_user(UserName="other", Tags=[{"Key": TAG, "Value": "somebody-else"}])
    rig.boto("sqs").create_queue(QueueName="jobs", tags={TAG: AGENT})

    found = gathered(rig.provider(users=["named"])).found

    assert found.of("users") == ("named", "legacy")
    assert found.of("roles") == ("worker",)
    assert found.of("queues") == ("jobs",)
    assert found.origin("queues", "jobs") == f"tagged {TAG}"
    assert found.origin("users", "named") == "named in the inventory"


def test_a_role_made_since_the_harm_began_that_trusts_the_agent_is_the_agents(rig: Rig) -> None:
    """And one that was made by nobody knows whom is a door, not silence."""
    rig.sandbox.control("settings", {"trail_delay_s": 300})
    iam = rig.boto("iam")
    arn = iam.create_user(UserName="bot")["User"]["Arn"]
    iam.create_role(RoleName="old-friend", AssumeRolePolicyDocument=trust(AWS=arn))
    since = SystemClock().now().plus(1)
    time.sleep(2.1)
    iam.create_role(RoleName="getaway", AssumeRolePolicyDocument=trust(AWS=arn))
    iam.create_role(RoleName="stranger", AssumeRolePolicyDocument=trust(Service="ec2.amazonaws.com"))

    seen = gathered(rig.provider(users=["bot"]), since)

    assert seen.found.of("roles") == ("getaway",)
    doors = [one.door.name for one in seen.proposed.doors]
    assert "role/stranger in aws" in doors
    assert "role/old-friend in aws" not in doors
    assert "sessions of role/old-friend" in doors


def test_who_else_uses_a_role_is_said(rig: Rig) -> None:
    """A function that is not the agent's and runs with its role would be cut off with it."""
    share_role(rig)

    found = gathered(rig.provider(roles=["shared"], functions=["mine"])).found

    assert found.shared == {"shared": ("function billing",)}


def test_an_arn_tells_what_it_is() -> None:
    """A rule of the default bus has no bus in its name; what no action knows is None."""
    assert kind_of("arn:aws:events:eu-west-1:123456789012:rule/nightly") == ("rules", "nightly")
    assert kind_of("arn:aws:events:eu-west-1:123456789012:rule/bus/nightly") == ("rules", "bus/nightly")
    assert kind_of("arn:aws:ecs:eu-west-1:123456789012:service/prod/bot") == ("services", "prod/bot")
    assert kind_of("arn:aws:dynamodb:eu-west-1:123456789012:table/t") is None


def test_the_sandboxs_endpoint_is_part_of_what_is_signed(rig: Rig) -> None:
    """With the factor of its settle times."""
    found: Discovery = discover(rig.provider(users=["bot"])._account)  # noqa: SLF001 - discovery's own input

    assert found.endpoints == (f"{rig.sandbox.endpoint} (settle times x 0.01)",)


def test_what_the_agent_made_is_the_agents_and_a_key_on_another_user_is_a_door(rig: Rig) -> None:
    """CloudTrail tells who made it, who was assumed, and what an administrator made meanwhile."""
    iam = rig.boto("iam")
    iam.create_user(UserName="bot")
    iam.create_user(UserName="innocent")
    allowed = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}'
    iam.put_user_policy(UserName="bot", PolicyName="all", PolicyDocument=allowed)
    agent = rig.boto("iam", iam.create_access_key(UserName="bot")["AccessKey"])
    agent.create_user(UserName="copy")
    agent.create_access_key(UserName="innocent")
    iam.create_user(UserName="colleague")

    seen = gathered(rig.provider(users=["bot"]), SystemClock().now().plus(-60))

    assert seen.found.of("users") == ("bot", "copy")
    assert "made by the agent (CreateUser" in seen.found.origin("users", "copy")
    doors = {one.door.name: one.door.verdict for one in seen.proposed.doors}
    assert [verdict for name, verdict in doors.items() if "of user innocent" in name] == ["not_contained"]
    assert not [name for name in doors if "colleague" in name]


def test_a_listing_that_fails_makes_the_plan_incomplete(rig: Rig) -> None:
    """What could not be read may hold the agent's: the plan says which listing it was."""
    rig.boto("iam").create_user(UserName="bot")
    provider = rig.provider(users=["bot"])
    rig.sandbox.control(
        "faults", {"faults": [{"service": "lambda", "operation": "ListFunctions", "answer": "error-500"}]}
    )

    found = discover(provider._account)  # noqa: SLF001 - discovery's own input

    assert [line for line in found.incomplete if "functions" in line]
