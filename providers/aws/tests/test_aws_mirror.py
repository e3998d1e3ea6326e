"""A mirror in S3: a plan is claimed once, whoever asks and however often."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from secrets import token_hex

import pytest

from breakglass.canon import Json
from breakglass.clock import SystemClock
from breakglass.errors import Denied, ProviderError, UsageError
from breakglass.provider import Mirror
from breakglass_aws.mirror import open_mirror
from breakglass_aws.sandbox.process import ACCOUNT, REGION
from providers.aws.tests.rig_aws import EXECUTOR, Rig

BUCKET = "acme-breakglass"
CLAIM = f"claims/{'5' * 64}"


def make_bucket(rig: Rig, *, lock: bool = True) -> None:
    """Make one, as the account's administrator."""
    where = {"LocationConstraint": REGION}
    rig.boto("s3").create_bucket(
        Bucket=BUCKET, ObjectLockEnabledForBucket=lock, CreateBucketConfiguration=where
    )


def opened(rig: Rig, **more: Json) -> Mirror:
    """Connect as one executor."""
    entry: dict[str, Json] = {
        "provider": "aws",
        "account": ACCOUNT,
        "region": REGION,
        "bucket": BUCKET,
        "endpoint": rig.sandbox.endpoint,
        "credential": EXECUTOR,
        **more,
    }
    return open_mirror(entry, rig.secrets, SystemClock(), drill=True)


def text(executor: str) -> bytes:
    """Return a claim as an executor writes it."""
    return f'{{"incident":"inc-1","executor":"{executor}","random":"{token_hex(16)}"}}'.encode()


def test_the_first_claim_is_ours_and_the_second_is_not(rig: Rig) -> None:
    """Another executor with the same plan learns that it was run."""
    make_bucket(rig)
    mirror = opened(rig)
    mine, other = text("one"), text("two")

    assert mirror.claim(CLAIM, mine)
    assert not opened(rig).claim(CLAIM, other)
    assert mirror.read(CLAIM) == mine


def test_asked_again_our_own_claim_is_ours(rig: Rig) -> None:
    """A run that resumes finds the claim that it made before the crash."""
    make_bucket(rig)
    mine = text("one")

    assert opened(rig).claim(CLAIM, mine)
    assert opened(rig).claim(CLAIM, mine)


def test_of_twenty_at_once_exactly_one_wins(rig: Rig) -> None:
    """Each has its own connection, as on twenty machines."""
    make_bucket(rig)
    mirrors = [opened(rig) for _ in range(20)]
    texts = [text(str(n)) for n in range(20)]

    with ThreadPoolExecutor(20) as pool:
        won = list(pool.map(lambda n: mirrors[n].claim(CLAIM, texts[n]), range(20)))

    assert won.count(True) == 1
    assert mirrors[0].read(CLAIM) == texts[won.index(True)]


def test_two_at_once_again_and_again(rig: Rig) -> None:
    """The race of two, many times over: never both, never none."""
    make_bucket(rig)
    pair = [opened(rig), opened(rig)]
    with ThreadPoolExecutor(2) as pool:
        for n in range(15):
            texts = [text("one"), text("two")]
            claim = partial(_claim, pair, f"{CLAIM}.{n}", texts)
            assert sorted(pool.map(claim, range(2))) == [False, True]


def _claim(mirrors: list[Mirror], name: str, texts: list[bytes], n: int) -> bool:
    return mirrors[n].claim(name, texts[n])


def test_a_claim_below_a_delete_marker_still_counts(rig: Rig) -> None:
    """Whoever may delete hides it from the condition, and not from us."""
    make_bucket(rig)
    first = text("one")
    assert opened(rig).claim(CLAIM, first)
    rig.boto("s3").delete_object(Bucket=BUCKET, Key=CLAIM)

    assert not opened(rig).claim(CLAIM, text("two"))
    assert opened(rig).read(CLAIM) == first


