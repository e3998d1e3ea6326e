"""google.iam.credentials.v1: short-lived credentials of a service account for who may impersonate it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import account_keys, accounts, authorise, tokens
from breakglass_gcp.sandbox.call import Caller
from breakglass_gcp.sandbox.models.iam_accounts import account_for

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.accounts import Account
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

START = "/google.iam.credentials.v1.IAMCredentials/"
HOUR_S, TWELVE_HOURS_S = 3600.0, 43_200.0
LONG_LIVED = "iam.long_lived"
"""Table: e-mails that the organization policy lets have tokens of up to twelve hours."""


def _access_token(world: World, call: Call) -> object:
    from google.cloud.iam_credentials_v1.types import GenerateAccessTokenResponse

    account = _impersonated(world, call, "iam.serviceAccounts.getAccessToken")
    asked_s = call.request.lifetime.total_seconds() or HOUR_S
    most_s = TWELVE_HOURS_S if account.email in world.table(LONG_LIVED) else HOUR_S
    if asked_s > most_s:
        call.fail("INVALID_ARGUMENT", f"The lifetime must be at most {most_s:.0f} seconds.")
    caller = Caller(account.email, "serviceAccount", f"imp-{world.new_id(8)}", account.unique_id)
    token = tokens.keep(world, caller, asked_s)
    ends = dt.datetime.fromtimestamp(int(call.now_s + asked_s), dt.UTC)
    return GenerateAccessTokenResponse(access_token=token, expire_time=ends)


def _id_token(world: World, call: Call) -> object:
    from google.cloud.iam_credentials_v1.types import GenerateIdTokenResponse

    account = _impersonated(world, call, "iam.serviceAccounts.getOpenIdToken")
    return GenerateIdTokenResponse(token=f"id-token-of-{account.email}-for-{call.request.audience}")


def _sign_jwt(world: World, call: Call) -> object:
    from google.cloud.iam_credentials_v1.types import SignJwtResponse

    account = _impersonated(world, call, "iam.serviceAccounts.signJwt")
    key_id, jwt = account_keys.sign_jwt(world, account, call.request.payload)
    return SignJwtResponse(key_id=key_id, signed_jwt=jwt)


def _sign_blob(world: World, call: Call) -> object:
    from google.cloud.iam_credentials_v1.types import SignBlobResponse

    account = _impersonated(world, call, "iam.serviceAccounts.signBlob")
    key_id, signature = account_keys.sign(world, account, call.request.payload)
    return SignBlobResponse(key_id=key_id, signed_blob=signature)


def _impersonated(world: World, call: Call, permission: str) -> Account:
    """Return the account, through the chain of delegates if one is named; each must be let by the one before.

    IAM REST reference, projects.serviceAccounts.generateAccessToken.
    """
    if not call.request.delegates:
        account = account_for(world, call, permission)
    else:
        names = [*call.request.delegates, call.request.name]
        account_for(world, call, "iam.serviceAccounts.implicitDelegation", names[0])
        for here, there in pairwise(names):
            delegate = accounts.find(world, here)
            caller = Caller(delegate.email, "serviceAccount", "delegate", delegate.unique_id)
            link = permission if there == names[-1] else "iam.serviceAccounts.implicitDelegation"
            authorise.require(world, caller, link, authorise.canonical(world, there))
        account = accounts.find(world, names[-1])
    state = world.config.seen(("account", account.unique_id), accounts.ENABLED)
    if state != accounts.ENABLED:
        call.fail("FAILED_PRECONDITION", "The service account is disabled.")
    return account


def _long_lived(world: World, asked: Mapping[str, Any]) -> object:
    world.table(LONG_LIVED)[str(asked["email"])] = True
    return {}


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{START}GenerateAccessToken": _access_token,
    f"{START}GenerateIdToken": _id_token,
    f"{START}SignJwt": _sign_jwt,
    f"{START}SignBlob": _sign_blob,
}
CONTROLS = {"iam.long_lived": _long_lived}
