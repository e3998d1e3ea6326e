"""An agent in the AWS sandbox, an executor with exactly its printed rights, and the operators who stop it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from breakglass.canon import Json
from breakglass.report.build import Report
from breakglass_aws.sandbox.process import ACCOUNT, REGION, Sandbox
from tests.hosts.fleet import Fleet, quick_fleet

ADMIN = {"AccessKeyId": "AKIAADMINADMINADMIN0", "SecretAccessKey": "admin"}
EXECUTOR = "executor"
FAST = "0.005"
"""A settle time of 10 s takes a twentieth of a second, and Lambda's longest run, of 900 s, less than 5 s."""
MAY_ALL = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)
Keys = Mapping[str, Any]


@dataclass(slots=True)
class Cloud:
    """A sandbox, and what a test makes in it."""

    sandbox: Sandbox
    executor: Keys = field(default_factory=dict)

    def boto(self, service: str, keys: Keys = ADMIN, *, region: str = REGION, retries: int = 5) -> Any:  # noqa: ANN401 - boto3 has no types
        """Return a client: as the account's administrator, or with somebody's keys."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.sandbox.endpoint,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys.get("SessionToken"),
            config=Config(retries={"total_max_attempts": retries}, connect_timeout=3, read_timeout=10),
        )

    def make_executor(self) -> Keys:
        """Make the user that `providers show aws --policy` describes, for stop and restore, and its key."""
        from breakglass_aws import permissions

        iam = self.boto("iam")
        iam.create_user(UserName=EXECUTOR)
        for purpose in ("stop", "restore"):
            pieces = [one for whole in permissions.documents(purpose, ()) for one in permissions.split(whole)]
            for n, piece in enumerate(pieces):
                made = iam.create_policy(PolicyName=f"{purpose}-{n}", PolicyDocument=json.dumps(piece))
                iam.attach_user_policy(UserName=EXECUTOR, PolicyArn=made["Policy"]["Arn"])
        self.executor = self.new_key(EXECUTOR)
        return self.executor

    def new_key(self, user: str) -> Keys:
        """Make an access key of a user, as old as one of peacetime."""
        made = self.boto("iam").create_access_key(UserName=user)["AccessKey"]
        self.sandbox.control("age", {"users": [user]})
        return {"AccessKeyId": made["AccessKeyId"], "SecretAccessKey": made["SecretAccessKey"]}

    def user(self, name: str = "rogue", policy: str = MAY_ALL, **more: Any) -> Keys:  # noqa: ANN401 - boto3 has no types
        """Make a user of the agent's that may do all, and return its key."""
        iam = self.boto("iam")
        iam.create_user(UserName=name, **more)
        iam.put_user_policy(UserName=name, PolicyName="work", PolicyDocument=policy)
        return self.new_key(name)

    def role(self, name: str = "rogue-role", *, trusts: Sequence[str] = (), **more: Any) -> str:  # noqa: ANN401 - boto3 has no types
        """Make a role of the agent's that may do all and that these users may assume; return its ARN."""
        iam = self.boto("iam")
        principal: dict[str, Any] = {"Service": ["lambda.amazonaws.com", "states.amazonaws.com"]}
        if trusts:
            principal["AWS"] = [f"arn:aws:iam::{ACCOUNT}:user/{one}" for one in trusts]
        trust = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}],
        }
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust), **more)
        iam.put_role_policy(RoleName=name, PolicyName="work", PolicyDocument=MAY_ALL)
        return str(made["Role"]["Arn"])

    def session(self, role: str = "rogue-role", name: str = "in-use") -> Keys:
        """Return keys of a session of a role, as a service would have them."""
        found = self.sandbox.control("mint", {"role": f"arn:aws:iam::{ACCOUNT}:role/{role}", "session": name})
        return dict(found)

    def function(self, role: str, name: str = "rogue-fn") -> str:
        """Make a function that acts as a role."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("agent.py", "def handler(event, context):\n    return event\n")
        made = self.boto("lambda").create_function(
            FunctionName=name,
            Role=role,
            Runtime="python3.12",
            Handler="agent.handler",
            Code={"ZipFile": packed.getvalue()},
        )
        return str(made["FunctionArn"])

    def mapping(self, function: str = "rogue-fn", queue: str = "rogue-jobs") -> str:
        """Make a queue that feeds the function; return the mapping's id."""
        self.boto("sqs").create_queue(QueueName=queue)
        made = self.boto("lambda").create_event_source_mapping(
            EventSourceArn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}", FunctionName=function
        )
        return str(made["UUID"])

    def rule(self, target: str, name: str = "rogue-rule") -> None:
        """Make a rule that calls a function."""
        events = self.boto("events")
        events.put_rule(Name=name, ScheduleExpression="rate(1 minute)", State="ENABLED")
        events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": target}])

    def faults(self, *orders: Mapping[str, Any]) -> None:
        """Let the sandbox misbehave so from now on."""
        self.sandbox.control("faults", {"faults": list(orders)})

    def settings(self, **settings: Json) -> None:
        """Set the sandbox's own settings."""
        self.sandbox.control("settings", settings)

    def state(self) -> dict[str, Any]:
        """Return all that a restore must bring back; places where nothing is are left out."""
        found = _pruned(self.sandbox.control("state"))
        return found if isinstance(found, dict) else {}

    def state_of_rogue(self) -> Any:  # noqa: ANN401 - JSON
        """Return what the account's IAM knows of everybody but the executor."""
        return {
            part: {name: one for name, one in things.items() if name != EXECUTOR}
            for part, things in self.state()["iam"][f"{ACCOUNT}/aws"].items()
        }

    def calls(self, *, since: int = 0) -> list[dict[str, Any]]:
        """Return the record of every call."""
        return list(self.sandbox.control("calls", {"since": since}))

    def made(self, operation: str, *, by: Keys | None = None, since: int = 0) -> list[dict[str, Any]]:
        """Return the calls of an operation that had an effect or an answer, of the executor or of `by`."""
        key = (by or self.executor)["AccessKeyId"]
        return [
            one
            for one in self.calls(since=since)
            if one["operation"] == operation
            and one["access_key"] == key
            and one["allowed"]
            and not one["code"]
        ]

    def reach(self, **settings: Json) -> dict[str, object]:
        """Return how an inventory names the agent here."""
        return {
            "provider": "aws",
            "account": ACCOUNT,
            "region": REGION,
            "endpoint": self.sandbox.endpoint,
            "credential": EXECUTOR,
            "settle_factor": FAST,
            **settings,
        }


