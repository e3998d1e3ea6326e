"""Clients for the tests of the sandbox's front: botocore itself, that tries once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from breakglass_aws.sandbox.process import ACCOUNT, REGION
from providers.aws.tests.rig_aws import Rig

EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
NOTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}


def once(rig: Rig, service: str, keys: Mapping[str, Any] | None = None, **config: Any) -> Any:  # noqa: ANN401 - boto3 has no types
    """Return a client that never tries again; of the administrator where no keys are given."""
    import boto3
    from botocore.config import Config

    held = keys or {"AccessKeyId": "AKIAADMINADMINADMIN0", "SecretAccessKey": "admin"}
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=rig.sandbox.endpoint,
        aws_access_key_id=held["AccessKeyId"],
        aws_secret_access_key=held["SecretAccessKey"],
        aws_session_token=held.get("SessionToken"),
        config=Config(retries={"total_max_attempts": 1}, **config),
    )


def refused(call: Callable[..., Any], **params: object) -> tuple[str, int]:
    """Return code and status of a refusal."""
    from botocore.exceptions import ClientError

    try:
        call(**params)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return "", 200


def user(rig: Rig, name: str = "bot", policy: Mapping[str, Any] = EVERYTHING) -> dict[str, Any]:
    """Make a user with an inline policy; return its keys."""
    iam = rig.boto("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
    return dict(iam.create_access_key(UserName=name)["AccessKey"])


def role(
    rig: Rig,
    name: str = "worker",
    *,
    policy: Mapping[str, Any] = EVERYTHING,
    principal: Mapping[str, str] | None = None,
    action: str = "sts:AssumeRole",
) -> str:
    """Make a role that somebody may assume, by default the account's principals; return its ARN."""
    trusted = dict(principal or {"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": trusted, "Action": [action, "sts:TagSession"]},
        ],
    }
    iam = rig.boto("iam")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust), MaxSessionDuration=7200)
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
    return str(made["Role"]["Arn"])
