"""Topics and streams: closed for the agent's principals alone, and open again as they were."""

from __future__ import annotations

from breakglass.provider import Outcome
from breakglass_aws.actions import kinesis, sns
from breakglass_aws.sandbox.process import ACCOUNT
from providers.aws.tests.rig_aws import Rig, close, proposal, undo
from providers.aws.tests.rig_platform import allow, code, document, queue, role
from providers.aws.tests.rig_triggers import verdict


def test_the_agent_cannot_publish_and_the_topics_policy_comes_back(rig: Rig) -> None:
    """Others publish on; what still brings work to a queue is said."""
    client = rig.boto("sns")
    topic = client.create_topic(Name="events")["TopicArn"]
    _, subscriber = queue(rig, "work")
    client.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=subscriber)
    for one in ("bot-role", "other-role"):
        role(rig, one, "lambda.amazonaws.com")
        allow(rig, one, "sns:*")
    agent, other = (
        rig.boto("sns", rig.sandbox.control("mint", {"role": one, "session": "s"}))
        for one in ("bot-role", "other-role")
    )
    before = client.get_topic_attributes(TopicArn=topic)["Attributes"]
    provider = rig.provider(topics=["events", "ghost"], roles=["bot-role"])
    found = proposal(provider, sns.SPEC.name)
    action = provider.actions[found.action]

    prior, _ = close(action, found.target)

    assert "Authorization" in code(lambda: agent.publish(TopicArn=topic, Message="x"))
    assert code(lambda: other.publish(TopicArn=topic, Message="x")) == ""
    assert list(undo(action, found.target, prior).objects.values()) == [Outcome.RESTORED]
    assert client.get_topic_attributes(TopicArn=topic)["Attributes"] == before
    resources = {one.resource for one in provider.discover().not_touched}
    assert {f"subscription of {subscriber} to topic events", "topic ghost"} <= resources


def test_a_stream_and_its_consumers_are_closed_and_have_their_policies_again(rig: Rig) -> None:
    """One that had a policy has it byte for byte; one that had none has none."""
    client = rig.boto("kinesis")
    client.create_stream(StreamName="work", ShardCount=1)
    arn = client.describe_stream_summary(StreamName="work")["StreamDescriptionSummary"]["StreamARN"]
    theirs = document(
        {
            "Sid": "theirs",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "kinesis:PutRecord",
            "Resource": arn,
        }
    )
    client.put_resource_policy(ResourceARN=arn, Policy=theirs)
    provider = rig.provider(streams=["work", "ghost"], roles=["bot-role"])
    found = proposal(provider, kinesis.SPEC.name)
    action = provider.actions[found.action]

    prior, _ = close(action, found.target)

    assert verdict(action, found.target) == "contained"
    assert client.get_resource_policy(ResourceARN=arn)["Policy"] != theirs
    assert undo(action, found.target, prior).objects == {arn: Outcome.RESTORED}
    assert client.get_resource_policy(ResourceARN=arn)["Policy"] == theirs
    client.delete_resource_policy(ResourceARN=arn)
    bare = client.get_resource_policy(ResourceARN=arn)["Policy"]
    prior, _ = close(action, found.target)
    undo(action, found.target, prior)
    assert client.get_resource_policy(ResourceARN=arn)["Policy"] == bare
    assert "stream ghost" in {one.resource for one in provider.discover().not_touched}
