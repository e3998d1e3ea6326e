"""The sandbox enforces what stands behind a caller: policies, boundaries, session policies, SCPs, trust."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from providers.aws.tests.rig_aws import Rig

ACCOUNT = "123456789012"
QUEUE = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:work"
ALLOW_ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def document(*statements: Mapping[str, Any]) -> str:
    """Return a policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def user(rig: Rig, *statements: Mapping[str, Any], name: str = "ada", **more: Any) -> Mapping[str, Any]:  # noqa: ANN401 - as boto3
    """Make a user with these statements inline and return its keys."""
    iam = rig.boto("iam")
    iam.create_user(UserName=name, **more)
    if statements:
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document(*statements))
    return dict(iam.create_access_key(UserName=name)["AccessKey"])


def role(rig: Rig, *statements: Mapping[str, Any], trusted: Any = None, name: str = "worker") -> str:  # noqa: ANN401 - JSON
    """Make a role with these statements inline, trusted by the account."""
    iam = rig.boto("iam")
    trust = trusted or {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    statement = {"Effect": "Allow", "Principal": trust, "Action": "sts:AssumeRole"}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(statement))["Role"]["Arn"]
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(*statements))
    return str(arn)


def session(rig: Rig, arn: str, keys: Mapping[str, Any] | None = None, **more: Any) -> Mapping[str, Any]:  # noqa: ANN401 - as boto3
    """Assume a role."""
    made = rig.boto("sts", keys).assume_role(RoleArn=arn, RoleSessionName="one", **more)
    return dict(made["Credentials"])


def may(
    rig: Rig,
    keys: Mapping[str, Any],
    service: str = "sqs",
    operation: str = "list_queues",
    **params: Any,  # noqa: ANN401 - as boto3
) -> bool:
    """Call something with somebody's keys; False: refused for lack of permission."""
    try:
        getattr(rig.boto(service, keys), operation)(**params)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"):
            return False
        raise
    return True


def test_who_has_no_policy_may_do_nothing(rig: Rig) -> None:
    """The implicit deny is the start of everything."""
    assert not may(rig, user(rig))


