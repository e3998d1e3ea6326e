"""Issues sessions as STS does: roles, session tokens, federation, web identity; and says who calls.

Sources: AWS STS API Reference (each operation), IAM User Guide "Methods to assume a role", "Permissions for
GetSessionToken", "Permissions for GetFederationToken", "Pass session tags in AWS STS".
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from breakglass_aws.sandbox import iam_entities
from breakglass_aws.sandbox.authority import ALLOWED, Authority, Ruling
from breakglass_aws.sandbox.call import Call, Refusal
from breakglass_aws.sandbox.credentials import ADMINISTRATORS, SESSIONS, Identity, Session, new_key_id
from breakglass_aws.sandbox.minting import mint, provider_of, web_claims
from breakglass_aws.sandbox.views import VIEWS

Answer = Mapping[str, Any]
SHORTEST_S, CHAINED_S, DEFAULT_S = 900, 3600, 3600
LONGEST_TOKEN_S, DEFAULT_TOKEN_S = 129_600, 43_200
_ASSUME = frozenset({"AssumeRole", "AssumeRoleWithWebIdentity"})
_FREE = frozenset({"GetCallerIdentity", "GetSessionToken", "GetAccessKeyInfo"})
"""No policy is asked. "Permissions for GetSessionToken": "You cannot use policies to control authentication
operations"; GetCallerIdentity: "If an administrator attaches a policy [...] that explicitly denies access to
the sts:GetCallerIdentity action, you can still perform this operation"."""


def ruling(call: Call, identity: Identity | None, authority: Authority, now_s: float) -> Ruling | None:
    """Rule on what is STS's own to rule on; None: policies decide as for every other service."""
    if call.operation in _FREE:
        return Ruling(allowed=True, code_word=ALLOWED, action=f"sts:{call.operation}", resource="*", why="")
    if call.operation == "AssumeRoleWithWebIdentity":
        token_of(call)
    if call.operation in _ASSUME:
        return authority.may_assume(call, identity, str(call.params.get("RoleArn", "")), now_s)
    return None


def get_caller_identity(_: Call, identity: Identity) -> Answer:
    """Say who calls."""
    return {"UserId": identity.userid, "Account": identity.account, "Arn": identity.arn}


def get_access_key_info(call: Call, _: Identity) -> Answer:
    """Say whose account a key belongs to."""
    key_id = str(call.params["AccessKeyId"])
    if key_id in ADMINISTRATORS:
        return {"Account": ADMINISTRATORS[key_id][1]}
    session = SESSIONS.find(key_id)
    if session is not None:
        return {"Account": session.identity.account}
    found = VIEWS.access_key(key_id, float("inf"))
    if found is None:
        raise Refusal("ValidationError", f"Invalid value for AccessKeyId: {key_id}")
    return {"Account": found.account}


def get_session_token(call: Call, identity: Identity) -> Answer:
    """Issue a session of a user; it lives on when the key that asked is set inactive."""
    if identity.temporary or identity.kind not in ("user", "root"):
        raise Refusal("AccessDenied", "Cannot call GetSessionToken with session credentials", 403)
    lifetime = _lifetime(call, DEFAULT_TOKEN_S, LONGEST_TOKEN_S if identity.kind == "user" else CHAINED_S)
    now_s = time.time()
    session = SESSIONS.issue(
        Identity(
            identity.kind,
            identity.account,
            identity.arn,
            new_key_id(),
            identity.userid,
            name=identity.name,
            issued_s=now_s,
            expires_s=now_s + lifetime,
            mfa=_mfa(call),
        )
    )
    return {"Credentials": session.keys()}


def get_federation_token(call: Call, identity: Identity) -> Answer:
    """Issue a federated session of a user: what the user may and the session policy allows."""
    if identity.temporary or identity.kind not in ("user", "root"):
        raise Refusal("AccessDenied", "Cannot call GetFederationToken with session credentials", 403)
    lifetime = _lifetime(call, DEFAULT_TOKEN_S, LONGEST_TOKEN_S if identity.kind == "user" else CHAINED_S)
    now_s, name = time.time(), str(call.params["Name"])
    arn = f"arn:aws:sts::{identity.account}:federated-user/{name}"
    tags = _pairs(call.params.get("Tags"))
    session = SESSIONS.issue(
        Identity(
            "federated",
            identity.account,
            arn,
            new_key_id(),
            f"{identity.account}:{name}",
            name=identity.name,
            issuer=identity.arn,
            issuer_id=identity.userid,
            session_name=name,
            session_policies=_policies(call) or (),
            session_policy_arns=_policy_arns(call),
            session_tags=tags,
            issued_s=now_s,
            expires_s=now_s + lifetime,
            mfa=False,
        )
    )
    user = {"FederatedUserId": session.identity.userid, "Arn": arn}
    return {"Credentials": session.keys(), "FederatedUser": user, "PackedPolicySize": 6}


