"""One S3 bucket with Object Lock as a write-once store: evidence, and the second copy of the journal.

What is written is locked in compliance mode: nobody, the root user included, can change or shorten that
(S3 User Guide, "Object Lock", retention modes). The lock protects *versions*: another version or a delete
marker on top of one stays possible. So the newest is never trusted: versions are listed, and the one that
was stored first counts.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from breakglass.clock import Clock
from breakglass.errors import Denied, Gone, InDoubt, ProviderError, Transient
from breakglass_aws.refusals import code_of, translate

CallS3 = Callable[..., Mapping[str, Any]]
"""(operation, **params) -> the answer, or an error in the engine's words."""
COMPLIANCE = "COMPLIANCE"
DEFAULT_DAYS = 30
MAX_BYTES = 5 * 1024**3
"""The largest object that one PutObject takes (S3 User Guide, "Uploading objects")."""
_EXISTS = frozenset({"PreconditionFailed", "412"})
_RACE = frozenset({"ConditionalRequestConflict", "409", "OperationAborted"})
_NO_LOCK = frozenset({"ObjectLockConfigurationNotFoundError", "ObjectLockConfigurationNotFound"})
_TRIES = 4
_RACE_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of an object, as the service itself tells it."""

    name: str
    version_id: str
    sha256: str
    """Empty: the service holds no SHA-256 of it."""
    mode: str
    retain_until: datetime | None
    hidden: bool = False
    """A delete marker or another version lies on top of it."""

    def locked(self, now: datetime) -> bool:
        """Return whether nobody can remove it now."""
        return self.mode == COMPLIANCE and self.retain_until is not None and self.retain_until > now


@dataclass(frozen=True, slots=True)
class BucketFacts:
    """What `check` found."""

    owner: str
    default_mode: str
    default_days: int
    """0: no default retention; what is written by others stays removable."""


class Taken(ProviderError):
    """The name holds other bytes already."""


class Bucket:
    """One bucket, perhaps of another account, always addressed with the owner that it must have."""

    def __init__(self, call: CallS3, name: str, *, owner: str, days: int, clock: Clock) -> None:
        """Make no call yet; `owner` is the account that must own it."""
        self.name = name
        self._call = call
        self._owner = owner
        self._days = days
        self._clock = clock

    def check(self) -> BucketFacts:
        """Look whether it is a store that nobody can clean up.

        Raises:
            Denied: it has no versioning or no Object Lock, is not there, or belongs to somebody else.
            ProviderError: it cannot be asked.
        """
        try:
            versioning = self._s3("get_bucket_versioning").get("Status")
        except Gone as error:
            raise Denied(f"there is no bucket {self.name}", where=self._where()) from error
        try:
            lock = self._s3("get_object_lock_configuration").get("ObjectLockConfiguration") or {}
        except ProviderError as error:
            if code_of(error) not in _NO_LOCK:
                raise
            lock = {}
        if versioning != "Enabled" or lock.get("ObjectLockEnabled") != "Enabled":
            raise Denied(
                "has no Object Lock: what is written there can be removed by whoever may delete",
                where=self._where(),
                remedy="name a bucket that has Object Lock and versioning enabled",
            )
        default = lock.get("Rule", {}).get("DefaultRetention", {})
        days = int(default.get("Days") or 0) + 365 * int(default.get("Years") or 0)
        return BucketFacts(self._owner, str(default.get("Mode") or ""), days)

    def create(self, name: str, data: bytes) -> Stored | None:
        """Write it if no version of that name exists; None: somebody was first.

        A lost answer is resolved by reading the version that was stored first: the same bytes are ours.

        Raises:
            ProviderError: whether it exists is not known, or it is there without its lock.
        """
        made = self._try(name, data)
        first = self.first(name)
        if first is None:
            made = self._try(name, data)
            first = self.first(name)
        if first is None:
            raise InDoubt("was written and is not there", where=self._where(name))
        if first.version_id != made and first.sha256 != _digest(data):
            # Also where ours was written: a delete marker hides the first from the condition (S3 User
            # Guide, "conditional writes": only the current version is looked at).
            return None
        return self._sure(first)

    def put(self, name: str, data: bytes) -> Stored:
        """Write it once; the same bytes again are fine.

        Raises:
            Taken: the name holds other bytes.
            ProviderError: it is not known to be there with its lock.
        """
        stored = self.create(name, data)
        if stored is None:
            raise Taken("holds other bytes already: nothing is ever written twice", where=self._where(name))
        return stored

    def read(self, name: str) -> bytes | None:
        """Return the version that was stored first; None: there is none.

        Raises:
            ProviderError: it cannot be read, or is not what the service's own checksum says.
        """
        first = self.first(name)
        if first is None:
            return None
        answer = self._s3("get_object", Key=name, VersionId=first.version_id, ChecksumMode="ENABLED")
        data = self._body(answer, name)
        if first.sha256 and _digest(data) != first.sha256:
            raise ProviderError("does not match its own SHA-256", where=self._where(name))
        return data

    def first(self, name: str) -> Stored | None:
        """Return the version that was stored first, whatever lies on top of it; None: there is none.

        S3 lists the versions of a key in the order in which they were stored, the newest first
        (API reference, ListObjectVersions; User Guide, "Listing objects in a versioning-enabled bucket").
        """
        last: Mapping[str, Any] | None = None
        latest = False
        marks: dict[str, Any] = {}
        while True:
            page = self._s3("list_object_versions", Prefix=name, **marks)
            for one in page.get("Versions") or ():
                if one["Key"] == name:
                    last, latest = one, bool(one.get("IsLatest"))
            if not page.get("IsTruncated") or page.get("NextKeyMarker", name) > name:
                break
            marks = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
        return None if last is None else self._head(name, str(last["VersionId"]), hidden=not latest)

    def _body(self, answer: Mapping[str, Any], name: str) -> bytes:
        from botocore.exceptions import BotoCoreError

        try:
            return cast("bytes", answer["Body"].read())
        except BotoCoreError as error:
            raise translate(error, "GetObject", self._where(name)) from error

    def _head(self, name: str, version_id: str, *, hidden: bool) -> Stored:
        answer = self._s3("head_object", Key=name, VersionId=version_id, ChecksumMode="ENABLED")
        checksum = answer.get("ChecksumSHA256")
        return Stored(
            name=name,
            version_id=version_id,
            sha256=base64.b64decode(checksum).hex() if checksum else "",
            mode=str(answer.get("ObjectLockMode") or ""),
            retain_until=answer.get("ObjectLockRetainUntilDate"),
            hidden=hidden,
        )

    def _try(self, name: str, data: bytes) -> str:
        """Write it where nothing is; return the version made, empty where something was there or in doubt."""
        if len(data) > MAX_BYTES:
            raise ProviderError(
                f"{len(data)} bytes are more than one PutObject takes", where=self._where(name)
            )
        until = self._now().replace(microsecond=0) + timedelta(days=self._days, seconds=1)
        checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
        for n in range(_TRIES):
            try:
                answer = self._s3(
                    "put_object",
                    Key=name,
                    Body=data,
                    IfNoneMatch="*",
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=checksum,
                    ObjectLockMode=COMPLIANCE,
                    ObjectLockRetainUntilDate=until,
                )
                return str(answer.get("VersionId") or "")  # none: it was not stored, whatever was answered
            except ProviderError as error:
                if code_of(error) in _EXISTS:
                    return ""
                if not (isinstance(error, InDoubt | Transient) or code_of(error) in _RACE):
                    raise
                if self._is_there(name):
                    return ""
                if n == _TRIES - 1:
                    raise
            self._clock.sleep(_RACE_PAUSE_S * 2**n)
        raise InDoubt("was not written", where=self._where(name))

    def _is_there(self, name: str) -> bool:
        try:
            return self.first(name) is not None
        except Transient:
            return False

    def _sure(self, stored: Stored) -> Stored:
        """Return it, since nobody can remove it; raises ProviderError otherwise."""
        if not stored.locked(self._now()):
            raise ProviderError("is there without a compliance lock", where=self._where(stored.name))
        return stored

    def _s3(self, operation: str, /, **params: Any) -> Mapping[str, Any]:  # noqa: ANN401 - its own
        return self._call(operation, Bucket=self.name, ExpectedBucketOwner=self._owner, **params)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now().epoch_ms / 1000, UTC)

    def _where(self, name: str = "") -> str:
        return f"s3://{self.name}/{name}".rstrip("/")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
