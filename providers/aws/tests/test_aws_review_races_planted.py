"""What the agent left on others, in other regions and accounts is a door before anyone signs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from breakglass.clock import SystemClock
from breakglass_aws.discover.made import _by_others, _resources
from breakglass_aws.discover.tags import TAG
from breakglass_aws.trail_events import Event
from providers.aws.tests.identity_rig import FREE
from providers.aws.tests.rig_aws import AGENT, Rig
from providers.aws.tests.test_aws_discover import gathered, trust


def _agent(rig: Rig, service: str = "iam", region: str = "eu-west-1") -> Any:  # noqa: ANN401 - boto3 has no types
    iam = rig.boto("iam")
    iam.create_user(UserName="bot")
    iam.put_user_policy(UserName="bot", PolicyName="all", PolicyDocument=FREE)
    return rig.boto(service, iam.create_access_key(UserName="bot")["AccessKey"], region=region)


def test_an_old_roles_trust_policy_that_the_agent_rewrote_is_a_door(rig: Rig) -> None:
    """Whoever controls the agent comes back through it, from another account."""
    agent = _agent(rig)
    rig.boto("iam").create_role(
        RoleName="dormant-admin", AssumeRolePolicyDocument=trust(Service="ec2.amazonaws.com")
    )
    agent.update_assume_role_policy(
        RoleName="dormant-admin", PolicyDocument=trust(AWS="arn:aws:iam::999999999999:root")
    )

    seen = gathered(rig.provider(users=["bot"]), SystemClock().now().plus(-60))

    doors = {one.door.name: one.door.verdict for one in seen.proposed.doors}
    assert doors["trust policy of role dormant-admin"] == "not_contained"


def test_a_user_that_the_agent_renamed_before_planning_is_found_by_its_new_name(rig: Rig) -> None:
    """The inventory still has the old one."""
    _agent(rig).update_user(UserName="bot", NewUserName="ghost")

    seen = gathered(rig.provider(users=["bot"]), SystemClock().now().plus(-60))

    assert seen.found.of("users") == ("bot", "ghost")
    assert seen.found.renamed == {"bot": "ghost"}


def test_a_function_that_the_agent_made_in_another_region_is_a_door(rig: Rig) -> None:
    """The reach cannot stop it, and must not look for it here."""
    role = rig.boto("iam").create_role(
        RoleName="spare", AssumeRolePolicyDocument=trust(Service="lambda.amazonaws.com")
    )["Role"]["Arn"]
    _agent(rig, "lambda", "us-east-1").create_function(
        FunctionName="away", Role=role, Runtime="python3.12", Handler="x.y", Code={"ZipFile": b"PK"}
    )

    seen = gathered(rig.provider(users=["bot"]), SystemClock().now().plus(-60))

    assert seen.found.of("functions") == ()
    assert "functions away in region us-east-1" in {one.door.name for one in seen.proposed.doors}


def test_an_innocent_that_the_agent_tagged_as_its_own_is_said_to_be_so(rig: Rig) -> None:
    """Whoever signs sees it: a tag of the agent's own making gets nobody stopped unseen."""
    agent = _agent(rig)
    rig.boto("iam").create_user(UserName="payroll")
    agent.tag_user(UserName="payroll", Tags=[{"Key": TAG, "Value": AGENT}])

    found = gathered(rig.provider(users=["bot"]), SystemClock().now().plus(-60)).found

    assert found.of("users") == ("bot", "payroll")
    assert "by the agent itself at" in found.origin("users", "payroll")


def test_nobody_said_when_the_harm_began_and_a_new_user_is_a_door_all_the_same(rig: Rig) -> None:
    """The last hour counts."""
    rig.sandbox.control("settings", {"trail_delay_s": 300})
    rig.boto("iam").create_user(UserName="bot")
    rig.boto("iam").create_user(UserName="stranger")

    seen = gathered(rig.provider(users=["bot"]), None)

    assert "user/stranger in aws" in {one.door.name for one in seen.proposed.doors}


def test_a_role_of_another_account_is_no_session_of_this_one() -> None:
    """A role of the same name here is an innocent's."""
    arn = "arn:aws:sts::999999999999:assumed-role/admin/s"
    body = {
        "eventName": "AssumeRole",
        "recipientAccountId": "123456789012",
        "responseElements": {"assumedRoleUser": {"arn": arn}},
    }

    assert list(_resources([_event(body)])) == []


def test_what_a_service_made_by_order_of_somebody_is_not_explained() -> None:
    """CloudFormation makes a user with its own role, whoever ordered it."""
    made = {"eventName": "CreateUser", "responseElements": {"user": {"arn": "arn:aws:iam::1:user/x"}}}
    by_service = {**made, "sourceIPAddress": "cloudformation.amazonaws.com"}
    by_hand = {**made, "sourceIPAddress": "192.0.2.1", "userIdentity": {"userName": "eve"}}

    assert list(_by_others([_event(by_service)])) == []
    assert list(_by_others([_event(by_hand)])) == [("arn:aws:iam::1:user/x", "user/eve")]


def _event(body: Mapping[str, object]) -> Event:
    return Event.of({"EventId": "e", "CloudTrailEvent": json.dumps(body)})