def assume_role(call: Call, identity: Identity) -> Answer:
    """Issue a session of a role, once the ruling allowed it."""
    arn = str(call.params["RoleArn"])
    longest = CHAINED_S if identity.kind == "role" else _longest(arn)
    inherited = {name: identity.session_tags[name] for name in identity.transitive_tags}
    session = mint(
        arn,
        str(call.params["RoleSessionName"]),
        _lifetime(call, DEFAULT_S, longest),
        policies=_policies(call),
        policy_arns=_policy_arns(call),
        tags={**_pairs(call.params.get("Tags")), **inherited},
        transitive=(*identity.transitive_tags, *(call.params.get("TransitiveTagKeys") or ())),
        source_identity=identity.source_identity or str(call.params.get("SourceIdentity") or ""),
        mfa=_mfa(call) if identity.mfa is None else identity.mfa,
    )
    return _assumed(session)


def assume_role_with_web_identity(call: Call, _: Identity | None) -> Answer:
    """Issue a session of a role to the bearer of a token, once the ruling allowed it."""
    claims, provider = token_of(call)
    arn = str(call.params["RoleArn"])
    session = mint(
        arn,
        str(call.params["RoleSessionName"]),
        _lifetime(call, DEFAULT_S, _longest(arn)),
        policies=_policies(call),
        policy_arns=_policy_arns(call),
        provider=provider,
    )
    said = {
        "SubjectFromWebIdentityToken": claims.get("sub"),
        "Audience": claims.get("aud"),
        "Provider": provider,
    }
    return {**_assumed(session), **said}


def token_of(call: Call) -> tuple[Answer, str]:
    """Return the claims of a web identity token and its provider; its signature is not verified here.

    Raises:
        Refusal: it cannot be read, has ended, or the account knows no such provider.
    """
    claims = web_claims(str(call.params.get("WebIdentityToken", "")))
    try:
        ends_s = float(claims.get("exp", "inf"))
    except (TypeError, ValueError):
        ends_s = 0.0
    if ends_s <= time.time():
        raise Refusal("ExpiredTokenException", "Token expired: its exp has passed")
    arn = str(call.params.get("RoleArn", "")).split(":")
    return claims, provider_of(arn[4] if len(arn) > 4 else "", str(claims.get("iss", "")))  # noqa: PLR2004 - of an ARN


HANDLERS: Mapping[str, Callable[[Call, Identity], Answer]] = {
    "AssumeRole": assume_role,
    "GetAccessKeyInfo": get_access_key_info,
    "GetCallerIdentity": get_caller_identity,
    "GetFederationToken": get_federation_token,
    "GetSessionToken": get_session_token,
}


def answer(call: Call, identity: Identity | None) -> Answer:
    """Answer one call of STS.

    Raises:
        Refusal: it is refused, or the sandbox has no such operation.
    """
    if call.operation == "AssumeRoleWithWebIdentity":
        return assume_role_with_web_identity(call, identity)
    handler = HANDLERS.get(call.operation)
    if handler is None or identity is None:
        raise Refusal("NotImplementedBySandbox", f"the sandbox has no sts:{call.operation}", 501)
    return handler(call, identity)


def _assumed(session: Session) -> Answer:
    user = {"AssumedRoleId": session.identity.userid, "Arn": session.identity.arn}
    told = {"Credentials": session.keys(), "AssumedRoleUser": user, "PackedPolicySize": 6}
    if session.identity.source_identity:
        told["SourceIdentity"] = session.identity.source_identity
    return told


def _lifetime(call: Call, default_s: int, longest_s: int) -> int:
    asked = int(call.params.get("DurationSeconds") or min(default_s, longest_s))
    if asked < SHORTEST_S or asked > longest_s:
        limit = (
            "the 1 hour session limit for roles assumed by role chaining"
            if longest_s == CHAINED_S
            else "the limit"
        )
        raise Refusal(
            "ValidationError", f"The requested DurationSeconds {asked} is not between 900 and {limit}."
        )
    return asked


def _longest(role_arn: str) -> int:
    role = iam_entities.role_named(role_arn.split(":")[4], role_arn.rpartition("/")[2])
    return int(getattr(role, "max_session_duration", None) or CHAINED_S)


def _mfa(call: Call) -> bool:
    return bool(call.params.get("SerialNumber") and call.params.get("TokenCode"))


def _pairs(tags: Sequence[Mapping[str, str]] | None) -> dict[str, str]:
    return {one["Key"]: one["Value"] for one in tags or ()}


def _policies(call: Call) -> tuple[str, ...] | None:
    given = call.params.get("Policy")
    if given is None:
        return () if call.params.get("PolicyArns") else None
    try:
        json.loads(given)
    except ValueError as error:
        raise Refusal(
            "MalformedPolicyDocument", f"The policy is not in the valid JSON format: {error}"
        ) from error
    return (str(given),)


def _policy_arns(call: Call) -> tuple[str, ...]:
    return tuple(str(one["arn"]) for one in call.params.get("PolicyArns") or ())
