"""The sandbox enforces what stands at a resource (queues, topics, keys, secrets, buckets), and SCPs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from providers.aws.tests.rig_aws import Rig
from providers.aws.tests.test_aws_authorise_identity import (
    ACCOUNT,
    ALLOW_ALL,
    document,
    may,
    role,
    session,
    user,
)

MANAGEMENT = {"AccessKeyId": "AKIAMANAGEMENTMANAGE", "SecretAccessKey": "admin"}
ADA = f"arn:aws:iam::{ACCOUNT}:user/ada"


def queue(rig: Rig, *statements: Mapping[str, Any]) -> str:
    """Make a queue with a policy."""
    attributes = {"Policy": document(*statements)} if statements else {}
    return str(rig.boto("sqs").create_queue(QueueName="work", Attributes=attributes)["QueueUrl"])


def of_queue(effect: str, who: Any, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return a statement of the queue's policy."""
    arn = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:work"
    return {"Effect": effect, "Principal": who, "Action": "sqs:*", "Resource": arn, **more}


def sends(rig: Rig, keys: Mapping[str, Any], url: str) -> bool:
    """Send one message."""
    return may(rig, keys, "sqs", "send_message", QueueUrl=url, MessageBody="x")


def test_a_queue_policy_alone_lets_a_user_of_the_account_in(rig: Rig) -> None:
    """In one account identity and resource policy are a union."""
    url = queue(rig, of_queue("Allow", {"AWS": ADA}))

    assert sends(rig, user(rig), url)
    assert not sends(rig, user(rig, name="bob"), url)


def test_a_queue_policy_that_names_the_account_hands_over_to_identity_policies(rig: Rig) -> None:
    """The account's root as principal is no grant to its users."""
    url = queue(rig, of_queue("Allow", {"AWS": ACCOUNT}))

    assert not sends(rig, user(rig), url)


def test_a_deny_at_the_queue_shuts_out_who_may_do_everything(rig: Rig) -> None:
    """Explicit deny anywhere; whom the condition spares gets in."""
    spare = {"ArnNotEquals": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/worker"}}
    url = queue(rig, of_queue("Deny", "*", Condition=spare))
    worker = session(rig, role(rig, ALLOW_ALL))

    assert not sends(rig, user(rig, ALLOW_ALL), url)
    assert sends(rig, worker, url)


@pytest.mark.parametrize(("named", "expected"), [("session", True), ("role", False)])
def test_an_implicit_deny_of_a_session_policy_limits_the_role_and_not_the_named_session(
    rig: Rig, named: str, *, expected: bool
) -> None:
    """IAM User Guide "Policy evaluation for requests within a single account", role and role session."""
    arn = role(rig, ALLOW_ALL)
    who = arn if named == "role" else f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/one"
    url = queue(rig, of_queue("Allow", {"AWS": who}))
    narrowed = document({"Effect": "Allow", "Action": "sns:*", "Resource": "*"})

    assert expected is sends(rig, session(rig, arn, Policy=narrowed), url)


def test_a_topic_s_deny_stops_publishing_and_its_default_lets_nobody_in(rig: Rig) -> None:
    """The default policy's condition on the owner is met by no user."""
    sns = rig.boto("sns")
    arn = sns.create_topic(Name="t")["TopicArn"]
    keys = user(rig, ALLOW_ALL)

    assert may(rig, keys, "sns", "publish", TopicArn=arn, Message="x")
    assert not may(rig, user(rig, name="bob"), "sns", "publish", TopicArn=arn, Message="x")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "sns:Publish", "Resource": arn}
    sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=document(deny))
    assert not may(rig, keys, "sns", "publish", TopicArn=arn, Message="x")


def test_a_key_s_policy_is_the_only_gate_unless_it_hands_over(rig: Rig) -> None:
    """KMS Developer Guide "Key policies": without the account in it IAM has no effect; grants allow."""
    kms, keys = rig.boto("kms"), user(rig, ALLOW_ALL)
    own = {"Effect": "Allow", "Principal": {"AWS": ADA}, "Action": "kms:DescribeKey", "Resource": "*"}
    default = kms.create_key()["KeyMetadata"]["KeyId"]
    closed = kms.create_key(Policy=document(own))["KeyMetadata"]["KeyId"]
    bob = user(rig, ALLOW_ALL, name="bob")

    assert may(rig, bob, "kms", "encrypt", KeyId=default, Plaintext=b"x")
    assert not may(rig, bob, "kms", "encrypt", KeyId=closed, Plaintext=b"x")
    assert may(rig, keys, "kms", "describe_key", KeyId=closed)
    kms.create_grant(KeyId=closed, GranteePrincipal=ADA, Operations=["Encrypt", "Decrypt"])
    sealed = rig.boto("kms", keys).encrypt(KeyId=closed, Plaintext=b"x")["CiphertextBlob"]
    assert may(rig, keys, "kms", "decrypt", CiphertextBlob=sealed)
    assert not may(rig, bob, "kms", "decrypt", CiphertextBlob=sealed)


