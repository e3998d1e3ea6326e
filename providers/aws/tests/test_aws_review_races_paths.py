"""A Deny in a resource's policy hits the agent's role at whatever path it is."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from breakglass_aws.actions import sqs
from breakglass_aws.discover.tags import TAG
from providers.aws.tests.identity_rig import FREE, TRUST
from providers.aws.tests.rig_aws import AGENT, Rig, close, proposal


def test_a_tagged_role_with_a_path_is_refused_at_the_queue(rig: Rig) -> None:
    """Discovery knows its name; the session's role has its path in aws:PrincipalArn."""
    iam = rig.boto("iam")
    iam.create_role(
        RoleName="bot",
        Path="/agents/",
        AssumeRolePolicyDocument=TRUST,
        Tags=[{"Key": TAG, "Value": AGENT}],
    )
    iam.put_role_policy(RoleName="bot", PolicyName="free", PolicyDocument=FREE)
    url = rig.boto("sqs").create_queue(QueueName="work")["QueueUrl"]
    agent = rig.boto("sqs", rig.sandbox.control("mint", {"role": "bot", "session": "s"}))
    agent.send_message(QueueUrl=url, MessageBody="before")
    provider = rig.provider(queues=["work"])
    found = proposal(provider, sqs.SPEC.name)

    close(provider.actions[found.action], found.target)

    with pytest.raises(ClientError, match="AccessDenied"):
        agent.receive_message(QueueUrl=url)
    policy = rig.boto("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]
    assert "role/*/bot" in json.dumps(policy)
