"""The record of calls, from which truth comes, and what is said of what the sandbox cannot do."""

from __future__ import annotations

import time

from providers.aws.tests.front_clients import NOTHING, once, refused, user
from providers.aws.tests.rig_aws import Rig


def test_every_call_is_recorded_with_who_what_and_whether(rig: Rig) -> None:
    """Refused ones too; in the order in which they were decided."""
    keys = user(rig)
    since = rig.sandbox.control("calls")[-1]["n"]
    started_us = time.monotonic_ns() // 1000

    refused(once(rig, "sqs", keys).create_queue, QueueName="work")
    rig.boto("iam").put_user_policy(UserName="bot", PolicyName="stop", PolicyDocument=_text(NOTHING))
    refused(once(rig, "sqs", keys).create_queue, QueueName="more")
    refused(once(rig, "sqs", {**keys, "SecretAccessKey": "x"}).list_queues)

    calls = rig.sandbox.control("calls", {"since": since})
    assert [(one["n"], one["operation"], one["allowed"], one["code"]) for one in calls] == [
        (since + 1, "CreateQueue", True, ""),
        (since + 2, "PutUserPolicy", True, ""),
        (since + 3, "CreateQueue", False, "AccessDenied"),
        (since + 4, "ListQueues", False, "SignatureDoesNotMatch"),
    ]
    first = calls[0]
    assert first["access_key"] == keys["AccessKeyId"]
    assert first["principal"] == "arn:aws:iam::123456789012:user/bot"
    assert (first["service"], first["action"]) == ("sqs", "sqs:CreateQueue")
    assert first["resource"] == "arn:aws:sqs:eu-west-1:123456789012:work"
    assert abs(first["at_ms"] - time.time() * 1000) < 60_000
    assert started_us <= first["monotonic_us"] <= calls[1]["monotonic_us"] <= time.monotonic_ns() // 1000


def test_secrets_do_not_get_into_the_record(rig: Rig) -> None:
    """It is read by many."""
    once(rig, "secretsmanager").create_secret(Name="s", SecretString="hunter2")
    user(rig)
    rig.boto("iam").create_login_profile(UserName="bot", Password="hunter2-A!")  # noqa: S106 - made up
    key = once(rig, "iam").create_access_key(UserName="bot")["AccessKey"]

    told = repr(rig.sandbox.control("calls"))

    assert "hunter2" not in told
    assert key["SecretAccessKey"] not in told


def test_a_call_that_the_service_itself_refuses_was_allowed_and_has_its_code(rig: Rig) -> None:
    """Allowed means: nobody kept it from being carried out."""
    refused(once(rig, "iam").get_role, RoleName="nobody")

    last = rig.sandbox.control("calls")[-1]
    assert (last["operation"], last["allowed"], last["code"]) == ("GetRole", True, "NoSuchEntity")


def test_what_the_sandbox_lacks_is_refused_and_never_a_silent_success(rig: Rig) -> None:
    """An operation that moto lacks, a service that it lacks, and an operation that nobody has."""
    keys = user(rig)

    assert refused(once(rig, "iam").get_mfa_device, SerialNumber="arn:aws:iam::123456789012:mfa/x") == (
        "NotImplementedBySandbox",
        501,
    )
    assert refused(once(rig, "guardduty").list_malware_scans) == ("NotImplementedBySandbox", 501)
    assert refused(once(rig, "accessanalyzer").list_analyzers) == ("NotImplementedBySandbox", 501)
    assert refused(once(rig, "guardduty", keys).list_malware_scans) == ("NotImplementedBySandbox", 501)


def test_a_refusal_names_who_what_and_where_it_comes_from(rig: Rig) -> None:
    """As AWS words it."""
    from botocore.exceptions import ClientError

    keys = user(rig, policy=NOTHING)
    try:
        once(rig, "sqs", keys).create_queue(QueueName="work")
    except ClientError as error:
        text = error.response["Error"]["Message"]

    assert text == (
        "User: arn:aws:iam::123456789012:user/bot is not authorized to perform: sqs:CreateQueue on resource: "
        "arn:aws:sqs:eu-west-1:123456789012:work with an explicit deny in an identity-based policy"
    )


def _text(document: object) -> str:
    import json

    return json.dumps(document)