def test_a_secret_s_and_a_bucket_s_policy_deny(rig: Rig) -> None:
    """Both stand above what the identity allows."""
    keys = user(rig, ALLOW_ALL)
    secrets, s3 = rig.boto("secretsmanager"), rig.boto("s3")
    secrets.create_secret(Name="s", SecretString="x")
    s3.create_bucket(Bucket="evidence-1", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="evidence-1", Key="a/b", Body=b"x")
    assert may(rig, keys, "secretsmanager", "get_secret_value", SecretId="s")
    assert may(rig, keys, "s3", "get_object", Bucket="evidence-1", Key="a/b")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    secrets.put_resource_policy(SecretId="s", ResourcePolicy=document(deny))
    prefix = {"Effect": "Deny", "Principal": {"AWS": ADA}, "Action": "s3:GetObject"}
    policy = document({**prefix, "Resource": "arn:aws:s3:::evidence-1/a/*"})
    s3.put_bucket_policy(Bucket="evidence-1", Policy=policy)

    assert not may(rig, keys, "secretsmanager", "get_secret_value", SecretId="s")
    assert not may(rig, keys, "s3", "get_object", Bucket="evidence-1", Key="a/b")
    assert may(rig, keys, "s3", "list_objects_v2", Bucket="evidence-1")


def test_locking_an_object_is_a_permission_of_its_own(rig: Rig) -> None:
    """A PutObject with a lock needs s3:PutObjectRetention too."""
    s3 = rig.boto("s3")
    s3.create_bucket(
        Bucket="evidence-2",
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
        ObjectLockEnabledForBucket=True,
    )
    lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": "2099-01-01T00:00:00Z"}
    put = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}
    mode = {"StringEquals": {"s3:object-lock-mode": "COMPLIANCE"}}
    retain = {"Effect": "Allow", "Action": "s3:PutObjectRetention", "Resource": "*", "Condition": mode}
    thing = {"Bucket": "evidence-2", "Key": "k", "Body": b"x"}

    keys = user(rig, put)
    assert may(rig, keys, "s3", "put_object", **thing)
    assert not may(rig, keys, "s3", "put_object", **thing, **lock)
    assert may(rig, user(rig, put, retain, name="bob"), "s3", "put_object", **thing, **lock)


@pytest.fixture
def organization(rig: Rig) -> Any:  # noqa: ANN401 - boto3 has no types
    """Put the account into an organization, as its management account; return its client."""
    client = rig.boto("organizations", MANAGEMENT)
    client.create_organization(FeatureSet="ALL")
    client.enable_policy_type(
        RootId=client.list_roots()["Roots"][0]["Id"], PolicyType="SERVICE_CONTROL_POLICY"
    )
    asked = client.invite_account_to_organization(Target={"Id": ACCOUNT, "Type": "ACCOUNT"})["Handshake"]
    rig.boto("organizations").accept_handshake(HandshakeId=asked["Id"])
    return client


def scp(client: Any, target: str, *statements: Mapping[str, Any], name: str = "stop") -> str:  # noqa: ANN401 - as above
    """Make an SCP and attach it."""
    made = client.create_policy(
        Name=name, Description="d", Type="SERVICE_CONTROL_POLICY", Content=document(*statements)
    )
    client.attach_policy(PolicyId=made["Policy"]["PolicySummary"]["Id"], TargetId=target)
    return str(made["Policy"]["PolicySummary"]["Id"])


def test_an_scp_stops_everybody_of_a_member_account(rig: Rig, organization: Any) -> None:  # noqa: ANN401 - as above
    """Users, roles and root of the account; never the management account; and only until it is detached."""
    keys = user(rig, ALLOW_ALL)
    assert may(rig, keys)
    deny = {"Effect": "Deny", "Action": "sqs:*", "Resource": "*"}
    policy = scp(organization, ACCOUNT, deny)

    assert not may(rig, keys)
    assert not may(rig, {"AccessKeyId": "AKIAADMINADMINADMIN0", "SecretAccessKey": "admin"})
    assert may(rig, MANAGEMENT)
    said = rig.boto("iam").simulate_principal_policy(PolicySourceArn=ADA, ActionNames=["sqs:ListQueues"])
    result = said["EvaluationResults"][0]
    assert "explicitDeny" == result["EvalDecision"]
    assert not result["OrganizationsDecisionDetail"]["AllowedByOrganizations"]
    organization.detach_policy(PolicyId=policy, TargetId=ACCOUNT)
    assert may(rig, keys)


