"""Keeps evidence here and in the bucket, and says where it lies."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial

from breakglass.canon import Json
from breakglass.errors import ProviderError
from breakglass.model.action import Judgement
from breakglass.model.resource import Resource, State
from breakglass.provider import collected
from breakglass_aws.account import Account
from breakglass_aws.bucket import DEFAULT_DAYS, Bucket, Stored, Taken

BUCKET_PERMISSIONS = (
    "s3:GetObjectRetention",
    "s3:GetObjectVersion",
    "s3:ListBucketVersions",
    "s3:PutObject",
    "s3:PutObjectRetention",
)
"""What a put into the evidence bucket needs."""


class Collected:
    """What one action collected in this run, by target, here and in the bucket where one is set."""

    def __init__(self, account: Account) -> None:
        """Write to this account's incident, and to its evidence bucket where one is set."""
        self._account = account
        self._bucket = evidence_bucket(account)
        self._here = collected.Collected(account.connection.evidence)
        self.ended = self._here.ended
        self.state = self._here.state

    def put(self, resource: Resource, name: str, source: str, data: bytes) -> None:
        """Write an item here, then its same bytes to the bucket, unless this run has written it.

        Raises:
            ProviderError: the disk or the bucket refused; what is here stays here.
        """
        facts = self._here.put(resource, name, source, (data,))
        if self._bucket is not None and "bucket" not in facts:
            name_there = f"{self._account.connection.incident}/{facts['path']}"
            facts["bucket"] = self._copy(self._bucket, name_there, data)

    def end(self, resource: Resource, left_out: Sequence[str], partial_words: str) -> None:
        """Say what had to be left out, and what its bounds did not reach.

        Raises:
            Denied: something was left out; trying again would leave out the same.
        """
        self._here.end(resource, left_out, [partial_words] if partial_words else [])

    def _copy(self, bucket: Bucket, name: str, data: bytes) -> Json:
        try:
            stored = bucket.put(name, data)
        except Taken:
            # Another executor collected under the same name: both stay.
            stored = bucket.put(f"{name}.{_digest(data)[:16]}", data)
        return _facts(bucket, stored)


def evidence_bucket(account: Account) -> Bucket | None:
    """Return the bucket that evidence goes to; None where the inventory names none."""
    settings = account.settings
    if not settings.text("evidence_bucket"):
        return None
    return Bucket(
        partial(account.call, "s3"),
        settings.text("evidence_bucket"),
        owner=settings.text("evidence_owner") or account.id,
        days=int(settings.text("evidence_days") or DEFAULT_DAYS),
        clock=account.connection.clock,
    )


def bucket_complaints(account: Account) -> tuple[str, ...]:
    """Return why the evidence bucket is none, for a plan; empty where it is good or none is set."""
    bucket = evidence_bucket(account)
    if bucket is None:
        return ()
    try:
        bucket.check()
    except ProviderError as error:
        return (str(error)[:500],)
    return ()


def judged(state: State) -> Judgement:
    """Contained: everything that the step names was collected, and lies where it should."""
    items = [one for one in state.objects.values() if isinstance(one, Mapping)]
    locked = any("bucket" in one for one in items)
    return collected.judged(state, kept=", here and locked in the bucket" if locked else "")


def _facts(bucket: Bucket, stored: Stored) -> Json:
    return {
        "name": bucket.name,
        "key": stored.name,
        "version_id": stored.version_id,
        "sha256": stored.sha256,
        "mode": stored.mode,
        "retain_until": stored.retain_until.isoformat() if stored.retain_until else "",
    }


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
