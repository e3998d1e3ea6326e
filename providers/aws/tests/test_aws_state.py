"""The sandbox's state dump: the same before and after a change that was taken back, another in between."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from providers.aws.tests.rig_aws import Rig
from providers.aws.tests.rig_platform import behave, count, document, function, queue, role, until

TRUST = document({"Effect": "Allow", "Principal": {"Service": "x"}, "Action": "sts:AssumeRole"})
DENY = document({"Effect": "Deny", "Action": "*", "Resource": "*"})
POLICY = "arn:aws:iam::123456789012:policy/stop"


def _state(rig: Rig) -> str:
    return json.dumps(rig.sandbox.control("state"), sort_keys=True)


def _world(rig: Rig) -> None:
    """Make one of everything that is changed below."""
    iam = rig.boto("iam")
    iam.create_user(UserName="bot")
    iam.create_access_key(UserName="bot")
    iam.create_policy(PolicyName="stop", PolicyDocument=DENY)
    function(rig, "worker", role(rig, "worker", "lambda.amazonaws.com", "s3:*"))
    url, arn = queue(rig, "jobs")
    rig.boto("lambda").create_event_source_mapping(FunctionName="worker", EventSourceArn=arn, Enabled=False)
    rig.boto("events").put_rule(Name="wake", EventPattern='{"source":["app"]}')
    rig.boto("sns").create_topic(Name="news")
    rig.boto("logs").create_log_group(logGroupName="trail")
    rig.boto("ecs").create_cluster(clusterName="farm")
    rig.boto("s3").create_bucket(
        Bucket="evidence", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    rig.boto("kms").create_key()
    rig.boto("secretsmanager").create_secret(Name="token", SecretString="s")
    rig.boto("autoscaling").describe_auto_scaling_groups()
    rig.boto("ec2").describe_instances()
    rig.boto("kinesis").create_stream(StreamName="stream", ShardCount=1)
    assert url


def _key(rig: Rig) -> str:
    return str(rig.boto("iam").list_access_keys(UserName="bot")["AccessKeyMetadata"][0]["AccessKeyId"])


def _keys(rig: Rig, *, there: bool) -> None:
    status = "Inactive" if there else "Active"
    rig.boto("iam").update_access_key(UserName="bot", AccessKeyId=_key(rig), Status=status)


def _attached(rig: Rig, *, there: bool) -> None:
    iam = rig.boto("iam")
    change = iam.attach_role_policy if there else iam.detach_role_policy
    change(RoleName="worker", PolicyArn=POLICY)


def _boundary(rig: Rig, *, there: bool) -> None:
    iam = rig.boto("iam")
    if there:
        iam.put_role_permissions_boundary(RoleName="worker", PermissionsBoundary=POLICY)
    else:
        iam.delete_role_permissions_boundary(RoleName="worker")


def _tagged(rig: Rig, *, there: bool) -> None:
    iam = rig.boto("iam")
    if there:
        iam.tag_role(RoleName="worker", Tags=[{"Key": "breakglass", "Value": "contained"}])
    else:
        iam.untag_role(RoleName="worker", TagKeys=["breakglass"])


def _concurrency(rig: Rig, *, there: bool) -> None:
    client = rig.boto("lambda")
    if there:
        client.put_function_concurrency(FunctionName="worker", ReservedConcurrentExecutions=0)
    else:
        client.delete_function_concurrency(FunctionName="worker")


def _mapping(rig: Rig, *, there: bool) -> None:
    client = rig.boto("lambda")
    [one] = client.list_event_source_mappings()["EventSourceMappings"]
    client.update_event_source_mapping(UUID=one["UUID"], Enabled=there)


def _rule(rig: Rig, *, there: bool) -> None:
    events = rig.boto("events")
    (events.disable_rule if there else events.enable_rule)(Name="wake")


def _queue(rig: Rig, *, there: bool) -> None:
    sqs = rig.boto("sqs")
    url = sqs.get_queue_url(QueueName="jobs")["QueueUrl"]
    one = {"Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(one) if there else ""})


def _bucket(rig: Rig, *, there: bool) -> None:
    s3 = rig.boto("s3")
    one = {"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::123456789012:user/bot"}, "Action": "s3:*"}
    if there:
        text = document({**one, "Resource": "arn:aws:s3:::evidence/*"})
        s3.put_bucket_policy(Bucket="evidence", Policy=text)
    else:
        s3.delete_bucket_policy(Bucket="evidence")


def _retention(rig: Rig, *, there: bool) -> None:
    logs = rig.boto("logs")
    if there:
        logs.put_retention_policy(logGroupName="trail", retentionInDays=30)
    else:
        logs.delete_retention_policy(logGroupName="trail")


CHANGES: tuple[Any, ...] = (
    _keys,
    _attached,
    _boundary,
    _tagged,
    _concurrency,
    _mapping,
    _rule,
    _queue,
    _bucket,
    _retention,
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda one: one.__name__.strip("_"))
def test_a_change_shows_and_is_gone_when_it_is_taken_back(rig: Rig, change: Callable[..., None]) -> None:
    """Byte for byte."""
    _world(rig)
    before = _state(rig)

    change(rig, there=True)
    assert _state(rig) != before
    change(rig, there=False)

    assert _state(rig) == before


def test_what_moves_by_itself_is_no_state(rig: Rig) -> None:
    """Messages, invocations, reads and the time that passes change nothing."""
    _world(rig)
    behave(rig, "function/worker")
    before = _state(rig)

    sqs = rig.boto("sqs")
    sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName="jobs")["QueueUrl"], MessageBody="1")
    rig.boto("lambda").invoke(FunctionName="worker")
    rig.boto("iam").list_roles()

    until(lambda: count(rig, "function/worker") == 1, "the invocation")
    assert _state(rig) == before


def test_a_role_that_was_replaced_is_another(rig: Rig) -> None:
    """Same name, same policies: another unique id."""
    _world(rig)
    iam = rig.boto("iam")
    iam.create_role(RoleName="twin", AssumeRolePolicyDocument=TRUST)
    before = _state(rig)

    iam.delete_role(RoleName="twin")
    iam.create_role(RoleName="twin", AssumeRolePolicyDocument=TRUST)

    assert _state(rig) != before
