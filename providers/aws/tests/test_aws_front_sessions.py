"""Sessions: who gets one, what it may, and when it ends."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from breakglass_aws.sandbox.process import ACCOUNT
from providers.aws.tests.front_clients import EVERYTHING, NOTHING, once, refused, role, user
from providers.aws.tests.rig_aws import Rig
from providers.aws.tests.rig_platform import until

ISSUER = "tokens.example.test"


def test_a_session_of_a_role_acts_as_the_role_and_says_so(rig: Rig) -> None:
    """GetCallerIdentity names role and session."""
    arn, keys = role(rig), user(rig)

    session = once(rig, "sts", keys).assume_role(RoleArn=arn, RoleSessionName="shift-1")
    told = once(rig, "sts", session["Credentials"]).get_caller_identity()

    assert told["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/shift-1"
    assert told["UserId"].startswith("AROA")
    assert told["UserId"].endswith(":shift-1")
    assert refused(once(rig, "sqs", session["Credentials"]).list_queues) == ("", 200)


@pytest.mark.parametrize(
    ("service", "operation", "unknown", "expired"),
    [
        ("iam", "list_users", "InvalidClientTokenId", "ExpiredToken"),
        ("events", "list_rules", "UnrecognizedClientException", "ExpiredTokenException"),
        ("lambda", "list_functions", "UnrecognizedClientException", "ExpiredTokenException"),
        ("s3", "list_buckets", "InvalidAccessKeyId", "ExpiredToken"),
        ("ec2", "describe_vpcs", "AuthFailure", "RequestExpired"),
    ],
)
def test_a_session_ends_with_its_time_and_is_nothing_without_its_token(
    rig: Rig, service: str, operation: str, unknown: str, expired: str
) -> None:
    """Each service has its own words for it."""
    arn = role(rig)
    session = rig.sandbox.control("mint", {"role": arn, "session": "s", "duration_s": 3600})
    short = rig.sandbox.control("mint", {"role": arn, "session": "s", "duration_s": 1})

    assert refused(getattr(once(rig, service, {**session, "SessionToken": "x"}), operation))[0] == unknown
    assert refused(getattr(once(rig, service, session), operation)) == ("", 200)
    until(lambda: refused(getattr(once(rig, service, short), operation))[0] == expired, "it has expired")
    assert refused(getattr(once(rig, service, session), operation)) == ("", 200)


def test_a_session_dies_with_its_role_and_does_not_come_back_with_a_new_one_of_its_name(rig: Rig) -> None:
    """The role's unique id counts, not its name."""
    arn = role(rig)
    session = rig.sandbox.control("mint", {"role": arn, "session": "s"})
    iam = rig.boto("iam")
    iam.delete_role_policy(RoleName="worker", PolicyName="own")
    iam.delete_role(RoleName="worker")

    assert refused(once(rig, "sqs", session).list_queues)[0] == "InvalidClientTokenId"
    role(rig)
    assert refused(once(rig, "sqs", session).list_queues)[0] == "InvalidClientTokenId"


def test_a_session_token_outlives_the_key_that_asked_for_it(rig: Rig) -> None:
    """Setting the key inactive does not end it: only its time does, or a deny."""
    keys = user(rig)
    session = once(rig, "sts", keys).get_session_token(DurationSeconds=900)["Credentials"]
    iam = rig.boto("iam")
    iam.update_access_key(UserName="bot", AccessKeyId=keys["AccessKeyId"], Status="Inactive")

    assert refused(once(rig, "sqs", keys).list_queues)[0] == "InvalidClientTokenId"
    assert refused(once(rig, "sqs", session).list_queues) == ("", 200)
    iam.put_user_policy(UserName="bot", PolicyName="quarantine", PolicyDocument=json.dumps(NOTHING))
    assert refused(once(rig, "sqs", session).list_queues) == ("AccessDenied", 403)
    assert refused(once(rig, "sts", session).get_caller_identity) == ("", 200)
    assert refused(once(rig, "sts", session).get_session_token) == ("AccessDenied", 403)