def test_whoever_takes_over_claims_the_next_epoch(rig: Rig) -> None:
    """Each epoch is a claim of its own."""
    make_bucket(rig)
    assert opened(rig).claim(CLAIM, text("one"))

    assert opened(rig).claim(f"{CLAIM}.2", text("two"))
    assert not opened(rig).claim(f"{CLAIM}.2", text("three"))


def test_a_part_of_a_journal_is_written_once(rig: Rig) -> None:
    """The same bytes again are fine; other bytes are said to be other."""
    make_bucket(rig)
    mirror = opened(rig, prefix="org/a")
    mirror.put("journal/inc-1/0-8", b"lines")
    mirror.put("journal/inc-1/0-8", b"lines")

    with pytest.raises(ProviderError, match="other bytes"):
        mirror.put("journal/inc-1/0-8", b"forged")
    assert mirror.read("journal/inc-1/0-8") == b"lines"
    listed = rig.boto("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [one["Key"] for one in listed] == ["org/a/journal/inc-1/0-8"]


def test_what_was_never_written_is_not_there(rig: Rig) -> None:
    """None, and no error."""
    make_bucket(rig)
    assert opened(rig).read(CLAIM) is None


@pytest.mark.parametrize("answer", ["no-effect", "drop", "hang", "error-500", "throttle"])
def test_a_lost_answer_is_resolved_by_reading_back(rig: Rig, answer: str) -> None:
    """Made or not, heard or not: what lies there decides, and the claim is ours once."""
    make_bucket(rig)
    mirror, mine = opened(rig), text("one")
    fault = {"service": "s3", "operation": "PutObject", "answer": answer, "times": 1}
    rig.sandbox.control("faults", {"faults": [fault]})

    assert mirror.claim(CLAIM, mine)
    assert mirror.read(CLAIM) == mine
    assert not opened(rig).claim(CLAIM, text("two"))


def test_a_bucket_without_lock_is_no_mirror(rig: Rig) -> None:
    """Nothing is written there, and the first claim says why."""
    make_bucket(rig, lock=False)
    mirror = opened(rig)
    with pytest.raises(Denied, match="no Object Lock"):
        mirror.claim(CLAIM, text("one"))
    with pytest.raises(Denied, match="no Object Lock"):
        mirror.put("journals/inc-1/0", b"lines")
    assert "Contents" not in rig.boto("s3").list_objects_v2(Bucket=BUCKET)


def test_a_mirror_is_opened_without_a_call(rig: Rig) -> None:
    """One that hangs costs nothing before it is used, on the clock of whoever uses it."""
    before = rig.sandbox.control("calls")
    opened(rig, **{"as": f"arn:aws:iam::{ACCOUNT}:role/other"})
    assert rig.sandbox.control("calls") == before


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"bucket": "No Bucket"}, "bucket"),
        ({"days": "0"}, "days"),
        ({"owner": "acme"}, "owner"),
        ({"prefix": "../x"}, "prefix"),
        ({"colour": "red"}, "colour"),
        ({"endpoint": "http://example.com:80"}, "endpoint"),
    ],
)
def test_a_wrong_entry_is_refused_with_words(rig: Rig, more: dict[str, Json], words: str) -> None:
    """Before any call is made."""
    with pytest.raises(UsageError, match=words):
        opened(rig, **more)


def test_a_sandbox_is_for_a_drill_only(rig: Rig) -> None:
    """A real claim on a sandbox would be a claim on nothing."""
    entry: dict[str, Json] = {"account": ACCOUNT, "region": REGION, "bucket": BUCKET}
    entry["endpoint"] = rig.sandbox.endpoint
    with pytest.raises(UsageError, match="drill"):
        open_mirror(entry, rig.secrets, SystemClock(), drill=False)


def test_a_name_cannot_leave_the_prefix(rig: Rig) -> None:
    """No name of a journal's reaches another's."""
    make_bucket(rig)
    with pytest.raises(ProviderError, match="can be named"):
        opened(rig, prefix="org").put("../claims/x", b"")
