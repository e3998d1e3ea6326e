"""Bearer tokens: who they are, how long, and what makes them void and valid again."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from breakglass_gcp.sandbox.call import Caller, Refusal

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.world import World

START = "ya29.sandbox-"
JWT_DOTS = 2
SERVICE_AGENT = "@gcp-sa-"
"""IAM documentation, "Service agents": accounts of Google's own projects, which nobody here can disable."""
EMAILS = "iam.emails"
"""Table: e-mail -> unique id of the account that has it now."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token that was given."""

    caller: Caller
    expires_s: float


def mint(world: World, principal: str, life_s: float = 3600.0) -> str:
    """Return a new token of a principal: an e-mail, ``user:``/``serviceAccount:`` and one, ``principal://``.

    Raises:
        Refusal: NOT_FOUND: it looks like a service account, and there is none of that name.
    """
    secret = START + secrets.token_urlsafe(24)
    token_id = secrets.token_hex(6)
    kind, _, name = (
        principal.partition(":") if ":" in principal and "://" not in principal else ("", "", principal)
    )
    if "://" in name:
        caller = Caller(name, "federated", token_id, pool=pool_of(name))
    else:
        unique = world.table(EMAILS).get(name, "")
        account = kind == "serviceAccount" or name.endswith("gserviceaccount.com")
        if account and not unique and SERVICE_AGENT not in name:
            raise Refusal("NOT_FOUND", f"there is no service account {name}")
        caller = Caller(name, "serviceAccount" if account else "user", token_id, unique)
    return keep(world, caller, life_s, secret)


def keep(world: World, caller: Caller, life_s: float, secret: str = "") -> str:
    """Keep a token of a caller and return it."""
    secret = secret or START + secrets.token_urlsafe(24)
    world.table("tokens")[secret] = Token(caller, world.now_s() + life_s)
    return secret


def caller_of(world: World, authorization: str) -> Caller:
    """Return who an Authorization header is.

    IAM REST reference, serviceAccounts.disable: existing access tokens are rejected, and are accepted again
    once it is enabled; workloadIdentityPools ``disabled``: neither new nor existing tokens are usable, and
    existing ones "grant access again" once enabled; ...providers ``disabled``: existing tokens still work.

    Raises:
        Refusal: UNAUTHENTICATED.
    """
    kind, _, secret = authorization.partition(" ")
    token: Token | None = world.table("tokens").get(secret.strip())
    if token is None and secret.count(".") == JWT_DOTS:
        return _self_signed(world, secret.strip())
    if kind.lower() != "bearer" or token is None:
        raise _void("Request had invalid authentication credentials. Expected OAuth 2 access token.")
    if token.expires_s <= world.now_s():
        raise _void("The access token has expired.", "ACCESS_TOKEN_EXPIRED")
    caller = token.caller
    if caller.unique_id and world.config.seen(("account", caller.unique_id), "enabled") != "enabled":
        raise _void(
            "The service account of the access token is disabled or deleted.", "ACCOUNT_STATE_INVALID"
        )
    if caller.pool and world.config.seen(("pool", caller.pool), "enabled") != "enabled":
        raise _void("The workload identity pool of the access token is disabled or deleted.")
    return caller


def _self_signed(world: World, secret: str) -> Caller:
    """Return who a JWT is that a service account's key signed itself (google.aip.dev/auth/4111)."""
    from breakglass_gcp.sandbox import account_keys

    account, _ = account_keys.signer(world, secret)
    return Caller(account.email, "serviceAccount", f"jwt-{secret[-8:]}", account.unique_id)


def pool_of(name: str) -> str:
    """Return the pool that a ``principal://iam.googleapis.com/...`` name is in; "" for other names."""
    start, mark, rest = name.partition("/workloadIdentityPools/")
    return start.partition("iam.googleapis.com/")[2] + mark + rest.partition("/")[0] if mark else ""


def _void(message: str, reason: str = "ACCESS_TOKEN_INVALID") -> Refusal:
    return Refusal("UNAUTHENTICATED", message, reason=reason)