def test_a_statement_for_one_queue_speaks_of_no_other(rig: Rig) -> None:
    """Resources are compared, both to allow and to deny."""
    sqs = rig.boto("sqs")
    urls = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("work", "other")}
    keys = user(rig, {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": QUEUE})

    assert may(rig, keys, "sqs", "send_message", QueueUrl=urls["work"], MessageBody="x")
    assert not may(rig, keys, "sqs", "send_message", QueueUrl=urls["other"], MessageBody="x")
    assert not may(rig, keys, "sqs", "purge_queue", QueueUrl=urls["work"])


def test_not_resource_with_deny_denies_all_but_that(rig: Rig) -> None:
    """A user with nothing but this statement gets in nowhere."""
    rig.boto("sqs").create_queue(QueueName="work")
    url = rig.boto("sqs").get_queue_url(QueueName="work")["QueueUrl"]
    only = {"Effect": "Deny", "Action": "*", "NotResource": QUEUE}

    assert not may(rig, user(rig, only), "sqs", "send_message", QueueUrl=url, MessageBody="x")
    keys = user(rig, ALLOW_ALL, only, name="bob")
    assert may(rig, keys, "sqs", "send_message", QueueUrl=url, MessageBody="x")
    assert not may(rig, keys)


def test_a_condition_on_the_token_s_issue_time_spares_new_sessions(rig: Rig) -> None:
    """Sessions issued before T are thrown out, those after it live, and long-term keys have no such time."""
    arn = role(rig, ALLOW_ALL)
    keys = session(rig, arn)
    condition = {"DateLessThan": {"aws:TokenIssueTime": "2099-01-01T00:00:00Z"}}
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    rig.boto("iam").put_role_policy(RoleName="worker", PolicyName="old", PolicyDocument=document(deny))

    assert not may(rig, keys)
    assert may(rig, user(rig, ALLOW_ALL, deny))
    deny["Condition"] = {"DateLessThan": {"aws:TokenIssueTime": "2020-01-01T00:00:00Z"}}
    rig.boto("iam").put_role_policy(RoleName="worker", PolicyName="old", PolicyDocument=document(deny))
    assert may(rig, keys)


@pytest.mark.parametrize("key", ["aws:userid", "aws:SourceIdentity", "aws:PrincipalTag/team"])
def test_one_session_of_a_shared_role_is_denied_by_its_marks(rig: Rig, key: str) -> None:
    """The other sessions of the role live on."""
    arn = role(rig, ALLOW_ALL)
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
    }
    rig.boto("iam").update_assume_role_policy(RoleName="worker", PolicyDocument=document(trust))
    sts = rig.boto("sts")
    bad = sts.assume_role(
        RoleArn=arn, RoleSessionName="bad", SourceIdentity="bad", Tags=[{"Key": "team", "Value": "bad"}]
    )["Credentials"]
    good = sts.assume_role(RoleArn=arn, RoleSessionName="good")["Credentials"]
    condition = {"StringLike": {key: "*bad"}}
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    rig.boto("iam").put_role_policy(RoleName="worker", PolicyName="one", PolicyDocument=document(deny))

    assert not may(rig, bad)
    assert may(rig, good)


def test_a_role_s_tag_switches_a_standing_deny(rig: Rig) -> None:
    """Tags of the role are the principal's tags of all its sessions, also of those that live."""
    switch = {"StringEquals": {"aws:PrincipalTag/stop": "yes"}}
    arn = role(rig, ALLOW_ALL, {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": switch})
    keys = session(rig, arn)

    assert may(rig, keys)
    rig.boto("iam").tag_role(RoleName="worker", Tags=[{"Key": "stop", "Value": "yes"}])
    assert not may(rig, keys)


@pytest.mark.parametrize("kind", ["role", "user"])
def test_a_boundary_limits_roles_and_users(rig: Rig, kind: str) -> None:
    """Both the identity policy and the boundary must allow; GetUser and GetRole show it."""
    iam = rig.boto("iam")
    only = document({"Effect": "Allow", "Action": "sns:*", "Resource": "*"})
    boundary = iam.create_policy(PolicyName="edge", PolicyDocument=only)["Policy"]["Arn"]
    keys = user(rig, ALLOW_ALL)
    if kind == "role":
        keys = session(rig, role(rig, ALLOW_ALL))
        iam.put_role_permissions_boundary(RoleName="worker", PermissionsBoundary=boundary)
        shown = iam.get_role(RoleName="worker")["Role"]
    else:
        iam.put_user_permissions_boundary(UserName="ada", PermissionsBoundary=boundary)
        shown = iam.get_user(UserName="ada")["User"]

    assert boundary == shown["PermissionsBoundary"]["PermissionsBoundaryArn"]
    assert not may(rig, keys)
    assert may(rig, keys, "sns", "list_topics")
    if kind == "user":
        iam.delete_user_permissions_boundary(UserName="ada")
        assert may(rig, keys)


def test_a_session_policy_only_narrows(rig: Rig) -> None:
    """What the session policy leaves out is refused; what the role lacks it cannot add."""
    arn = role(rig, {"Effect": "Allow", "Action": ["sqs:*", "sns:*"], "Resource": "*"})
    given = document({"Effect": "Allow", "Action": ["sns:*", "iam:*"], "Resource": "*"})
    keys = session(rig, arn, Policy=given)

    assert may(rig, keys, "sns", "list_topics")
    assert not may(rig, keys)
    assert not may(rig, keys, "iam", "list_users")


def test_a_trust_policy_is_the_gate_of_a_role(rig: Rig) -> None:
    """Named directly, a user needs no policy; an external id must fit; a deny shuts everybody out."""
    keys = user(rig)
    arn = role(rig, ALLOW_ALL, trusted={"AWS": f"arn:aws:iam::{ACCOUNT}:user/ada"})
    assume = {"RoleArn": arn, "RoleSessionName": "one"}

    assert may(rig, keys, "sts", "assume_role", **assume)
    assert not may(rig, user(rig, ALLOW_ALL, name="bob"), "sts", "assume_role", **assume)
    condition = {"StringEquals": {"sts:ExternalId": "secret"}}
    allow = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole", "Condition": condition}
    iam = rig.boto("iam")
    iam.update_assume_role_policy(RoleName="worker", PolicyDocument=document(allow))
    assert not may(rig, keys, "sts", "assume_role", **assume)
    assert may(rig, keys, "sts", "assume_role", **assume, ExternalId="secret")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}
    iam.update_assume_role_policy(RoleName="worker", PolicyDocument=document(allow, deny))
    assert not may(rig, keys, "sts", "assume_role", **assume, ExternalId="secret")


def test_passing_a_role_needs_permission_to_pass_it(rig: Rig) -> None:
    """A function's role is passed by whoever creates the function."""
    arn = role(rig, trusted={"Service": "states.amazonaws.com"})
    machine = {
        "name": "m",
        "roleArn": arn,
        "definition": json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}),
    }
    create = {"Effect": "Allow", "Action": "states:*", "Resource": "*"}
    condition = {"StringEquals": {"iam:PassedToService": "states.amazonaws.com"}}
    allowed = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": arn, "Condition": condition}

    assert not may(rig, user(rig, create), "stepfunctions", "create_state_machine", **machine)
    keys = user(rig, create, allowed, name="bob")
    assert may(rig, keys, "stepfunctions", "create_state_machine", **machine)


def test_get_caller_identity_cannot_be_denied(rig: Rig) -> None:
    """It is no proof of anything (AWS STS API Reference GetCallerIdentity)."""
    keys = user(rig, {"Effect": "Deny", "Action": "*", "Resource": "*"})

    assert may(rig, keys, "sts", "get_caller_identity")
    assert not may(rig, keys)


def test_enforcement_sees_a_write_later_than_reads_do(rig: Rig) -> None:
    """Inside the delay the deny can be read back and simulated, and the agent still acts."""
    keys = user(rig, ALLOW_ALL)
    assert may(rig, keys)
    rig.sandbox.control("settings", {"visibility_delay_s": 3600})
    iam, deny = rig.boto("iam"), {"Effect": "Deny", "Action": "*", "Resource": "*"}
    iam.put_user_policy(UserName="ada", PolicyName="stop", PolicyDocument=document(deny))
    arn = f"arn:aws:iam::{ACCOUNT}:user/ada"
    said = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["sqs:ListQueues"])

    assert "stop" in iam.list_user_policies(UserName="ada")["PolicyNames"]
    assert "explicitDeny" == said["EvaluationResults"][0]["EvalDecision"]
    assert may(rig, keys)
    rig.sandbox.control("settings", {"visibility_delay_s": 0})
    assert not may(rig, keys)


def test_a_key_made_inside_the_delay_is_not_accepted_yet(rig: Rig) -> None:
    """And one set inactive goes on working until the change is seen."""
    old = user(rig, ALLOW_ALL)
    assert may(rig, old)
    rig.sandbox.control("settings", {"visibility_delay_s": 3600})
    iam = rig.boto("iam")
    iam.update_access_key(UserName="ada", AccessKeyId=old["AccessKeyId"], Status="Inactive")
    new = iam.create_access_key(UserName="ada")["AccessKey"]

    assert may(rig, old)
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        may(rig, new)
    rig.sandbox.control("settings", {"visibility_delay_s": 0})
    assert may(rig, new)
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        may(rig, old)