def test_simulation_does_not_see_scps_with_conditions(rig: Rig, organization: Any) -> None:  # noqa: ANN401 - as above
    """A tag that a standing SCP denies by stops the agent, and the simulator does not say so."""
    switch = {"StringEquals": {"aws:PrincipalTag/stop": "yes"}}
    scp(organization, ACCOUNT, {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": switch})
    keys = user(rig, ALLOW_ALL, Tags=[{"Key": "stop", "Value": "yes"}])
    said = rig.boto("iam").simulate_principal_policy(PolicySourceArn=ADA, ActionNames=["sqs:ListQueues"])

    assert not may(rig, keys)
    assert "allowed" == said["EvaluationResults"][0]["EvalDecision"]


def test_simulation_knows_groups_boundaries_contexts_and_pages(rig: Rig) -> None:
    """What the API documents, from the state of now."""
    iam = rig.boto("iam")
    user(rig)
    iam.create_group(GroupName="g")
    iam.add_user_to_group(GroupName="g", UserName="ada")
    allow = {**ALLOW_ALL, "Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}}
    iam.put_group_policy(GroupName="g", PolicyName="in", PolicyDocument=document(allow))
    only = document({"Effect": "Allow", "Action": "sns:*", "Resource": "*"})
    edge = iam.create_policy(PolicyName="edge", PolicyDocument=only)["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName="ada", PermissionsBoundary=edge)
    entry = {
        "ContextKeyName": "aws:RequestedRegion",
        "ContextKeyValues": ["eu-west-1"],
        "ContextKeyType": "string",
    }
    actions = ["sns:Publish", "sqs:SendMessage"]
    without = iam.simulate_principal_policy(PolicySourceArn=ADA, ActionNames=actions)["EvaluationResults"]
    first = iam.simulate_principal_policy(
        PolicySourceArn=ADA, ActionNames=actions, ContextEntries=[entry], MaxItems=1
    )
    pages = iam.get_paginator("simulate_principal_policy").paginate(
        PolicySourceArn=ADA, ActionNames=actions, ContextEntries=[entry], PaginationConfig={"PageSize": 1}
    )
    both = [one for page in pages for one in page["EvaluationResults"]]

    assert ["implicitDeny"] * 2 == [one["EvalDecision"] for one in without]
    assert ["aws:RequestedRegion"] == without[0]["MissingContextValues"]
    assert first["IsTruncated"]
    assert ["allowed", "implicitDeny"] == [one["EvalDecision"] for one in both]
    assert "in" == both[0]["MatchedStatements"][0]["SourcePolicyId"]
    assert not both[1]["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"]


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        (f"arn:aws:iam::{ACCOUNT}:user/nobody", "NoSuchEntity"),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/one", "InvalidInput"),
        (f"arn:aws:iam::{ACCOUNT}:root", "InvalidInput"),
    ],
)
def test_simulation_refuses_who_has_no_policies(rig: Rig, arn: str, code: str) -> None:
    """Sessions and root are not simulated."""
    with pytest.raises(ClientError) as refused:
        rig.boto("iam").simulate_principal_policy(PolicySourceArn=arn, ActionNames=["sqs:ListQueues"])

    assert code == refused.value.response["Error"]["Code"]


def test_long_term_keys_of_bedrock_can_be_switched_off_and_on(rig: Rig) -> None:
    """Service-specific credentials: listed per user, secret shown once."""
    iam = rig.boto("iam")
    user(rig)
    made = iam.create_service_specific_credential(UserName="ada", ServiceName="bedrock.amazonaws.com")
    credential = made["ServiceSpecificCredential"]
    wanted = credential["ServiceSpecificCredentialId"]
    iam.update_service_specific_credential(
        UserName="ada", ServiceSpecificCredentialId=wanted, Status="Inactive"
    )
    listed = iam.list_service_specific_credentials(UserName="ada")["ServiceSpecificCredentials"]

    assert credential["ServiceCredentialSecret"]
    assert [(wanted, "Inactive")] == [(one["ServiceSpecificCredentialId"], one["Status"]) for one in listed]
    assert "ServiceCredentialSecret" not in json.dumps(listed, default=str)
    iam.delete_service_specific_credential(UserName="ada", ServiceSpecificCredentialId=wanted)
    assert [] == iam.list_service_specific_credentials(UserName="ada")["ServiceSpecificCredentials"]
