"""The token endpoints: JWT bearer grants of service accounts' keys, and exchanges for federated tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from breakglass_gcp.sandbox import account_keys, federation, tokens
from breakglass_gcp.sandbox.call import Caller, Raw, Refusal

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call, RestRequest
    from breakglass_gcp.sandbox.world import World

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
DOMAIN_WIDE = "iam.domain_wide"
"""Table: e-mails of the accounts with domain-wide delegation."""
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name of RFC 8693


def _token(world: World, call: Call) -> Raw:
    """Give an access token for a JWT that a service account's key signed (RFC 7523)."""
    form = _form(call)
    if form.get("grant_type") != JWT_BEARER:
        return _refused("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type')}")
    try:
        account, claims = account_keys.signer(world, form.get("assertion", ""))
    except Refusal as refusal:
        return _refused("invalid_grant", refusal.message)
    call.caller = Caller(account.email, "serviceAccount", f"key-{world.new_id(8)}", account.unique_id)
    call.project = account.project
    user = str(claims.get("sub") or account.email)
    if user != account.email:
        if account.email not in world.table(DOMAIN_WIDE):
            return _refused("unauthorized_client", "Client is unauthorized to retrieve access tokens.")
        call.caller = Caller(user, "user", f"dwd-{world.new_id(8)}")
    if claims.get("target_audience"):
        return Raw.of_json({"id_token": f"id-token-of-{account.email}-for-{claims['target_audience']}"})
    life_s = world.settings.token_life_s
    token = tokens.keep(world, call.caller, life_s)
    return Raw.of_json({"access_token": token, "expires_in": int(life_s), "token_type": "Bearer"})


def _delegate(world: World, asked: Mapping[str, Any]) -> object:
    """Let an account ask for tokens of users of the domain: those are the user's own, not the account's."""
    world.table(DOMAIN_WIDE)[str(asked["email"])] = True
    return {}


def _exchange(world: World, call: Call) -> Raw:
    """Give a federated access token for a subject of a pool's provider (RFC 8693; STS reference, token)."""
    form = _form(call)
    if form.get("grant_type") != EXCHANGE:
        return _refused("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type')}")
    try:
        caller = federation.caller_of(world, form.get("audience", ""), form.get("subject_token", ""))
    except Refusal as refusal:
        return _refused("invalid_grant", refusal.message)
    call.caller = caller
    life_s = world.settings.token_life_s
    said = {
        "access_token": tokens.keep(world, caller, life_s),
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": int(life_s),
    }
    return Raw.of_json(said)


def _about_key(request: RestRequest) -> str:
    """Return whose token is asked for, as the assertion claims it; nothing is verified yet."""
    email = account_keys.claimed(_fields(request).get("assertion", "")).get("iss", "")
    return f"projects/-/serviceAccounts/{email}" if email else ""


def _about_provider(request: RestRequest) -> str:
    return _fields(request).get("audience", "").partition("iam.googleapis.com/")[2]


def _form(call: Call) -> Mapping[str, str]:
    return _fields(call.request)


def _fields(request: RestRequest) -> Mapping[str, str]:
    return {name: values[-1] for name, values in parse_qs(request.raw.decode(errors="replace")).items()}


def _refused(error: str, description: str) -> Raw:
    return Raw.of_json({"error": error, "error_description": description}, 400)


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {"oauth2.token": _token, "sts.token": _exchange}
ENDPOINTS = {"/token": "oauth2.token", "/v1/token": "sts.token"}
OPEN = frozenset(HANDLERS)
CONTROLS = {"federated_subject": federation.subject, "iam.delegate_domain": _delegate}
RESOURCES: Mapping[str, Callable[[RestRequest], str]] = {
    "oauth2.token": _about_key,
    "sts.token": _about_provider,
}
