"""Reads a role's trust policy for AssumeRole and its kin."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import replace
from typing import Any

from breakglass_aws.sandbox.call import Call
from breakglass_aws.sandbox.evaluator import Inputs, Principal, parse
from breakglass_aws.sandbox.iam_entities import RoleView
from breakglass_aws.sandbox.keys import Keys, request_keys
from breakglass_aws.sandbox.views import VIEWS


def role_of(arn: str, now_s: float) -> RoleView | None:
    """Return the role of an ARN as enforcement sees it; None: there is none of exactly this ARN."""
    parts = arn.split(":", 5)
    if len(parts) < 6:  # noqa: PLR2004 - the parts of an ARN
        return None
    found = VIEWS.role(parts[4], arn.rpartition("/")[2], now_s)
    return found if found is not None and found.arn == arn else None


def with_trust(inputs: Inputs, role: RoleView) -> Inputs:
    """Put the trust policy at the place of the resource's: the gate, unless it hands over."""
    return replace(inputs, resource=(parse(role.trust, f"trust:{role.arn}"),), resource_decides=True)


def actions(call: Call) -> tuple[str, ...]:
    """Return all that a trust policy must allow (IAM User Guide "Pass session tags", "source identity")."""
    found = [f"sts:{call.operation}"]
    if call.params.get("Tags"):
        found.append("sts:TagSession")
    if call.params.get("SourceIdentity"):
        found.append("sts:SetSourceIdentity")
    return tuple(found)


def keys(call: Call, role: RoleView) -> Keys:
    """Return the request's keys, with the claims of a web identity token under its issuer's name."""
    found = {**request_keys(call, role.arn)}
    for name, value in claims(call).items():
        if isinstance(value, str):
            found[f"{issuer(call)}:{name}".lower()] = (value,)
    return found


def outsider(call: Call, role: RoleView) -> Principal:
    """Return who brings a token of a provider of identities; that the token is true, the front has seen."""
    account = role.arn.split(":")[4]
    provider = f"arn:aws:iam::{account}:oidc-provider/{issuer(call)}"
    if call.operation == "AssumeRoleWithSAML":
        provider = str(call.params.get("PrincipalArn", ""))
    return Principal("web", provider, account)


def issuer(call: Call) -> str:
    """Return the issuer of a web identity token, as IAM names providers: without its scheme."""
    return str(claims(call).get("iss", "")).removeprefix("https://")


def claims(call: Call) -> dict[str, Any]:
    """Return the claims of a JWT (RFC 7519); none where there is no token."""
    parts = str(call.params.get("WebIdentityToken") or "").split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, claims, signature
        return {}
    try:
        read = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return read if isinstance(read, dict) else {}