def test_a_federated_session_may_what_the_user_may_and_its_policy_allows(rig: Rig) -> None:
    """Without a session policy it may nothing."""
    sts = once(rig, "sts", user(rig))
    queues = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}],
    }
    bare = sts.get_federation_token(Name="guest")["Credentials"]
    some = sts.get_federation_token(Name="guest", Policy=json.dumps(queues))["Credentials"]

    assert refused(once(rig, "sqs", bare).list_queues)[0] == "AccessDenied"
    assert refused(once(rig, "sqs", some).list_queues) == ("", 200)
    assert refused(once(rig, "sns", some).list_topics)[0] == "AuthorizationError"
    assert once(rig, "sts", some).get_caller_identity()["Arn"].endswith(":federated-user/guest")


def test_nobody_assumes_a_role_that_does_not_trust_him(rig: Rig) -> None:
    """The trust policy decides, and a deny of it wins."""
    arn = role(rig, principal={"Service": "lambda.amazonaws.com"})
    assume = once(rig, "sts", user(rig)).assume_role

    assert refused(assume, RoleArn=arn, RoleSessionName="s1") == ("AccessDenied", 403)
    assert refused(assume, RoleArn=f"{arn}-other", RoleSessionName="s1") == ("AccessDenied", 403)


def test_a_chained_session_lives_an_hour_at_most_and_keeps_transitive_tags(rig: Rig) -> None:
    """A role's own longest session does not count there."""
    first, second = role(rig), role(rig, "second")
    sts = once(rig, "sts", user(rig))
    session = sts.assume_role(
        RoleArn=first,
        RoleSessionName="s1",
        DurationSeconds=7200,
        Tags=[{"Key": "team", "Value": "red"}],
        TransitiveTagKeys=["team"],
    )["Credentials"]
    chained = once(rig, "sts", session)

    assert refused(chained.assume_role, RoleArn=second, RoleSessionName="s2", DurationSeconds=7200)[0] == (
        "ValidationError"
    )
    assert refused(chained.assume_role, RoleArn=second, RoleSessionName="s2") == ("", 200)


def test_a_bearer_of_a_token_gets_a_session_where_its_issuer_is_known(rig: Rig) -> None:
    """Unsigned, as AWS has it."""
    arn = role(
        rig,
        principal={"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"},
        action="sts:AssumeRoleWithWebIdentity",
    )
    asked = {
        "RoleArn": arn,
        "RoleSessionName": "pod",
        "WebIdentityToken": _token(iss=f"https://{ISSUER}", sub="pod"),
    }
    assume = once(rig, "sts").assume_role_with_web_identity

    assert refused(assume, **asked)[0] == "InvalidIdentityToken"
    rig.boto("iam").create_open_id_connect_provider(Url=f"https://{ISSUER}", ThumbprintList=["0" * 40])
    session = assume(**asked)
    assert session["SubjectFromWebIdentityToken"] == "pod"
    assert refused(once(rig, "sqs", session["Credentials"]).list_queues) == ("", 200)
    spoilt = {**asked, "WebIdentityToken": "not.a.token"}
    assert refused(assume, **spoilt)[0] == "InvalidIdentityToken"


def test_a_user_names_itself_by_its_key_and_a_role_cannot(rig: Rig) -> None:
    """IAM takes the user from the key; a session without MFA gets nothing out of IAM."""
    keys = user(rig)
    session = once(rig, "sts", keys).get_session_token()["Credentials"]
    of_role = rig.sandbox.control("mint", {"role": role(rig), "session": "s"})

    assert once(rig, "iam", keys).get_user()["User"]["UserName"] == "bot"
    assert once(rig, "iam", keys).list_access_keys()["AccessKeyMetadata"][0]["UserName"] == "bot"
    assert refused(once(rig, "iam", session).list_access_keys)[0] == "AccessDenied"
    assert refused(once(rig, "iam", of_role).get_user)[0] == "ValidationError"


def test_another_accounts_keys_act_in_that_account(rig: Rig) -> None:
    """The organization's management account has an administrator of its own."""
    management = {"AccessKeyId": "AKIAMANAGEMENTMANAGE", "SecretAccessKey": "admin"}
    once(rig, "iam", management).create_user(UserName="theirs")
    user(rig, "ours", EVERYTHING)

    names = [one["UserName"] for one in once(rig, "iam", management).list_users()["Users"]]

    assert once(rig, "sts", management).get_caller_identity()["Account"] == "210987654321"
    assert names == ["theirs"]


def _token(**claims: Any) -> str:  # noqa: ANN401 - JSON
    parts: tuple[dict[str, Any], ...] = ({"alg": "none"}, claims, {})
    return ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in parts)
