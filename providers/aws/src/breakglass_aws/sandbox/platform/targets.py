"""Delivers to a target with a role of its own, as rules and schedules do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from breakglass_aws.sandbox.platform.calls import CALLER
from breakglass_aws.sandbox.platform.service_access import lets_in
from breakglass_aws.sandbox.platform.sessions import SESSIONS

UNIVERSAL = "arn:aws:scheduler:::aws-sdk:"


def deliver_as_role(channel: str, target: Mapping[str, Any], body: str) -> str:
    """Make the call that a target stands for, as its role; return the refusal's code, empty if done.

    EventBridge Scheduler User Guide, "Managing targets": templated and universal targets; the execution
    role of the target must allow the target's API.
    """
    role = target.get("RoleArn")
    keys = SESSIONS.of(channel, str(role) if role else None, channel)
    if keys is None:
        return "NoCredentials"
    service, operation, params = call_of(target, body)
    return CALLER.call(keys, service, operation, params).code


def call_of(target: Mapping[str, Any], body: str) -> tuple[str, str, Mapping[str, Any]]:
    """Return (service, operation, parameters) of a target."""
    arn = str(target["Arn"])
    if arn.startswith(UNIVERSAL):
        service, _, operation = arn.removeprefix(UNIVERSAL).partition(":")
        return service, operation[:1].upper() + operation[1:], json.loads(body or "{}")
    parts = arn.split(":")
    if parts[2] == "lambda":
        return "lambda", "Invoke", {"FunctionName": arn, "InvocationType": "Event", "Payload": body.encode()}
    if parts[2] == "sqs":
        group = (target.get("SqsParameters") or {}).get("MessageGroupId")
        params = {"QueueUrl": f"{CALLER.endpoint}/{parts[4]}/{parts[5]}", "MessageBody": body}
        return "sqs", "SendMessage", {**params, **({"MessageGroupId": group} if group else {})}
    if parts[2] == "states":
        return "stepfunctions", "StartExecution", {"stateMachineArn": arn, "input": body}
    if parts[2] == "sns":
        return "sns", "Publish", {"TopicArn": arn, "Message": body}
    if parts[2] == "ecs":
        return "ecs", "RunTask", _task(arn, dict(target.get("EcsParameters") or {}))
    return parts[2], "Unknown", {}


def _task(cluster: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Spell a target's EcsParameters as RunTask does."""
    network = (given.get("NetworkConfiguration") or {}).get("awsvpcConfiguration") or {}
    lower = {name[:1].lower() + name[1:]: value for name, value in network.items()}
    params = {
        "cluster": cluster,
        "taskDefinition": given.get("TaskDefinitionArn"),
        "count": given.get("TaskCount") or 1,
        "launchType": given.get("LaunchType") or "FARGATE",
    }
    return {**params, **({"networkConfiguration": {"awsvpcConfiguration": lower}} if lower else {})}


def send_to_topic(arn: str, body: str, service: str, source_arn: str) -> bool:
    """Publish as a service, if the topic's policy lets it; say whether it did."""
    from moto.sns.models import sns_backends

    parts = arn.split(":")
    backend = sns_backends[parts[4]][parts[3]]
    topic = backend.topics.get(arn)
    if topic is None or not lets_in(topic.policy, service, "sns:Publish", source_arn):
        return False
    backend.publish(message=body, arn=arn)
    return True
