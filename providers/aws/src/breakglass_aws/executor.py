"""The executor's own identity: where its keys come from, its role, and new keys when the old ones expire.

Keys come from a named secret of the executor's, from a profile, or from the SDK's usual chain; never from
the agent. The `as` role is assumed unless the keys are that role's already. Expired in the middle of a
stop, the source is read again: whoever renews it there lets the stop go on.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from breakglass.clock import Clock
from breakglass.errors import Denied, ProviderError
from breakglass.provider import Credentials
from breakglass_aws.refusals import CredentialsExpired, translate
from breakglass_aws.settings import AwsSettings
from breakglass_aws.texts import keep_texts

CONNECT_S = 3.0
READ_S = 8.0
AHEAD_S = 300.0
"""A role's session is renewed so long before it ends."""
RENEWAL_PAUSE_S = 1.0
ROLE_SESSION_S = 3600
"""The longest session that role chaining allows (IAM User Guide, "Role chaining")."""


class Calling(Protocol):
    """What an executor needs of a `Connection`; a mirror has no more than this."""

    @property
    def clock(self) -> Clock:
        """Return the clock."""
        ...

    @property
    def credentials(self) -> Credentials:
        """Return where the executor's own secrets are."""
        ...

    @property
    def incident(self) -> str:
        """Return what its session is named after."""
        ...


@dataclass(frozen=True, slots=True)
class Keys:
    """One set of credentials."""

    access_key_id: str
    secret: str = field(repr=False)
    token: str | None = field(repr=False)
    expires_at_ms: int | None = None

    @classmethod
    def parse(cls, data: bytes, name: str) -> Keys:
        """Read the JSON of a secret: ``{"access_key_id", "secret_access_key", "session_token"?}``.

        Raises:
            Denied: it is not that; its text is never quoted.
        """
        try:
            body = json.loads(data)
            key, secret, token = body["access_key_id"], body["secret_access_key"], body.get("session_token")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            key = secret = token = None
        if not (isinstance(key, str) and isinstance(secret, str) and isinstance(token, str | None)):
            raise Denied(
                "is not JSON with access_key_id, secret_access_key and perhaps session_token",
                where=f"credential {name}",
            )
        return cls(key, secret, token or None)


