"""What IAM is asked about each operation (Service Authorization Reference)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

import breakglass_aws
from breakglass_aws.sandbox.call import Call
from breakglass_aws.sandbox.names import API_GATEWAY, checks, names
from breakglass_aws.sandbox.tables import TABLES, NoRule
from breakglass_aws.sandbox.tables.table import HOLE

HERE = "123456789012"
LAMBDA = f"arn:aws:lambda:eu-west-1:{HERE}:function:f"
IN = f"eu-west-1:{HERE}"


def call(service: str, operation: str, params: Mapping[str, Any]) -> Call:
    """Return a call of the account's user ada."""
    return Call(service, operation, params, HERE, "eu-west-1", f"arn:aws:iam::{HERE}:user/ada", "AKIA1")


@pytest.mark.parametrize(
    ("service", "operation", "params", "action", "resource"),
    [
        ("iam", "PutRolePolicy", {"RoleName": "r"}, "iam:PutRolePolicy", f"arn:aws:iam::{HERE}:role/r"),
        ("iam", "CreateAccessKey", {}, "iam:CreateAccessKey", f"arn:aws:iam::{HERE}:user/ada"),
        ("iam", "ListRoles", {}, "iam:ListRoles", "*"),
        ("lambda", "Invoke", {"FunctionName": "f"}, "lambda:InvokeFunction", LAMBDA),
        ("lambda", "Invoke", {"FunctionName": LAMBDA}, "lambda:InvokeFunction", LAMBDA),
        ("lambda", "Invoke", {"FunctionName": f"{HERE}:function:f"}, "lambda:InvokeFunction", LAMBDA),
        (
            "lambda",
            "Invoke",
            {"FunctionName": "f", "Qualifier": "live"},
            "lambda:InvokeFunction",
            f"{LAMBDA}:live",
        ),
        (
            "lambda",
            "UpdateEventSourceMapping",
            {"UUID": "u"},
            "lambda:UpdateEventSourceMapping",
            f"arn:aws:lambda:{IN}:event-source-mapping:u",
        ),
        ("events", "DisableRule", {"Name": "r"}, "events:DisableRule", f"arn:aws:events:{IN}:rule/r"),
        (
            "events",
            "DisableRule",
            {"Name": "r", "EventBusName": "b"},
            "events:DisableRule",
            f"arn:aws:events:{IN}:rule/b/r",
        ),
        (
            "scheduler",
            "UpdateSchedule",
            {"Name": "s"},
            "scheduler:UpdateSchedule",
            f"arn:aws:scheduler:{IN}:schedule/default/s",
        ),
        (
            "sqs",
            "SendMessageBatch",
            {"QueueUrl": f"http://127.0.0.1:1/{HERE}/q"},
            "sqs:SendMessage",
            f"arn:aws:sqs:{IN}:q",
        ),
        ("s3", "ListObjectsV2", {"Bucket": "b"}, "s3:ListBucket", "arn:aws:s3:::b"),
        ("s3", "PutObject", {"Bucket": "b", "Key": "k/l"}, "s3:PutObject", "arn:aws:s3:::b/k/l"),
        (
            "s3",
            "GetObject",
            {"Bucket": "b", "Key": "k", "VersionId": "1"},
            "s3:GetObjectVersion",
            "arn:aws:s3:::b/k",
        ),
        ("ecs", "StopTask", {"cluster": "c", "task": "t"}, "ecs:StopTask", f"arn:aws:ecs:{IN}:task/c/t"),
        (
            "ecs",
            "UpdateService",
            {"cluster": f"arn:aws:ecs:{IN}:cluster/c", "service": "s"},
            "ecs:UpdateService",
            f"arn:aws:ecs:{IN}:service/c/s",
        ),
        ("ec2", "DescribeInstances", {}, "ec2:DescribeInstances", "*"),
        (
            "ec2",
            "StopInstances",
            {"InstanceIds": ["i-1"]},
            "ec2:StopInstances",
            f"arn:aws:ec2:{IN}:instance/i-1",
        ),
        (
            "stepfunctions",
            "StopExecution",
            {"executionArn": f"arn:aws:states:{IN}:execution:m:e"},
            "states:StopExecution",
            f"arn:aws:states:{IN}:execution:m:e",
        ),
        (
            "logs",
            "FilterLogEvents",
            {"logGroupName": "/g"},
            "logs:FilterLogEvents",
            f"arn:aws:logs:{IN}:log-group:/g:*",
        ),
        (
            "bedrock-agent",
            "UpdateAgentAlias",
            {"agentId": "A", "agentAliasId": "B"},
            "bedrock:UpdateAgentAlias",
            f"arn:aws:bedrock:{IN}:agent-alias/A/B",
        ),
        (
            "apigateway",
            "UpdateStage",
            {"restApiId": "a", "stageName": "s"},
            "apigateway:PATCH",
            "arn:aws:apigateway:eu-west-1::/restapis/a/stages/s",
        ),
    ],
)
def test_an_operation_asks_for_its_action_on_its_resource(
    service: str, operation: str, params: Mapping[str, Any], action: str, resource: str
) -> None:
    """Names, partial ARNs and ARNs come to the same."""
    assert ((action,), (resource,)) == names(call(service, operation, params))


