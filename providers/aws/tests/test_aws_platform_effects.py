"""What the sandbox says that the agent did, and what S3 and KMS refuse."""

from __future__ import annotations

import base64
import hashlib

from providers.aws.tests.rig_aws import Rig
from providers.aws.tests.rig_platform import behave, code, count, deny, document, function, role

AGENT = "arn:aws:iam::123456789012:user/rogue"


def _user(rig: Rig) -> dict[str, str]:
    iam = rig.boto("iam")
    iam.create_user(UserName="rogue")
    allow = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
    iam.put_user_policy(UserName="rogue", PolicyName="may", PolicyDocument=document(allow))
    return dict(iam.create_access_key(UserName="rogue")["AccessKey"])


def test_allowed_calls_of_the_agents_keys_count_and_others_do_not(rig: Rig) -> None:
    """Neither denied calls, nor the executor's, nor a question who one is."""
    keys = _user(rig)
    rig.sandbox.control("platform", {"agent_principals": [AGENT]})
    agent = rig.boto("s3", keys)

    agent.list_buckets()
    rig.boto("s3").list_buckets()
    rig.boto("sts", keys).get_caller_identity()
    assert code(lambda: rig.boto("iam", keys).list_users()) == "AccessDenied"

    [effect] = rig.sandbox.control("effects")
    calls = [one for one in rig.sandbox.control("calls") if one["principal"] == AGENT and one["allowed"]]
    listed = next(one for one in calls if one["operation"] == "ListBuckets")
    assert (effect["channel"], effect["count"]) == ("key/rogue", 1)
    assert effect["last_monotonic_us"] == listed["monotonic_us"]


def test_a_session_of_the_agents_role_is_a_channel(rig: Rig) -> None:
    """Whoever holds it."""
    role(rig, "worker", "lambda.amazonaws.com", "s3:ListAllMyBuckets")
    prefix = "arn:aws:sts::123456789012:assumed-role/worker/"
    rig.sandbox.control("platform", {"agent_principals": [prefix]})

    keys = rig.sandbox.control("mint", {"role": "worker", "session": "stolen"})
    rig.boto("s3", keys).list_buckets()

    assert count(rig, "session/worker/stolen") == 1


def test_what_a_denied_role_tries_is_no_effect(rig: Rig) -> None:
    """It is recorded, not counted."""
    function(rig, "worker", role(rig, "worker", "lambda.amazonaws.com", "s3:ListAllMyBuckets"))
    behave(rig, "function/worker")
    deny(rig, "worker")

    rig.boto("lambda").invoke(FunctionName="worker")

    tried = [one for one in rig.sandbox.control("calls") if one["operation"] == "ListBuckets"]
    assert ([one["allowed"] for one in tried], count(rig, "function/worker")) == ([False], 0)


def test_a_reset_forgets_behaviours_sessions_and_flows(rig: Rig) -> None:
    """Nothing of one test acts in the next."""
    role(rig, "worker", "lambda.amazonaws.com", "s3:ListAllMyBuckets")
    behave(rig, "function/worker")

    rig.sandbox.control("reset")
    function(rig, "worker", role(rig, "worker", "lambda.amazonaws.com", "s3:ListAllMyBuckets"))
    rig.boto("lambda").invoke(FunctionName="worker")

    assert rig.sandbox.control("effects") == []


def test_a_role_whose_trust_is_denied_gets_no_new_session(rig: Rig) -> None:
    """The function is invoked and can call nothing."""
    function(rig, "worker", role(rig, "worker", "lambda.amazonaws.com", "s3:ListAllMyBuckets"))
    behave(rig, "function/worker")
    shut = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    rig.boto("iam").update_assume_role_policy(RoleName="worker", PolicyDocument=document(shut))

    rig.boto("lambda").invoke(FunctionName="worker")

    assert count(rig, "function/worker") == 0


def test_a_body_that_is_not_what_its_digest_says_is_refused(rig: Rig) -> None:
    """By Content-MD5 and by checksum."""
    s3 = rig.boto("s3")
    s3.create_bucket(Bucket="evidence", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()  # noqa: S324 - S3's own header
    other = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    named = {"Bucket": "evidence", "Key": "a", "Body": b"this"}

    assert code(lambda: s3.put_object(**named, ContentMD5=wrong)) == "BadDigest"
    assert code(lambda: s3.put_object(**named, ContentMD5="nonsense")) == "InvalidDigest"
    assert code(lambda: s3.put_object(**named, ChecksumSHA256=other)) == "BadDigest"
    s3.put_object(**named, ChecksumAlgorithm="SHA256")


def test_a_disabled_key_decrypts_nothing(rig: Rig) -> None:
    """Nor does it encrypt; enabled again, both work."""
    kms = rig.boto("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]

    kms.disable_key(KeyId=key)

    assert code(lambda: kms.decrypt(CiphertextBlob=blob)) == "DisabledException"
    assert code(lambda: kms.encrypt(KeyId=key, Plaintext=b"x")) == "DisabledException"
    kms.enable_key(KeyId=key)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"secret"
