"""Mints sessions of roles: for AssumeRole, for the control address, for whatever the platform runs."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from breakglass_aws.sandbox import iam_entities
from breakglass_aws.sandbox.call import Refusal
from breakglass_aws.sandbox.credentials import SESSIONS, Identity, Session, new_key_id
from breakglass_aws.sandbox.process import ACCOUNT

HOUR_S = 3600
_JWT_PARTS = 3


def mint_session(
    role: str,
    session_name: str,
    duration_s: float = HOUR_S,
    *,
    policies: Sequence[str] | None = None,
    tags: Mapping[str, str] | None = None,
    source_identity: str = "",
) -> dict[str, Any]:
    """Return keys of a new session of a role, as its service would get them; asks nobody.

    `role` is an ARN, or the name of a role of the sandbox's account.

    Raises:
        Refusal: there is no such role.
    """
    found = role
    if not role.startswith("arn:"):
        known = iam_entities.role_named(ACCOUNT, role)
        found = known.arn if known is not None else f"arn:aws:iam::{ACCOUNT}:role/{role}"
    given = None if policies is None else tuple(policies)
    return mint(
        found, session_name, duration_s, policies=given, tags=tags or {}, source_identity=source_identity
    ).keys()


def mint(  # noqa: PLR0913 - what STS lets a session carry
    role_arn: str,
    session_name: str,
    duration_s: float,
    *,
    policies: tuple[str, ...] | None = None,
    policy_arns: tuple[str, ...] = (),
    tags: Mapping[str, str] | None = None,
    transitive: tuple[str, ...] = (),
    source_identity: str = "",
    mfa: bool = False,
    provider: str = "",
) -> Session:
    """Issue a session.

    Raises:
        Refusal: there is no such role.
    """
    parts = role_arn.split(":")
    account, name = parts[4] if len(parts) > 4 else "", role_arn.rpartition("/")[2]  # noqa: PLR2004 - of an ARN
    role = iam_entities.role_named(account, name)
    if role is None or role.arn != role_arn:
        raise Refusal("AccessDenied", f"there is no role {role_arn} to assume", 403)
    now_s = time.time()
    return SESSIONS.issue(
        Identity(
            "role",
            account,
            f"arn:aws:sts::{account}:assumed-role/{name}/{session_name}",
            new_key_id(),
            f"{role.id}:{session_name}",
            name=name,
            issuer=role_arn,
            issuer_id=str(role.id),
            session_name=session_name,
            session_policies=policies,
            session_policy_arns=policy_arns,
            session_tags=dict(tags or {}),
            transitive_tags=tuple(dict.fromkeys(transitive)),
            source_identity=source_identity,
            issued_s=now_s,
            expires_s=now_s + duration_s,
            mfa=mfa,
            federated_provider=provider,
        )
    )


def web_claims(token: str) -> Mapping[str, Any]:
    """Return the claims of a web identity token, unverified.

    Raises:
        Refusal: it is no such token.
    """
    parts = token.split(".")
    body = parts[1] if len(parts) == _JWT_PARTS else ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except ValueError as error:
        raise Refusal("InvalidIdentityToken", f"The web identity token is not valid: {error}") from error
    if not isinstance(claims, dict):
        raise Refusal("InvalidIdentityToken", "The web identity token has no claims")
    return claims


def provider_of(account: str, issuer: str) -> str:
    """Return the ARN of the account's OIDC provider with this issuer.

    Raises:
        Refusal: the account has none.
    """
    host = issuer.removeprefix("https://").rstrip("/")
    arn = f"arn:aws:iam::{account}:oidc-provider/{host}"
    if not host or arn not in iam_entities.backend(account).open_id_providers:
        raise Refusal("InvalidIdentityToken", f"No OpenIDConnect provider found in your account for {issuer}")
    return arn