class Executor:
    """Makes the session that all clients are made from, and keeps its keys alive."""

    def __init__(self, settings: AwsSettings, connection: Calling) -> None:
        """Find the keys; only the main thread may call this (first imports, DESIGN 10).

        Raises:
            Denied: there are none, or the role may not be assumed.
            ProviderError: the role cannot be assumed now.
        """
        self._settings = settings
        self._connection = connection
        self._clock: Clock = connection.clock
        self._gate = threading.Lock()
        self._renewed_s = float("-inf")
        self._told = ""
        self._keys = self._find()
        self.session = self._session(_Renewing(self))

    @property
    def keys(self) -> Keys:
        """Return keys that are good for a while, as far as is known."""
        expires_at_ms = self._keys.expires_at_ms
        if expires_at_ms is not None and expires_at_ms - self._clock.now().epoch_ms < AHEAD_S * 1000:
            self.renew()
        return self._keys

    def renew(self) -> None:
        """Read the source again, at most once a second; the old keys stay where that fails."""
        with self._gate:
            now_s = self._clock.monotonic_s()
            if now_s - self._renewed_s < RENEWAL_PAUSE_S:
                return
            self._renewed_s = now_s
            try:
                self._keys = self._find()
            except ProviderError:
                return

    def expired(self, error: CredentialsExpired) -> CredentialsExpired:
        """Return what to say of keys that have ended: all of it once, a few words after that.

        Every step and every retry meets it; what a person has to do is said anew for other keys alone.
        """
        with self._gate:
            first, self._told = self._told != self._keys.access_key_id, self._keys.access_key_id
        if not first:
            words = "waits for new credentials: the executor's have expired"
            return CredentialsExpired(words, where=error.where)
        name = self._settings.text("credential")
        where = f", as the credential {name}" if name else ""
        return CredentialsExpired(f"{error.what}{where}; the stop goes on with new ones", where=error.where)

    def client(self, service: str, region: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        """Make a client of this session."""
        client = self.session.create_client(
            service,
            region_name=region,
            endpoint_url=self._settings.text("endpoint") or None,
            config=client_config(self._settings),
        )
        if service == "iam":
            keep_texts(client)
        return client

    def _find(self) -> Keys:
        base = self._base()
        role = self._settings.text("as")
        if not role:
            return base
        return self._assume(base, role)

    def _base(self) -> Keys:
        name = self._settings.text("credential")
        if name:
            return Keys.parse(self._connection.credentials.secret(name), name)
        from botocore.exceptions import BotoCoreError

        try:
            found = _plain_session(self._settings.text("profile")).get_credentials()
            frozen = found.get_frozen_credentials() if found is not None else None
        except BotoCoreError as error:
            raise translate(error, "GetCredentials", "the executor's credentials") from error
        if frozen is None or not frozen.access_key or not frozen.secret_key:
            raise Denied(
                "the executor has no AWS credentials",
                where=f"account {self._settings.account}",
                remedy="give its profile or credential in the inventory, or sign on (aws sso login)",
            )
        return Keys(frozen.access_key, frozen.secret_key, frozen.token)

    def _assume(self, base: Keys, role: str) -> Keys:
        """Assume the executor's role; keys that are that role's already are taken as they are."""
        from botocore import credentials as boto
        from botocore.exceptions import BotoCoreError, ClientError

        session = self._session(boto.Credentials(base.access_key_id, base.secret, base.token))
        sts = session.create_client(
            "sts",
            region_name=self._settings.region,
            endpoint_url=self._settings.text("endpoint") or None,
            config=client_config(self._settings),
        )
        extra = (
            {"ExternalId": self._settings.text("external_id")} if self._settings.text("external_id") else {}
        )
        try:
            caller = str(sts.get_caller_identity()["Arn"])
            if (
                f":assumed-role/{role.rpartition('/')[2]}/" in caller
                and caller.split(":")[4] == role.split(":")[4]
            ):
                return base
            answer = sts.assume_role(
                RoleArn=role,
                RoleSessionName=f"breakglass-{self._connection.incident}"[:64],
                DurationSeconds=ROLE_SESSION_S,
                **extra,
            )["Credentials"]
        except (BotoCoreError, ClientError) as error:
            raise translate(error, "AssumeRole", role) from error
        finally:
            sts.close()
        expires_at_ms = int(answer["Expiration"].timestamp() * 1000)
        return Keys(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"], expires_at_ms)

    def _session(self, credentials: object) -> Any:  # noqa: ANN401 - botocore has no types
        session = _plain_session(self._settings.text("profile"))
        # botocore's own way to hand in a credential object that renews itself, as the AWS CLI does.
        session._credentials = credentials  # noqa: SLF001 - there is no public setter
        return session


def _is_role(caller: str, role: str) -> bool:
    """Return whether the caller's ARN is a session of that role of that account."""
    name = role.rpartition("/")[2]
    return f":assumed-role/{name}/" in caller and caller.split(":")[4] == role.split(":")[4]


class _Renewing:
    """What botocore asks for keys at every call."""

    method = "breakglass"
    account_id = None

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    @property
    def access_key(self) -> str:
        return self._executor.keys.access_key_id

    @property
    def secret_key(self) -> str:
        return self._executor.keys.secret

    @property
    def token(self) -> str | None:
        return self._executor.keys.token

    def get_frozen_credentials(self) -> object:
        """Return the keys of this moment, all of one set."""
        from botocore.credentials import ReadOnlyCredentials

        keys = self._executor.keys
        return ReadOnlyCredentials(keys.access_key_id, keys.secret, keys.token)

    def get_deferred_property(self, name: str) -> object:
        """Return a property that botocore reads later."""
        return lambda: getattr(self, name)


def keys_session(keys: Keys) -> Any:  # noqa: ANN401 - botocore has no types
    """Return a session with these keys, for a call as the agent."""
    from botocore import credentials as boto

    session = _plain_session("")
    session._credentials = boto.Credentials(keys.access_key_id, keys.secret, keys.token)  # noqa: SLF001 - no public setter
    return session


def client_config(settings: AwsSettings) -> Any:  # noqa: ANN401 - botocore has no types
    """Return how every client calls: bounded in time, few retries, no endpoint of a configuration file."""
    from botocore.config import Config

    return Config(
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=32,
        ignore_configured_endpoint_urls=True,
        s3={"addressing_style": "path"} if settings.text("endpoint") else {"addressing_style": "auto"},
    )


def _plain_session(profile: str) -> Any:  # noqa: ANN401 - botocore has no types
    import botocore.session

    session = botocore.session.Session(profile=profile or None)
    session.set_config_variable("metadata_service_timeout", 1)
    session.set_config_variable("metadata_service_num_attempts", 1)
    # Where a profile's data_path is wrong, botocore shall say so when it looks there, as it always does.
    session.lazy_register_component("data_loader", lambda: _models(session.get_config_variable("data_path")))
    return session


@cache
def _models(data_path: str | None) -> Any:  # noqa: ANN401 - botocore has no types
    """Return the one loader of botocore's service models for all sessions: to parse them takes a second."""
    from botocore.loaders import create_loader

    return create_loader(data_path)


__all__ = ["Calling", "CredentialsExpired", "Executor", "Keys", "client_config", "keys_session"]
