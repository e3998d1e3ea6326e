"""A mirror in S3: claims of plans by conditional create, journals as write-once objects.

A claim is ``claims/<plan sha256>``. Its text is signed and names incident, executor and state folder, so that
after a lost answer we know whether it was ours.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from breakglass.canon import Json
from breakglass.clock import Clock
from breakglass.errors import ProviderError, UsageError
from breakglass.provider import Credentials, Mirror, Setting, SettingType
from breakglass_aws.bucket import DEFAULT_DAYS, Bucket
from breakglass_aws.executor import Executor
from breakglass_aws.refusals import CredentialsExpired, translate
from breakglass_aws.settings import AwsSettings, complaints

_TEXT = SettingType.TEXT
MIRROR_SETTINGS = (
    Setting("account", _TEXT, "the executor's account, 12 digits", required=True),
    Setting("region", _TEXT, "the bucket's region", required=True),
    Setting("bucket", _TEXT, "a bucket with Object Lock, best in an account of its own", required=True),
    Setting("owner", _TEXT, "the account that owns the bucket, where it is another one"),
    Setting("prefix", _TEXT, "what all names begin with; nothing without it"),
    Setting("days", _TEXT, f"days of compliance retention; {DEFAULT_DAYS} without it"),
    Setting("as", _TEXT, "ARN of the executor's role"),
    Setting("external_id", _TEXT, "the external id that this role asks for"),
    Setting("profile", _TEXT, "the executor's profile in the AWS configuration"),
    Setting("credential", _TEXT, "name of a secret of the executor's, in place of a profile"),
    Setting("endpoint", _TEXT, "a sandbox on loopback; in a drill only"),
)
PERMISSIONS = (
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketVersioning",
    "s3:GetObjectRetention",
    "s3:GetObjectVersion",
    "s3:ListBucketVersions",
    "s3:PutObject",
    "s3:PutObjectRetention",
)
"""The least that a writer needs: nothing that deletes, and compliance retention can only be made longer."""
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_PART = re.compile(r"(?!\.{1,2}(/|$))[A-Za-z0-9._@:+=,%~-]{1,200}", re.ASCII)
_LONGEST = 1000
"""A key has at most 1,024 bytes (S3 User Guide, "Naming objects")."""


@dataclass(frozen=True, slots=True)
class _Caller:
    """What the executor of a mirror needs."""

    credentials: Credentials
    clock: Clock
    incident: str = "mirror"


class S3Mirror:
    """One bucket, under one prefix."""

    def __init__(self, settings: AwsSettings, credentials: Credentials, clock: Clock) -> None:
        """Import the SDK, which belongs on the main thread (DESIGN 10), and make no call.

        A store that hangs must not hold a stop up before anybody has signed it: keys, client and the look
        at the bucket come with the first use, in the thread of whoever waits no longer than he wants to.
        """
        import botocore.config
        import botocore.session  # noqa: F401 - imported here, used in another thread

        self._settings = settings
        self._caller = _Caller(credentials, clock)
        self._gate = threading.Lock()
        self._made: tuple[Executor, Any] | None = None
        self._checked = False
        self._prefix = f"{settings.text('prefix').strip('/')}/".lstrip("/")
        self.bucket = Bucket(
            self._call,
            settings.text("bucket"),
            owner=settings.text("owner") or settings.account,
            days=int(settings.text("days") or DEFAULT_DAYS),
            clock=clock,
        )

    @property
    def name(self) -> str:
        """Return what messages call it."""
        return f"s3 bucket {self.bucket.name}{f'/{self._prefix}'.rstrip('/')}"

    def claim(self, name: str, data: bytes) -> bool:
        """Create it if it does not exist: True, it is ours now; False, somebody was first.

        Raises:
            Denied: the bucket has no Object Lock, or there are no keys.
            ProviderError: whether it exists is not known.
        """
        self._check()
        return self.bucket.create(self._key(name), data) is not None

    def read(self, name: str) -> bytes | None:
        """Return the first version ever written; None: there is none. Raises ProviderError."""
        return self.bucket.read(self._key(name))

    def put(self, name: str, data: bytes) -> None:
        """Write it once, durably; the same bytes again are fine.

        Raises:
            Denied: the bucket has no Object Lock, or there are no keys.
            ProviderError: it is not known to be there with its lock, or other bytes are.
        """
        self._check()
        self.bucket.put(self._key(name), data)

    def close(self) -> None:
        """Let go of connections."""
        if self._made is not None:
            self._made[1].close()

    def _check(self) -> None:
        """Look once that nobody can clean the bucket up; again, as long as that is not known."""
        if not self._checked:
            self.bucket.check()
            self._checked = True

    def _connected(self) -> tuple[Executor, Any]:
        """Find the keys and make the client, once. Raises ProviderError: there are none."""
        with self._gate:
            if self._made is None:
                executor = Executor(self._settings, self._caller)
                self._made = (executor, executor.client("s3", self._settings.region))
            return self._made

    def _key(self, name: str) -> str:
        parts = name.split("/")
        if any(_PART.fullmatch(part) is None for part in parts) or len(self._prefix + name) > _LONGEST:
            raise ProviderError(f"nothing can be named {name[:200]!r}", where=self.name)
        return self._prefix + name

    def _call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:  # noqa: ANN401 - its own
        from botocore.exceptions import BotoCoreError, ClientError

        executor, client = self._connected()
        api = str(client.meta.method_to_api_mapping[operation])
        try:
            answer: Mapping[str, Any] = getattr(client, operation)(**params)
        except (BotoCoreError, ClientError) as error:
            ours = translate(error, api, f"s3://{params['Bucket']}/{params.get('Key', '')}".rstrip("/"))
            if isinstance(ours, CredentialsExpired):
                executor.renew()
            raise ours from error
        return answer


def open_mirror(
    settings: Mapping[str, Json], credentials: Credentials, clock: Clock, *, drill: bool
) -> Mirror:
    """Make ready to write to the bucket as the executor. Raises UsageError: the entry is wrong."""
    if wrong := mirror_complaints(settings, drill=drill):
        raise UsageError(wrong[0], where="mirror")
    return S3Mirror(AwsSettings.of(settings), credentials, clock)


def mirror_complaints(settings: Mapping[str, Json], *, drill: bool) -> Sequence[str]:
    """Return everything that is wrong with a mirror's entry, each in words."""
    entry = AwsSettings.of(settings)
    known = {setting.name for setting in MIRROR_SETTINGS} | {"provider"}
    found = [f"{key} is no key of an AWS mirror" for key in settings if key not in known]
    found += [
        f"{key} is not a text"
        for key, value in settings.items()
        if key in known and not isinstance(value, str)
    ]
    found += complaints({key: value for key, value in settings.items() if key != "provider"})
    if _BUCKET.fullmatch(entry.text("bucket")) is None:
        found.append("bucket is not the name of a bucket")
    if (owner := entry.text("owner")) and _ACCOUNT.fullmatch(owner) is None:
        found.append("owner is not 12 digits")
    days = entry.text("days")
    if days and not (days.isascii() and days.isdecimal() and 1 <= int(days) <= 36_500):  # noqa: PLR2004 - S3's own limit
        found.append("days is not a whole number of days")
    prefix = entry.text("prefix").strip("/")
    if prefix and any(_PART.fullmatch(part) is None for part in prefix.split("/")):
        found.append("prefix has characters that do not belong in a name")
    if entry.text("endpoint") and not drill:
        found.append("endpoint is for a drill only")
    return found
