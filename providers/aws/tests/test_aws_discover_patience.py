"""A discovery goes on where a service asks for patience, from the page where it stood, and not for ever."""

from __future__ import annotations

import re

import pytest

from breakglass.clock import SystemClock
from breakglass.errors import Throttled
from breakglass.testing.virtual import VirtualClock
from breakglass_aws.discover import PATIENCE_S
from breakglass_aws.discover.made import SCAN_S
from breakglass_aws.patience import Patience
from breakglass_aws.sandbox.process import REGION
from providers.aws.tests.rig_aws import EXECUTOR, Rig
from providers.aws.tests.test_aws_discover import share_role


def _throttle(rig: Rig, service: str, operation: str, times: int | None) -> None:
    """Refuse so many calls; None: all."""
    order = {"service": service, "operation": operation, "answer": "throttle", "times": times}
    rig.sandbox.control("faults", {"faults": [order]})


def _asked(rig: Rig, operation: str) -> list[str]:
    """Return the code of every call of an operation; empty where it was answered."""
    return [str(one["code"]) for one in rig.sandbox.control("calls") if one["operation"] == operation]


def test_a_listing_that_is_throttled_for_a_while_is_read_to_its_end(rig: Rig) -> None:
    """More often than the SDK itself tries again: the plan is complete, and names who shares the role."""
    share_role(rig)
    provider = rig.provider(roles=["shared"], functions=["mine"])
    _throttle(rig, "lambda", "ListFunctions", 7)

    found = provider.discover()

    assert [code for code in _asked(rig, "ListFunctions") if code] == ["TooManyRequestsException"] * 7
    assert found.incomplete == ()
    assert "function billing" in str(found.not_touched)


def test_a_single_call_that_is_throttled_for_a_while_is_made_again(rig: Rig) -> None:
    """Not only listings are refused."""
    share_role(rig)
    provider = rig.provider(roles=["shared"], functions=["mine"])
    _throttle(rig, "lambda", "GetFunctionConfiguration", 5)

    assert provider.discover().incomplete == ()
    assert _asked(rig, "GetFunctionConfiguration").count("TooManyRequestsException") == 5


def test_a_listing_goes_on_from_the_page_where_it_was_throttled(rig: Rig) -> None:
    """A page of S3's has two kinds of items: none of either is lost, none comes twice."""
    rig.secrets.keep(EXECUTOR, {"AccessKeyId": "AKIAADMINADMINADMIN0", "SecretAccessKey": "admin"})
    s3 = rig.boto("s3")
    s3.create_bucket(Bucket="acme", CreateBucketConfiguration={"LocationConstraint": REGION})
    for n in range(4):
        s3.put_object(Bucket="acme", Key=f"folder-{n}/file", Body=b"")
        s3.put_object(Bucket="acme", Key=f"object-{n}", Body=b"")
    account = rig.provider()._account  # noqa: SLF001 - what discovery works with
    pages = account.patient(Patience.lasting(SystemClock(), 60)).each_page(
        "s3", "list_objects_v2", Bucket="acme", Delimiter="/", PaginationConfig={"PageSize": 3}
    )
    read = [next(pages)]
    asked = len(_asked(rig, "ListObjectsV2"))

    _throttle(rig, "s3", "ListObjectsV2", 5)
    read += pages

    codes = _asked(rig, "ListObjectsV2")[asked:]
    assert [bool(code) for code in codes] == [True] * 5 + [False] * 2
    found = [one["Prefix"] for page in read for one in page.get("CommonPrefixes") or ()]
    assert found == [f"folder-{n}/" for n in range(4)]
    found = [one["Key"] for page in read for one in page.get("Contents") or ()]
    assert found == [f"object-{n}" for n in range(4)]


def test_a_listing_that_is_throttled_for_ever_is_incomplete_in_bounded_time(rig: Rig) -> None:
    """The plan says what was refused, and for how long; all that comes after it is not waited for as well."""
    share_role(rig)
    rig.clock = VirtualClock(SystemClock().now())
    provider = rig.provider(roles=["shared"], functions=["mine"])
    _throttle(rig, "lambda", "*", None)

    found = provider.discover()

    assert [line for line in found.incomplete if re.search(r"functions throttles .* for \d+ s", line)]
    assert [line for line in found.incomplete if "lambda:ListEventSourceMappings  throttles" in line]
    assert PATIENCE_S <= rig.clock.monotonic_s() < 2 * PATIENCE_S
    assert [one for one in found.proposals if one.action == "aws.iam.deny_role"]


def test_a_history_that_is_throttled_too_does_not_add_its_own_time(rig: Rig) -> None:
    """The look after the stop has 25 s: who uses up every quota must not make it miss everything."""
    rig.clock = VirtualClock(SystemClock().now())
    provider = rig.provider(roles=["shared"], functions=["mine"])
    faults = [
        {"service": one, "operation": "*", "answer": "throttle", "times": None}
        for one in ("iam", "lambda", "cloudtrail")
    ]
    rig.sandbox.control("faults", {"faults": faults})

    found = provider.discover()

    assert [line for line in found.incomplete if line.startswith("CloudTrail in")]
    assert rig.clock.monotonic_s() < SCAN_S + 2


def test_nobody_waits_who_was_not_told_how_long(rig: Rig) -> None:
    """A step's calls are tried again by the engine: the provider does not wait beside it."""
    account = rig.provider()._account  # noqa: SLF001 - what discovery works with
    _throttle(rig, "lambda", "ListFunctions", None)

    with pytest.raises(Throttled):
        list(account.pages("lambda", "list_functions", "Functions"))
    assert len(_asked(rig, "ListFunctions")) == 2
