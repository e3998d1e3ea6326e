"""Turns a call into what IAM is asked: actions, resources, and the request's condition keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from breakglass_aws.sandbox.call import Call
from breakglass_aws.sandbox.keys import request_keys
from breakglass_aws.sandbox.tables import TABLES, NoRule, agents, records
from breakglass_aws.sandbox.tables.table import flat

Keys = Mapping[str, tuple[str, ...]]
API_GATEWAY = ("apigateway", "apigatewayv2")
PASSED_ROLES: Mapping[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    # (service, operation) -> iam:PassedToService, the parameters that hold a role (IAM User Guide
    # "Granting a user
    # permissions to pass a role to an AWS service")
    ("lambda", "CreateFunction"): ("lambda.amazonaws.com", ("Role",)),
    ("lambda", "UpdateFunctionConfiguration"): ("lambda.amazonaws.com", ("Role",)),
    ("scheduler", "CreateSchedule"): ("scheduler.amazonaws.com", ("Target.RoleArn",)),
    ("scheduler", "UpdateSchedule"): ("scheduler.amazonaws.com", ("Target.RoleArn",)),
    ("pipes", "CreatePipe"): ("pipes.amazonaws.com", ("RoleArn",)),
    ("pipes", "UpdatePipe"): ("pipes.amazonaws.com", ("RoleArn",)),
    ("events", "PutRule"): ("events.amazonaws.com", ("RoleArn",)),
    ("events", "PutTargets"): ("events.amazonaws.com", ("Targets.RoleArn",)),
    ("stepfunctions", "CreateStateMachine"): ("states.amazonaws.com", ("roleArn",)),
    ("stepfunctions", "UpdateStateMachine"): ("states.amazonaws.com", ("roleArn",)),
    ("ecs", "RegisterTaskDefinition"): ("ecs-tasks.amazonaws.com", ("taskRoleArn", "executionRoleArn")),
    ("ecs", "RunTask"): ("ecs-tasks.amazonaws.com", ("overrides.taskRoleArn", "overrides.executionRoleArn")),
    ("bedrock-agent", "CreateAgent"): ("bedrock.amazonaws.com", ("agentResourceRoleArn",)),
    ("bedrock-agent", "UpdateAgent"): ("bedrock.amazonaws.com", ("agentResourceRoleArn",)),
    ("bedrock-agentcore-control", "CreateAgentRuntime"): ("bedrock-agentcore.amazonaws.com", ("roleArn",)),
    ("bedrock-agentcore-control", "UpdateAgentRuntime"): ("bedrock-agentcore.amazonaws.com", ("roleArn",)),
    ("bedrock-agentcore-control", "CreateGateway"): ("bedrock-agentcore.amazonaws.com", ("roleArn",)),
    ("bedrock-agentcore-control", "UpdateGateway"): ("bedrock-agentcore.amazonaws.com", ("roleArn",)),
    ("eks", "CreatePodIdentityAssociation"): ("pods.eks.amazonaws.com", ("roleArn",)),
    ("eks", "UpdatePodIdentityAssociation"): ("pods.eks.amazonaws.com", ("roleArn",)),
    ("rolesanywhere", "CreateProfile"): ("rolesanywhere.amazonaws.com", ("roleArns",)),
    ("rolesanywhere", "UpdateProfile"): ("rolesanywhere.amazonaws.com", ("roleArns",)),
    ("cloudformation", "CreateStack"): ("cloudformation.amazonaws.com", ("RoleARN",)),
    ("cloudformation", "UpdateStack"): ("cloudformation.amazonaws.com", ("RoleARN",)),
    ("cloudtrail", "CreateTrail"): ("cloudtrail.amazonaws.com", ("CloudWatchLogsRoleArn",)),
    ("logs", "PutSubscriptionFilter"): ("logs.amazonaws.com", ("roleArn",)),
}
PASSED_PROFILES = {
    "RunInstances": ("IamInstanceProfile.Arn", "IamInstanceProfile.Name"),
    "AssociateIamInstanceProfile": ("IamInstanceProfile.Arn", "IamInstanceProfile.Name"),
    "ReplaceIamInstanceProfileAssociation": ("IamInstanceProfile.Arn", "IamInstanceProfile.Name"),
}


TAGGING: Mapping[tuple[str, str], str] = {
    # tags at creation need the tagging action too (IAM User Guide "Controlling access during requests")
    ("iam", "CreateRole"): "iam:TagRole",
    ("iam", "CreateUser"): "iam:TagUser",
    ("iam", "CreatePolicy"): "iam:TagPolicy",
    ("lambda", "CreateFunction"): "lambda:TagResource",
    ("sqs", "CreateQueue"): "sqs:TagQueue",
    ("sns", "CreateTopic"): "sns:TagResource",
    ("stepfunctions", "CreateStateMachine"): "states:TagResource",
    ("events", "PutRule"): "events:TagResource",
    ("secretsmanager", "CreateSecret"): "secretsmanager:TagResource",
    ("kms", "CreateKey"): "kms:TagResource",
    ("logs", "CreateLogGroup"): "logs:TagResource",
    ("ecs", "RunTask"): "ecs:TagResource",
    ("ecs", "CreateService"): "ecs:TagResource",
    ("ecs", "RegisterTaskDefinition"): "ecs:TagResource",
    ("organizations", "CreatePolicy"): "organizations:TagResource",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One question to IAM; a call is allowed when all of its checks are."""

    action: str
    resource: str
    keys: Keys
    """Condition keys of the request (lower case), without the caller's."""


