"""Knows whose an access key is: the built-in administrators', a user's in moto, or a session's of ours."""

from __future__ import annotations

import base64
import datetime as dt
import secrets
import string
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from breakglass_aws.sandbox.process import ACCOUNT

MANAGEMENT_ACCOUNT = "210987654321"
ADMINISTRATORS = MappingProxyType(
    {"AKIAADMINADMINADMIN0": ("admin", ACCOUNT), "AKIAMANAGEMENTMANAGE": ("admin", MANAGEMENT_ACCOUNT)}
)
_KEY_LETTERS = string.ascii_uppercase + "234567"
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls, with all that policies may ask about the credential."""

    kind: str
    """``root``, ``user`` (also a session of GetSessionToken), ``role``, ``federated`` or ``anonymous``."""
    account: str
    arn: str
    """What GetCallerIdentity says; of a session the session's."""
    access_key: str
    userid: str
    """``aws:userid``: AIDA..., AROA...:SESSION, ACCOUNT:NAME of a federated user, the account of root."""
    name: str = ""
    """The user (also the one behind a federated session) or the role."""
    issuer: str = ""
    """ARN of the role of a session, or of the user behind a federated one."""
    issuer_id: str = ""
    """The role's or user's unique id when the session was issued."""
    session_name: str = ""
    session_policies: tuple[str, ...] | None = None
    """Documents; None: none was given, which is not an empty one."""
    session_policy_arns: tuple[str, ...] = ()
    session_tags: Mapping[str, str] = field(default_factory=lambda: _NONE)
    transitive_tags: tuple[str, ...] = ()
    source_identity: str = ""
    issued_s: float | None = None
    """``aws:TokenIssueTime``; None: a long-term key, which has none."""
    expires_s: float | None = None
    mfa: bool | None = None
    """``aws:MultiFactorAuthPresent``; None: a long-term key, of which a request has no such key."""
    federated_provider: str = ""

    @property
    def temporary(self) -> bool:
        """Say whether this is a session."""
        return self.issued_s is not None


class Rejected(Exception):
    """A credential that no service accepts; `kind` is one of `codes`."""

    def __init__(self, kind: str, message: str) -> None:
        """Keep the kind apart from the words."""
        super().__init__(message)
        self.kind = kind
        self.message = message


@dataclass(frozen=True, slots=True)
class Session:
    """Temporary keys and whose they are."""

    secret: str
    token: str
    identity: Identity

    def keys(self) -> dict[str, Any]:
        """Return them as STS does."""
        expires = dt.datetime.fromtimestamp(self.identity.expires_s or 0, dt.UTC)
        return {
            "AccessKeyId": self.identity.access_key,
            "SecretAccessKey": self.secret,
            "SessionToken": self.token,
            "Expiration": expires.replace(microsecond=0),
        }


class Sessions:
    """Every session that was issued since the last reset."""

    def __init__(self) -> None:
        """Hold none yet."""
        self._gate = threading.Lock()
        self._held: dict[str, Session] = {}

    def issue(self, identity: Identity) -> Session:
        """Keep new keys for an identity whose access key is `new_key_id`'s."""
        token = "IQoJb3JpZ2luX2Vj" + base64.b64encode(secrets.token_bytes(120)).decode()
        session = Session(secrets.token_urlsafe(30), token, identity)
        with self._gate:
            self._held[identity.access_key] = session
        return session

    def find(self, key_id: str) -> Session | None:
        """Return a session by its access key."""
        return self._held.get(key_id)

    def forget(self) -> None:
        """Forget all."""
        with self._gate:
            self._held.clear()

    def __iter__(self) -> Iterator[Session]:
        """Yield all that were issued, ended or not."""
        with self._gate:
            return iter(list(self._held.values()))


SESSIONS = Sessions()


def new_key_id() -> str:
    """Return an id as temporary keys have (IAM User Guide "IAM identifiers": ASIA)."""
    return "ASIA" + "".join(secrets.choice(_KEY_LETTERS) for _ in range(16))


def secret_of(key_id: str, token: str | None, now_s: float) -> tuple[str, Identity]:
    """Return the secret and the owner of an access key.

    Raises:
        Rejected: unknown, inactive, without its token, ended, or of a role that is gone.
    """
    if key_id in ADMINISTRATORS:
        secret, account = ADMINISTRATORS[key_id]
        arn = f"arn:aws:iam::{account}:root"
        return secret, Identity("root", account, arn, key_id, account)
    session = SESSIONS.find(key_id)
    if session is not None:
        return session.secret, _living(session, token, now_s)
    from breakglass_aws.sandbox.keyring import user_key

    found = user_key(key_id, now_s)
    if found is None or token:
        raise Rejected("unknown_key", "The security token included in the request is invalid.")
    return found


def _living(session: Session, token: str | None, now_s: float) -> Identity:
    from breakglass_aws.sandbox.keyring import role_id

    identity = session.identity
    if token != session.token:
        raise Rejected("unknown_key", "The security token included in the request is invalid.")
    if identity.expires_s is not None and now_s >= identity.expires_s:
        raise Rejected("expired", "The security token included in the request is expired")
    if identity.kind == "role" and role_id(identity.account, identity.name, now_s) != identity.issuer_id:
        raise Rejected("unknown_key", "The security token included in the request is invalid.")
    return identity
