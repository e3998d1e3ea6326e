"""What moto lets pass on buckets: a wrong expected owner, and compliance retention that is cut short.

Sources: S3 User Guide, "Verifying bucket ownership with bucket owner condition" (403 where it is another
account); "Object Lock", compliance mode: "its retention mode can't be changed, and its retention period
can't be shortened".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from breakglass_aws.sandbox.call import Call, Guard, Refusal

_FORBIDDEN = 403
_COMPLIANCE = "COMPLIANCE"


def expected_owner(call: Call) -> None:
    """Refuse a bucket that is not the account's that the caller expects."""
    from moto.s3.models import s3_backends

    expected = call.params.get("ExpectedBucketOwner")
    _, owner = s3_backends.bucket_accounts.get(str(call.params.get("Bucket")), ("", ""))
    if expected and owner and expected != owner:
        raise Refusal("AccessDenied", "Access Denied", _FORBIDDEN)


def retention_grows(call: Call) -> None:
    """Refuse to weaken the compliance retention of a version."""
    from moto.s3.models import s3_backends

    name, key = str(call.params.get("Bucket")), str(call.params.get("Key"))
    if name not in s3_backends.bucket_accounts:
        return
    partition, owner = s3_backends.bucket_accounts[name]
    held = s3_backends[owner][partition].get_object(name, key, version_id=call.params.get("VersionId"))
    if held is None or held.lock_mode != _COMPLIANCE or not held.lock_until:
        return
    wanted = call.params.get("Retention") or {}
    until = wanted.get("RetainUntilDate")
    if (
        wanted.get("Mode") != _COMPLIANCE
        or not isinstance(until, datetime)
        or until < _moment(held.lock_until)
    ):
        raise Refusal("AccessDenied", "Access Denied because object protected by object lock.", _FORBIDDEN)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _guards() -> Mapping[tuple[str, str], tuple[Guard, ...]]:
    from botocore.session import Session

    model = Session().get_service_model("s3")
    guards: dict[tuple[str, str], tuple[Guard, ...]] = {}
    for operation in model.operation_names:
        shape = model.operation_model(operation).input_shape
        if shape is not None and "ExpectedBucketOwner" in shape.members:
            guards["s3", operation] = (expected_owner,)
    guards["s3", "PutObjectRetention"] = (expected_owner, retention_grows)
    return guards


GUARDS = _guards()
