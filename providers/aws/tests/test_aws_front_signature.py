"""Who signs a request, and whether it is true, in every protocol that AWS speaks."""

from __future__ import annotations

import datetime as dt
import urllib.error
import urllib.request

import pytest

from breakglass_aws.sandbox.process import REGION
from providers.aws.tests.front_clients import once, refused, user
from providers.aws.tests.rig_aws import Rig

PROTOCOLS = [
    ("iam", "list_users", "SignatureDoesNotMatch", "InvalidClientTokenId"),
    ("sts", "get_caller_identity", "SignatureDoesNotMatch", "InvalidClientTokenId"),
    ("ec2", "describe_vpcs", "AuthFailure", "AuthFailure"),
    ("events", "list_rules", "InvalidSignatureException", "UnrecognizedClientException"),
    ("sqs", "list_queues", "SignatureDoesNotMatch", "InvalidClientTokenId"),
    ("lambda", "list_functions", "InvalidSignatureException", "UnrecognizedClientException"),
    ("scheduler", "list_schedules", "InvalidSignatureException", "UnrecognizedClientException"),
    ("bedrock-agent", "list_agents", "InvalidSignatureException", "UnrecognizedClientException"),
    ("apigatewayv2", "get_apis", "InvalidSignatureException", "UnrecognizedClientException"),
    ("codedeploy", "list_applications", "InvalidSignatureException", "UnrecognizedClientException"),
    ("s3", "list_buckets", "SignatureDoesNotMatch", "InvalidAccessKeyId"),
]


@pytest.mark.parametrize(("service", "operation", "wrong", "unknown"), PROTOCOLS)
def test_a_true_signature_is_let_in_and_a_wrong_one_refused_in_the_services_own_words(
    rig: Rig, service: str, operation: str, wrong: str, unknown: str
) -> None:
    """The same request with the key, with another secret, with another key."""
    admin = {"AccessKeyId": "AKIAADMINADMINADMIN0", "SecretAccessKey": "guessed"}
    stranger = {"AccessKeyId": "AKIASTRANGERSTRANGER", "SecretAccessKey": "admin"}

    assert refused(getattr(once(rig, service), operation)) == ("", 200)
    assert refused(getattr(once(rig, service, admin), operation))[0] == wrong
    assert refused(getattr(once(rig, service, stranger), operation))[0] == unknown


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("iam", "list_users", "InvalidClientTokenId"),
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("events", "list_rules", "UnrecognizedClientException"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
    ],
)
def test_an_inactive_key_is_no_key_and_works_again_when_it_is_active(
    rig: Rig, service: str, operation: str, code: str
) -> None:
    """The backend alone lets an inactive key in."""
    keys = user(rig)
    iam = rig.boto("iam")
    call = getattr(once(rig, service, keys), operation)

    assert refused(call) == ("", 200)
    iam.update_access_key(UserName="bot", AccessKeyId=keys["AccessKeyId"], Status="Inactive")
    assert refused(call)[0] == code
    iam.update_access_key(UserName="bot", AccessKeyId=keys["AccessKeyId"], Status="Active")
    assert refused(call) == ("", 200)
    iam.delete_access_key(UserName="bot", AccessKeyId=keys["AccessKeyId"])
    assert refused(call)[0] == code


def test_an_inactive_key_works_on_within_the_visibility_delay(rig: Rig) -> None:
    """IAM is eventually consistent: what is written is enforced later."""
    keys = user(rig)
    rig.sandbox.control("settings", {"visibility_delay_s": 60})
    rig.boto("iam").update_access_key(UserName="bot", AccessKeyId=keys["AccessKeyId"], Status="Inactive")

    assert refused(once(rig, "sqs", keys).list_queues) == ("", 200)
    rig.sandbox.control("settings", {"visibility_delay_s": 0})
    assert refused(once(rig, "sqs", keys).list_queues)[0] == "InvalidClientTokenId"


def test_a_request_that_was_changed_after_signing_is_refused(rig: Rig) -> None:
    """The body, the query and the path are all under the signature."""
    for url, body in (
        ("/", b"Action=DeleteUser&UserName=bot&Version=2010-05-08"),
        ("/?x=1", None),
        ("/y", None),
    ):
        assert _status(rig, url, body, signed_body=b"Action=ListUsers&Version=2010-05-08") == 403


def test_a_parameter_that_is_given_twice_is_refused(rig: Rig) -> None:
    """Nobody authorises one and carries out the other."""
    body = b"Action=GetUser&Version=2010-05-08&UserName=a&UserName=b"

    assert _status(rig, "/", body, signed_body=body) == 400


def test_a_clock_that_is_off_by_more_than_a_quarter_of_an_hour_is_refused(rig: Rig) -> None:
    """An old request cannot be sent again for ever."""
    body = b"Action=ListUsers&Version=2010-05-08"

    assert _status(rig, "/", body, signed_body=body, minutes=14) == 200
    assert _status(rig, "/", body, signed_body=body, minutes=16) == 403
    assert _status(rig, "/", body, signed_body=body, minutes=-16) == 403


def test_an_unsigned_request_is_refused(rig: Rig) -> None:
    """Nobody in particular may do nothing."""
    request = urllib.request.Request(f"{rig.sandbox.endpoint}/bucket1")  # noqa: S310 - loopback

    with pytest.raises(urllib.error.HTTPError) as refusal, urllib.request.urlopen(request):  # noqa: S310 - loopback
        pass
    assert refusal.value.code == 403
    refusal.value.close()


def test_a_presigned_url_of_s3_opens_one_object(rig: Rig) -> None:
    """Signed in the query, for a time; names that need encoding included."""
    s3 = once(rig, "s3", signature_version="s3v4")
    s3.create_bucket(Bucket="bucket1", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="bucket1", Key="a b/ü+%", Body=b"kept", Metadata={"own_key": "v"})
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "bucket1", "Key": "a b/ü+%"})

    with urllib.request.urlopen(url) as answer:  # noqa: S310 - loopback
        assert answer.read() == b"kept"
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(url.replace("a%20b", "another"))  # noqa: S310 - loopback
    refusal.value.close()


def _status(rig: Rig, path: str, body: bytes | None, *, signed_body: bytes, minutes: int = 0) -> int:
    """Sign one request to IAM, as of some minutes ago, send another; return the status."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    kind = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    request = AWSRequest("POST", f"{rig.sandbox.endpoint}/", headers=kind, data=signed_body)
    at = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=minutes)
    request.context["timestamp"] = at.strftime("%Y%m%dT%H%M%SZ")
    signer = SigV4Auth(Credentials("AKIAADMINADMINADMIN0", "admin"), "iam", "us-east-1")
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signed = signer.signed_headers(signer.headers_to_sign(request))
    request.headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, SignedHeaders={signed}, "
        f"Signature={signer.signature(text, request)}"
    )
    sent = urllib.request.Request(  # noqa: S310 - loopback
        f"{rig.sandbox.endpoint}{path}", data=body or signed_body, headers=dict(request.headers.items())
    )
    try:
        with urllib.request.urlopen(sent) as answer:  # noqa: S310 - loopback
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