def checks(call: Call) -> tuple[Check, ...]:
    """Return every question that a call puts. Raises NoRule: nobody wrote down what it asks for."""
    actions, resources = names(call)
    found = [Check(action, arn, request_keys(call, arn)) for action in actions for arn in resources]
    found += [Check(action, arn, request_keys(call, arn)) for action in _extras(call) for arn in resources]
    return (*found, *_tagged(call), *_passed(call))


def names(call: Call) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return actions and resource ARNs of a call. Raises NoRule: nobody wrote them down."""
    if call.service in API_GATEWAY:
        return agents.api_gateway(call)
    table = TABLES.get(call.service)
    if table is None:
        raise NoRule(f"no table of resources for {call.service} ({call.operation}): add one to the sandbox")
    actions = records.s3_actions(call) if call.service == "s3" else table.names(call)
    return actions, table.arns(call)


def _extras(call: Call) -> tuple[str, ...]:
    if call.service == "s3":
        return records.s3_extras(call)
    tagging = TAGGING.get((call.service, call.operation))
    return (tagging,) if tagging and (call.params.get("Tags") or call.params.get("tags")) else ()


def _tagged(call: Call) -> Iterator[Check]:
    """Give ec2:CreateTags for what EC2 tags as it makes it; it does so by CreateTags itself otherwise."""
    kinds = flat(call.params.get("TagSpecifications"), ["ResourceType"]) if call.service == "ec2" else []
    for kind in dict.fromkeys(kinds):
        arn = f"arn:aws:ec2:{call.region}:{call.account}:{kind}/*"
        yield Check("ec2:CreateTags", arn, {**request_keys(call, arn), "ec2:createaction": (call.operation,)})


def _passed(call: Call) -> Iterator[Check]:
    service, paths = PASSED_ROLES.get((call.service, call.operation), ("", ()))
    roles = [arn for path in paths for arn in flat(call.params, path.split("."))]
    if call.service == "ec2" and call.operation in PASSED_PROFILES:
        service = "ec2.amazonaws.com"
        named = [
            one for path in PASSED_PROFILES[call.operation] for one in flat(call.params, path.split("."))
        ]
        roles = [arn for name in named for arn in _profile_roles(call, name.rpartition("/")[2])]
    for arn in dict.fromkeys(roles):
        yield Check("iam:PassRole", arn, {"iam:passedtoservice": (service,)})


def _profile_roles(call: Call, name: str) -> list[str]:
    from breakglass_aws.sandbox.iam_entities import backend

    profiles: Any = backend(call.account).instance_profiles.values()
    return [role.arn for one in profiles if one.name == name for role in one.roles]
