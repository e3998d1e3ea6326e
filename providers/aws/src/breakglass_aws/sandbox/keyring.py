"""Looks up users' access keys and roles as enforcement sees them, of whatever account."""

from __future__ import annotations

from collections.abc import Callable

from breakglass_aws.sandbox import iam_entities
from breakglass_aws.sandbox.credentials import Identity
from breakglass_aws.sandbox.views import VIEWS

ACTIVE = "Active"
_SECRETS: dict[str, str] = {}
"""Of every key that was ever seen: a key that was deleted a moment ago may still be in force."""
RESETS: tuple[Callable[[], None], ...] = (_SECRETS.clear,)


def user_key(key_id: str, now_s: float) -> tuple[str, Identity] | None:
    """Return the secret and the user of an active long-term key; None: no such key, or inactive."""
    seen = VIEWS.access_key(key_id, now_s)
    if seen is None or seen.status != ACTIVE:
        return None
    remember(seen.account, key_id)
    secret = _SECRETS.get(key_id)
    return None if secret is None else (secret, user_identity(seen.account, seen.user, key_id))


def remember(account: str, key_id: str) -> None:
    """Keep the secret of a key that may be gone before it is out of force."""
    if key_id not in _SECRETS:
        key = iam_entities.backend(account).access_keys.get(key_id)
        if key is not None:
            _SECRETS[key_id] = key.secret_access_key


def user_identity(account: str, name: str, key_id: str) -> Identity:
    """Return a user as the owner of a key."""
    user = iam_entities.backend(account).users.get(name)
    arn = str(user.arn) if user is not None else f"arn:aws:iam::{account}:user/{name}"
    return Identity("user", account, arn, key_id, str(user.id) if user is not None else "", name=name)


def role_id(account: str, name: str, now_s: float) -> str | None:
    """Return a role's unique id as enforcement sees it; None: there is no such role."""
    role = VIEWS.role(account, name, now_s)
    return None if role is None else role.id
