"""Reads the executor's name off its own credential, for when a webhook keeps the server from telling it.

Webhooks are asked about reviews, too (seen on 1.36.2: one for every resource of every scope refused a
SelfSubjectReview), so that an agent's could keep the executor from ever connecting.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from breakglass_kubernetes.credential import Shown

_ACCOUNT = "system:serviceaccount:"
AUTHENTICATED = "system:authenticated"


def own_name(shown: Shown) -> tuple[str, tuple[str, ...]]:
    """Return user and groups as the server would; empty where only its configuration can tell (OIDC)."""
    if shown.token:
        return _of_token(shown.token)
    return _of_certificate(shown.certificate) if shown.certificate else ("", ())


def _of_certificate(pem: bytes) -> tuple[str, tuple[str, ...]]:
    """Return common name and organisations (Kubernetes documentation, "Authenticating", X.509)."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        subject = x509.load_pem_x509_certificate(pem).subject
    except ValueError:
        return "", ()
    names = [str(one.value) for one in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = [str(one.value) for one in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    return (names[0], (*groups, AUTHENTICATED)) if names else ("", ())


def _of_token(token: str) -> tuple[str, tuple[str, ...]]:
    """Return whom a service account's token names; it is our own, and nothing is granted on its word."""
    parts = token.split(".")
    try:
        payload = parts[1] + "=" * (-len(parts[1]) % 4)
        claims = json.loads(base64.urlsafe_b64decode(payload))
    except (IndexError, ValueError, RecursionError):
        return "", ()
    name = claims.get("sub") if isinstance(claims, Mapping) else None
    if not isinstance(name, str) or not name.startswith(_ACCOUNT):
        return "", ()
    namespace = name.removeprefix(_ACCOUNT).partition(":")[0]
    return name, ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
