"""A refusal that the agent brought about itself is no proof of the deny."""

from __future__ import annotations

import json
from typing import Any

from breakglass.model.action import Grade, Verdict
from breakglass_aws.actions import deny_role, deny_user
from breakglass_aws.found import Found
from providers.aws.tests.identity_rig import FREE, TRUST, planned, proposed
from providers.aws.tests.rig_aws import Rig, close

USER, ROLE = Found({"users": ("bot",)}), Found({"roles": ("bot",), "queues": ("work",)})
HELD = {"user/bot": "agent", "role/bot": "agent"}
QUEUE = "arn:aws:sqs:eu-west-1:123456789012:work"


def _role(rig: Rig, document: str) -> Any:  # noqa: ANN401 - boto3 has no types
    iam = rig.boto("iam")
    iam.create_role(RoleName="bot", AssumeRolePolicyDocument=TRUST)
    iam.put_role_policy(RoleName="bot", PolicyName="mine", PolicyDocument=document)
    rig.secrets.keep("agent", rig.sandbox.control("mint", {"role": "bot", "session": "s1"}))
    return iam


def test_an_agent_that_gives_its_own_right_away_proves_no_deny(rig: Rig) -> None:
    """Inside the visibility delay its call is refused for want of an allow; other calls still work."""
    iam = _role(rig, FREE)
    action, target = planned(rig, deny_role.SPEC.name, ROLE, agent_credentials=HELD)
    right = str(target.params["canary"]).partition(".")[0] + ":*"
    iam.put_role_policy(
        RoleName="bot",
        PolicyName="mine",
        PolicyDocument=FREE.replace('"Action":"*"', f'"NotAction":"{right}"'),
    )
    rig.sandbox.control("settings", {"visibility_delay_s": 30})
    close(action, target)

    said = action.probe(target)

    assert said is not None
    assert said.grade is Grade.PLATFORM_EVALUATOR
    assert "not by the deny" in said.reason


def test_a_queues_own_deny_proves_no_deny_of_the_principal(rig: Rig) -> None:
    """The agent closed its queue to itself; everything else is open to it."""
    only = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "sqs:*", "Resource": QUEUE}],
        }
    )
    _role(rig, only)
    url = rig.boto("sqs").create_queue(QueueName="work")["QueueUrl"]
    action, target = planned(rig, deny_role.SPEC.name, ROLE, agent_credentials=HELD)
    assert target.params["canary"] == "sqs.get_queue_url:work"
    denied = {"Effect": "Deny", "Principal": "*", "Action": "sqs:GetQueueUrl", "Resource": QUEUE}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [denied]})
    rig.boto("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    rig.sandbox.control("settings", {"visibility_delay_s": 30})
    close(action, target)

    said = action.probe(target)

    assert said is not None
    assert said.grade is Grade.PLATFORM_EVALUATOR


def test_a_key_that_is_off_proves_nothing_of_the_users_deny(rig: Rig) -> None:
    """Sessions that were made from it live on: the step promises the evaluator's grade and no more."""
    iam = rig.boto("iam")
    iam.create_user(UserName="bot")
    iam.put_user_policy(UserName="bot", PolicyName="mine", PolicyDocument=FREE)
    key = iam.create_access_key(UserName="bot")["AccessKey"]
    rig.secrets.keep("agent", key)
    steps = proposed(rig, USER, agent_credentials=HELD).proposals
    step = next(one for one in steps if one.action == deny_user.SPEC.name)
    action = rig.opened[-1].actions[deny_user.SPEC.name]
    close(action, step.target)
    iam.update_access_key(UserName="bot", AccessKeyId=key["AccessKeyId"], Status="Inactive")

    said = action.probe(step.target)

    assert step.best_grade is Grade.PLATFORM_EVALUATOR
    assert said is not None
    assert (said.verdict, said.grade) == (Verdict.CONTAINED, Grade.PLATFORM_EVALUATOR)
    assert "proves nothing" in said.reason
