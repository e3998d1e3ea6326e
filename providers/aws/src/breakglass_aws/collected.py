"""Remembers what a run has collected as evidence, here and in the bucket, and tells complete from partial."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from breakglass.canon import Json
from breakglass.errors import Denied, ProviderError
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Reversal
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
_SHOWN = 10


@dataclass(slots=True)
class _One:
    items: dict[str, dict[str, Json]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=lambda: ["the collection did not end"])
    partial: str = ""
    ended: bool = False


class Collected:
    """What one action collected in this run, by target; a run that resumes collects again."""

    def __init__(self, account: Account) -> None:
        """Write to this account's incident, and to its evidence bucket where one is set."""
        self._account = account
        self._bucket = evidence_bucket(account)
        self._found: dict[str, _One] = {}
        self._gate = threading.Lock()

    def put(self, resource: Resource, name: str, source: str, data: bytes) -> None:
        """Write an item here, then its same bytes to the bucket, unless this run has written it.

        Raises:
            ProviderError: the disk or the bucket refused; what is here stays here.
        """
        with self._gate:
            one = self._found.setdefault(resource.id, _One())
        facts = one.items.get(name)
        if facts is None:
            item = self._account.connection.evidence.put(name, source, (data,))
            facts = {"path": item.path, "sha256": item.sha256, "size": item.size, "source": source}
            one.items[name] = facts
        if self._bucket is not None and "bucket" not in facts:
            name_there = f"{self._account.connection.incident}/{facts['path']}"
            facts["bucket"] = self._copy(self._bucket, name_there, data)

    def ended(self, resource: Resource) -> bool:
        """Return whether this run has collected already.

        Raises:
            Denied: something was left out then; trying again would leave out the same.
        """
        one = self._found.get(resource.id)
        return one is not None and one.ended and self._said(one)

    def end(self, resource: Resource, left_out: Sequence[str], partial_words: str) -> None:
        """Say what had to be left out, and what its bounds did not reach.

        Raises:
            Denied: something was left out; trying again would leave out the same.
        """
        with self._gate:
            one = self._found.setdefault(resource.id, _One())
        one.left_out, one.partial, one.ended = [*left_out], partial_words, True
        self._said(one)

    def state(self, resource: Resource) -> State:
        """Return what this run has collected so far."""
        one = self._found.get(resource.id)
        if one is None:
            return State({"collection": {"ended": False}})
        collection: dict[str, Json] = {"ended": one.ended, "partial": one.partial}
        objects: dict[str, Json] = {**one.items, "collection": collection}
        return State(objects, complete=not one.left_out, note="; ".join(one.left_out[:_SHOWN]))

    def _said(self, one: _One) -> bool:
        if one.left_out:
            raise Denied(f"left out: {'; '.join(one.left_out[:5])}"[:500])
        return True

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
    collection = state.objects.get("collection")
    if not isinstance(collection, Mapping) or not collection.get("ended"):
        return Judgement(Verdict.UNKNOWN, "not collected yet", Grade.NONE)
    if not state.complete:
        return Judgement(Verdict.UNKNOWN, f"left out: {state.note}", Grade.NONE)
    items = [one for one in state.objects.values() if isinstance(one, Mapping) and "sha256" in one]
    size = sum(int(str(one["size"])) for one in items)
    words = f"{len(items)} pieces of evidence, {size} bytes, with digests"
    if any("bucket" in one for one in items):
        words += ", here and locked in the bucket"
    missed = collection.get("partial")
    return Judgement(Verdict.CONTAINED, f"{words}; partial: {missed}" if missed else words)


def nothing_to_revert(before: State) -> Reversal:
    """Say that reading changed nothing."""
    return Reversal(dict.fromkeys(before.objects, Outcome.ALREADY), "nothing was changed; the evidence stays")


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
