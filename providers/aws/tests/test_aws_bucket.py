"""A bucket with Object Lock as a store that is written once and that nobody cleans up."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from breakglass.clock import SystemClock
from breakglass.errors import Denied, ProviderError
from breakglass_aws.bucket import Bucket, Taken
from breakglass_aws.mirror import S3Mirror
from breakglass_aws.sandbox.process import ACCOUNT, REGION
from breakglass_aws.settings import AwsSettings
from providers.aws.tests.rig_aws import EXECUTOR, Rig

NAME = "acme-evidence"


def make_bucket(rig: Rig, *, lock: bool = True) -> None:
    """Make one, as the account's administrator."""
    rig.boto("s3").create_bucket(
        Bucket=NAME,
        ObjectLockEnabledForBucket=lock,
        CreateBucketConfiguration={"LocationConstraint": REGION},
    )


def store(rig: Rig, *, owner: str = ACCOUNT, days: int = 30) -> Bucket:
    """Return the store on that bucket, as the executor."""
    entry = {
        "account": ACCOUNT,
        "region": REGION,
        "bucket": NAME,
        "owner": owner,
        "days": str(days),
        "endpoint": rig.sandbox.endpoint,
        "credential": EXECUTOR,
    }
    return S3Mirror(AwsSettings.of(entry), rig.secrets, SystemClock()).bucket


def test_what_is_put_lies_there_with_its_digest_and_a_compliance_lock(rig: Rig) -> None:
    """The lock and the digest are those that the service itself tells."""
    make_bucket(rig)

    stored = store(rig).put("inc-1/trail.json", b"events")

    now = datetime.now(UTC)
    assert stored.sha256 == hashlib.sha256(b"events").hexdigest()
    assert stored.locked(now)
    assert stored.retain_until is not None
    assert timedelta(days=29) < stored.retain_until - now < timedelta(days=31)
    with pytest.raises(Exception, match="AccessDenied"):
        rig.boto("s3").delete_object(Bucket=NAME, Key="inc-1/trail.json", VersionId=stored.version_id)


def test_the_same_bytes_again_are_fine_and_other_bytes_are_refused(rig: Rig) -> None:
    """A second version of anything never appears."""
    make_bucket(rig)
    bucket = store(rig)
    first = bucket.put("a", b"one")

    assert bucket.put("a", b"one").version_id == first.version_id
    with pytest.raises(Taken):
        bucket.put("a", b"two")
    assert bucket.read("a") == b"one"


def test_a_delete_marker_hides_nothing_from_us(rig: Rig) -> None:
    """A delete without a version succeeds; what was stored first is found all the same."""
    make_bucket(rig)
    bucket = store(rig)
    bucket.put("a", b"one")

    rig.boto("s3").delete_object(Bucket=NAME, Key="a")

    first = bucket.first("a")
    assert first is not None
    assert first.hidden
    assert bucket.read("a") == b"one"
    with pytest.raises(Taken):
        bucket.put("a", b"two")


def test_a_version_that_somebody_put_on_top_is_not_believed(rig: Rig) -> None:
    """Whoever may write can add a version, and changes nothing by it."""
    make_bucket(rig)
    bucket = store(rig)
    bucket.put("a", b"one")

    rig.boto("s3").put_object(Bucket=NAME, Key="a", Body=b"forged")

    assert bucket.read("a") == b"one"


def test_a_name_that_begins_like_another_is_another(rig: Rig) -> None:
    """Listing by prefix finds both; each is read for itself."""
    make_bucket(rig)
    bucket = store(rig)
    bucket.put("claims/a.2", b"second")

    assert bucket.read("claims/a") is None
    bucket.put("claims/a", b"first")
    assert bucket.read("claims/a") == b"first"
    assert bucket.read("claims/a.2") == b"second"


def test_an_object_without_a_lock_is_no_evidence(rig: Rig) -> None:
    """The same bytes, written by somebody without a lock, could be removed."""
    make_bucket(rig)
    rig.boto("s3").put_object(Bucket=NAME, Key="a", Body=b"one", ChecksumAlgorithm="SHA256")

    with pytest.raises(ProviderError, match="without a compliance lock"):
        store(rig).put("a", b"one")


def test_a_bucket_without_object_lock_is_refused(rig: Rig) -> None:
    """A store that can be cleaned up is none."""
    make_bucket(rig, lock=False)

    with pytest.raises(Denied, match="no Object Lock"):
        store(rig).check()


def test_a_bucket_that_is_not_there_is_refused(rig: Rig) -> None:
    """Its name is said."""
    with pytest.raises(Denied, match=NAME):
        store(rig).check()


def test_default_retention_and_owner_are_told(rig: Rig) -> None:
    """Whoever reads a report sees how long others' objects stay."""
    make_bucket(rig)
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 7}}
    rig.boto("s3").put_object_lock_configuration(
        Bucket=NAME, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )

    facts = store(rig).check()

    assert (facts.owner, facts.default_mode, facts.default_days) == (ACCOUNT, "COMPLIANCE", 7)


def test_a_bucket_that_somebody_else_owns_is_not_written_to(rig: Rig) -> None:
    """A bucket's name says nothing about whose it is."""
    make_bucket(rig)
    write = partial(store(rig, owner="210987654321").put, "a", b"one")

    with pytest.raises(Denied):
        write()
    assert store(rig).first("a") is None


def test_a_bucket_of_another_account_works(rig: Rig) -> None:
    """The best place for evidence is an account that nobody of this one can touch."""
    make_bucket(rig)
    entry = {
        "account": "210987654321",
        "region": REGION,
        "bucket": NAME,
        "owner": ACCOUNT,
        "endpoint": rig.sandbox.endpoint,
        "credential": EXECUTOR,
    }
    bucket = S3Mirror(AwsSettings.of(entry), rig.secrets, SystemClock()).bucket

    assert bucket.check().owner == ACCOUNT
    assert bucket.put("a", b"one").sha256 == hashlib.sha256(b"one").hexdigest()
