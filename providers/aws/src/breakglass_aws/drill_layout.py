"""Lays the drill's agent out in the sandbox, as an administrator would: identities, work, triggers."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from breakglass_aws.sandbox.process import ACCOUNT, REGION, Sandbox

ROLE = "rogue-worker"
USER = "rogue-legacy"
FUNCTION = "rogue-worker"
QUEUE = "rogue-jobs"
TOPIC = "rogue-out"
SCHEDULE = "rogue-nightly"
MACHINE = "rogue-loop"
BUCKET = "rogue-incident-evidence"
EXECUTOR = "breakglass-executor"
SESSION = "rogue-in-use"
ADMINISTRATOR = {"AccessKeyId": "AKIAADMINADMINADMIN0", "SecretAccessKey": "admin"}
CHANNELS = (
    f"function/{FUNCTION}",
    f"execution/{MACHINE}",
    f"key/{USER}",
    f"session/{ROLE}/{SESSION}",
    f"schedule/default/{SCHEDULE}",
)
_SERVICES = ("lambda", "states", "ec2", "scheduler", "ecs-tasks")
_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["sqs:*", "sns:*", "lambda:InvokeFunction", "ec2:Describe*", "logs:*"],
            "Resource": "*",
        },
        {"Effect": "Allow", "Action": ["iam:List*", "iam:Get*", "iam:Detach*", "iam:Delete*Policy"],
         "Resource": "*"},
    ],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layout:
    """What was laid out."""

    inventory: Mapping[str, object]
    executor: Mapping[str, str]
    user_keys: tuple[Mapping[str, str], ...]
    session: Mapping[str, str]
    topic: str
    queue: str


def client(endpoint: str, service: str, keys: Mapping[str, str]) -> Any:  # noqa: ANN401 - boto3 has no types
    """Return a client of the sandbox with somebody's keys."""
    import boto3

    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys.get("SessionToken"),
    )


def lay_out(sandbox: Sandbox) -> Layout:
    """Make everything that the agent is and uses, and the executor with its least rights."""

    def admin(service: str) -> Any:  # noqa: ANN401 - boto3 has no types
        return client(sandbox.endpoint, service, ADMINISTRATOR)

    sandbox.control("platform", {"minute_s": 1.0})
    role, keys = _identities(admin("iam"))
    sandbox.control("age", {"users": [USER]})  # they are of peacetime: a restore gives them back
    queue = admin("sqs").create_queue(QueueName=QUEUE)["QueueUrl"]
    topic = admin("sns").create_topic(Name=TOPIC)["TopicArn"]
    function = _work(admin, role)
    instance = _instance(admin("ec2"), admin("iam"))
    _bucket(admin("s3"))
    deed = {"service": "sns", "operation": "publish", "params": {"TopicArn": topic, "Message": "spent 12.00"}}
    sandbox.control(
        "platform",
        {
            "agent_principals": [
                f"arn:aws:iam::{ACCOUNT}:user/{USER}",
                f"arn:aws:iam::{ACCOUNT}:role/{ROLE}",
                f"arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/",
            ],
            "behaviours": {
                f"function/{FUNCTION}": [deed],
                f"execution/{MACHINE}": [deed],
                f"instance/{instance}": [deed],
            },
            "on": True,
            "open_flow": {"instance": instance},
        },
    )
    admin("stepfunctions").start_execution(
        stateMachineArn=f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{MACHINE}", name=MACHINE
    )
    admin("lambda").create_event_source_mapping(
        EventSourceArn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{QUEUE}", FunctionName=function
    )
    return Layout(
        inventory={
            "users": [USER],
            "roles": [ROLE],
            "functions": [FUNCTION],
            "queues": [QUEUE],
            "topics": [TOPIC],
            "schedules": [SCHEDULE],
            "state_machines": [MACHINE],
            "instances": [instance],
            "stop_instances": True,
            "log_groups": [f"/aws/lambda/{FUNCTION}"],
            "evidence_bucket": BUCKET,
            "evidence_days": "1",
        },
        executor=_executor(admin("iam")),
        user_keys=keys,
        session=sandbox.control("mint", {"role": f"arn:aws:iam::{ACCOUNT}:role/{ROLE}", "session": SESSION}),
        topic=topic,
        queue=queue,
    )


