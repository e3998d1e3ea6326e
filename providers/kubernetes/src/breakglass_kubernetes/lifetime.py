"""Says since when a credential is over, as far as it says so itself."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping

from breakglass.clock import Instant


def ended(token: str, certificate: bytes, now: Instant) -> str:
    """Return the words for what is over; empty: nothing is, or it does not say."""
    for name, end in (("token", of_token(token)), ("certificate", of_certificate(certificate))):
        if end is not None and end <= now:
            return f"the executor's {name} expired at {end}"
    return ""


def of_token(token: str) -> Instant | None:
    """Read ``exp`` of a token that is a JWT (RFC 7519 4.1.4); its signature is the server's business."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - RFC 7515 3.1
        return None
    try:
        body = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    end = body.get("exp") if isinstance(body, Mapping) else None
    good = isinstance(end, int | float) and not isinstance(end, bool) and 0 < end < 1e11  # noqa: PLR2004 - the year 5138
    return Instant(int(end * 1000)) if good and end is not None else None


def of_certificate(pem: bytes) -> Instant | None:
    """Read ``notAfter`` of the first certificate (RFC 5280 4.1.2.5)."""
    if not pem:
        return None
    from cryptography import x509

    try:
        end = x509.load_pem_x509_certificate(pem).not_valid_after_utc
    except ValueError:
        return None
    return Instant(int(end.timestamp() * 1000))