@pytest.mark.parametrize(
    ("service", "operation", "params", "actions"),
    [
        (
            "s3",
            "PutObject",
            {"Bucket": "b", "Key": "k", "ObjectLockMode": "COMPLIANCE", "Tagging": "a=b"},
            ["s3:PutObject", "s3:PutObjectRetention", "s3:PutObjectTagging"],
        ),
        (
            "ec2",
            "CreateSecurityGroup",
            {
                "GroupName": "g",
                "VpcId": "vpc-1",
                "TagSpecifications": [
                    {"ResourceType": "security-group", "Tags": [{"Key": "a", "Value": "b"}]}
                ],
            },
            ["ec2:CreateSecurityGroup", "ec2:CreateTags"],
        ),
        (
            "iam",
            "CreatePolicy",
            {"PolicyName": "p", "Tags": [{"Key": "a", "Value": "b"}]},
            ["iam:CreatePolicy", "iam:TagPolicy"],
        ),
        (
            "scheduler",
            "UpdateSchedule",
            {"Name": "s", "Target": {"Arn": "a", "RoleArn": f"arn:aws:iam::{HERE}:role/r"}},
            ["iam:PassRole", "scheduler:UpdateSchedule"],
        ),
    ],
)
def test_parts_of_a_call_need_permissions_of_their_own(
    service: str, operation: str, params: Mapping[str, Any], actions: list[str]
) -> None:
    """Locks, tags and roles that are passed."""
    assert actions == sorted({one.action for one in checks(call(service, operation, params))})


@pytest.mark.parametrize(
    ("service", "operation"), [("iam", "AcquireRole"), ("polly", "DescribeVoices"), ("apigateway", "Nothing")]
)
def test_an_operation_that_nobody_wrote_down_is_refused_loudly(service: str, operation: str) -> None:
    """A guess would allow or deny the wrong thing in silence."""
    with pytest.raises(NoRule):
        names(call(service, operation, {}))


@pytest.mark.parametrize("service", sorted(TABLES))
def test_a_table_names_operations_and_parameters_that_exist(service: str) -> None:
    """Against botocore's own service models."""
    model = botocore.session.get_session().get_service_model(service)
    wrong = []
    for template, operations in TABLES[service].resources.items():
        for operation in operations.split():
            if operation not in model.operation_names:
                wrong.append(operation)
                continue
            shape = model.operation_model(operation).input_shape
            members = set(shape.members) if shape is not None else set()
            for hole in HOLE.findall(template):
                paths = hole.partition(":")[0].partition("=")[0].split("|")
                known = members | {"region", "account"}
                if "=" not in hole and not known & {path.partition(".")[0] for path in paths}:
                    wrong.append(f"{operation} {hole}")

    assert [] == wrong


def test_every_call_of_the_provider_has_a_rule() -> None:
    """Read from the provider's source: ``call("service", "operation", ...)`` and its kin."""
    session = botocore.session.get_session()
    services = set(session.get_available_services()) - set(API_GATEWAY)
    root = Path(str(breakglass_aws.__file__)).parent
    text = "\n".join(one.read_text() for one in root.rglob("*.py") if "sandbox" not in one.parts)
    missing = []
    for service, operation in sorted(set(re.findall(r'"([a-z0-9-]+)",\s*"([a-z0-9_]+)"', text))):
        if service not in services:
            continue
        named = {xform_name(one): one for one in session.get_service_model(service).operation_names}
        if operation not in named:
            continue
        rules = TABLES[service].resources.values() if service in TABLES else ()
        if not any(named[operation] in one.split() for one in rules):
            missing.append(f"{service} {named[operation]}")

    assert [] == missing