def resident(endpoint: str, layout: Layout) -> Mapping[str, object]:
    """Return what the resident is told."""
    return {
        "endpoint": endpoint,
        "region": REGION,
        "user": USER,
        "role": ROLE,
        "keys": [dict(one) for one in layout.user_keys],
        "session": dict(layout.session),
        "topic": layout.topic,
        "queue": layout.queue,
    }


def _identities(iam: Any) -> tuple[str, tuple[Mapping[str, str], ...]]:  # noqa: ANN401 - boto3 has no types
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"Service": [f"{one}.amazonaws.com" for one in _SERVICES]},
            }
        ],
    }
    role = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=ROLE, PolicyName="work", PolicyDocument=json.dumps(_POLICY))
    iam.create_user(UserName=USER)
    iam.put_user_policy(UserName=USER, PolicyName="work", PolicyDocument=json.dumps(_POLICY))
    keys = tuple(iam.create_access_key(UserName=USER)["AccessKey"] for _ in range(2))
    return str(role), tuple(
        {"AccessKeyId": one["AccessKeyId"], "SecretAccessKey": one["SecretAccessKey"]} for one in keys
    )


def _work(admin: Any, role: str) -> str:  # noqa: ANN401 - boto3 has no types
    """Make the function, what starts it, its log group and the state machine."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("agent.py", "def handler(event, context):\n    return event\n")
    function = admin("lambda").create_function(
        FunctionName=FUNCTION,
        Role=role,
        Runtime="python3.12",
        Handler="agent.handler",
        Code={"ZipFile": packed.getvalue()},
        Timeout=3,
    )["FunctionArn"]
    logs = admin("logs")
    group = f"/aws/lambda/{FUNCTION}"
    logs.create_log_group(logGroupName=group)
    admin("scheduler").create_schedule(
        Name=SCHEDULE,
        ScheduleExpression="rate(1 minute)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": function, "RoleArn": role, "Input": json.dumps({"task": "buy"})},
    )
    admin("stepfunctions").create_state_machine(
        name=MACHINE,
        roleArn=role,
        definition=json.dumps(
            {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}
        ),
    )
    return str(function)


def _instance(ec2: Any, iam: Any) -> str:  # noqa: ANN401 - boto3 has no types
    iam.create_instance_profile(InstanceProfileName=ROLE)
    iam.add_role_to_instance_profile(InstanceProfileName=ROLE, RoleName=ROLE)
    image = ec2.describe_images()["Images"][0]["ImageId"]
    made = ec2.run_instances(
        ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.micro", IamInstanceProfile={"Name": ROLE}
    )
    return str(made["Instances"][0]["InstanceId"])


def _bucket(s3: Any) -> None:  # noqa: ANN401 - boto3 has no types
    s3.create_bucket(
        Bucket=BUCKET,
        CreateBucketConfiguration={"LocationConstraint": REGION},
        ObjectLockEnabledForBucket=True,
    )


def _executor(iam: Any) -> Mapping[str, str]:  # noqa: ANN401 - boto3 has no types
    """Make the executor: a user with exactly the rights that `providers show aws --policy` prints."""
    from breakglass_aws import permissions

    iam.create_user(UserName=EXECUTOR)
    for purpose in ("stop", "restore"):
        pieces = [piece for whole in permissions.documents(purpose, ()) for piece in permissions.split(whole)]
        for n, piece in enumerate(pieces):
            name = f"breakglass-{purpose}-{n}"
            arn = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(piece))["Policy"]["Arn"]
            iam.attach_user_policy(UserName=EXECUTOR, PolicyArn=arn)
    made = iam.create_access_key(UserName=EXECUTOR)["AccessKey"]
    return {"AccessKeyId": made["AccessKeyId"], "SecretAccessKey": made["SecretAccessKey"]}
