"""Decides whether a credential that is held for proof is of the identity that it shall prove to be dead.

The refusal of somebody else's credential proves nothing. One that reads its subject from the machine that it
is used on would tell of the executor's machine, and not of the agent's: it is refused before a call is made.
Formats: google-auth's credential files ("How Application Default Credentials works").
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_MINTED = re.compile(r"/serviceAccounts/([^/:]+):generateAccessToken$")
_POOL = "/workloadIdentityPools/"


def why_not(secret: bytes, identity: str) -> str:
    """Return why a credential is of no use as proof of an identity; empty: it is, or nobody can tell."""
    try:
        body = json.loads(secret)
    except (ValueError, RecursionError):
        body = None
    return _why_not(body, identity) if isinstance(body, Mapping) else ""


def _why_not(body: Mapping[str, Any], identity: str) -> str:
    kind, source = body.get("type"), body.get("credential_source")
    if kind == "access_token":
        return ""
    if kind == "external_account" and not (isinstance(source, Mapping) and set(source) <= {"file", "format"}):
        return "its credential_source is an address or a machine's own, and no file of the executor's"
    if kind == "service_account":
        named = str(body.get("client_email") or "")
    else:
        minted = _MINTED.search(str(body.get("service_account_impersonation_url") or ""))
        named = minted[1] if minted else ""
    if "://" not in identity:
        return "" if named == identity else f"it is of {named or 'no service account'}, not of {identity}"
    if kind != "external_account" or named:
        return f"it is of {named or 'a person'}, not of {identity}"
    return "" if _pool(str(body.get("audience") or "")) == _pool(identity) else "it is of another pool"


def _pool(name: str) -> str:
    """Return the name of a workload identity pool in an audience or in a principal's name."""
    start, _, rest = name.partition(_POOL)
    return f"{start.partition('iam.googleapis.com/')[2]}{_POOL}{rest.partition('/')[0]}" if rest else ""