def _pruned(value: object) -> object:
    """Return a value without whatever in it is empty."""
    if isinstance(value, dict):
        kept = {name: _pruned(one) for name, one in value.items()}
        return {name: one for name, one in kept.items() if one not in ({}, None)}
    return value


def secret(keys: Keys) -> bytes:
    """Return the JSON of a named secret of the executor's."""
    body = {
        "access_key_id": keys["AccessKeyId"],
        "secret_access_key": keys["SecretAccessKey"],
        "session_token": keys.get("SessionToken"),
    }
    return json.dumps(body).encode()


@contextmanager
def cloud_fleet(
    cloud: Cloud,
    *reaches: Mapping[str, object],
    held: Mapping[str, Keys] | None = None,
    step_s: int = 30,
) -> Iterator[Fleet]:
    """Write and sign the kit of an agent with these reaches; `held` are the executor's secrets by name."""
    keys = {EXECUTOR: cloud.executor, **(held or {})}
    with quick_fleet(reaches, {name: secret(one) for name, one in keys.items()}, step_s=step_s) as ours:
        yield ours


def said(report: Report) -> str:
    """Return what a report says, for the words of a failed assertion."""
    steps = (f"{one.action} {one.target.id} {one.verdict} {one.grade}: {one.reason}" for one in report.steps)
    return "\n".join([*steps, *(f"OPEN {one}" for one in report.open)])
