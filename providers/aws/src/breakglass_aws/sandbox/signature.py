"""Verifies Signature Version 4 (IAM User Guide "AWS Signature Version 4 for API requests")."""

from __future__ import annotations

import calendar
import functools
import hashlib
import hmac
import re
import time
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote

from breakglass_aws.sandbox import codes
from breakglass_aws.sandbox.credentials import Rejected
from breakglass_aws.sandbox.wire import Received

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW_S = 15 * 60
"""IAM User Guide "Troubleshoot Signature Version 4": "the request must be received within 15 minutes"."""
LONGEST_PRESIGNED_S = 7 * 24 * 3600
_HEX = re.compile(r"[0-9a-f]{64}")
_FIELD = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]+)")
_SCOPE_PARTS = 5


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says about its own signature."""

    key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    at: str
    """``YYYYMMDDTHHMMSSZ``."""
    token: str | None
    expires_s: int | None = None
    """Of a presigned request; None: signed in a header."""


def claim(received: Received) -> Claim | None:
    """Return what a request claims; None: it is not signed.

    Raises:
        Rejected: it is signed, in a way that cannot be read.
    """
    header = received.headers.get("authorization")
    if header is not None:
        if not header.startswith(ALGORITHM):
            raise Rejected(codes.INCOMPLETE, "The authorization mechanism you have provided is not supported")
        fields = dict(_FIELD.findall(header))
        return _claim(
            fields, received.headers.get("x-amz-date", ""), received.headers.get("x-amz-security-token")
        )
    if "X-Amz-Signature=" not in received.query:
        return None
    asked = dict(parse_qsl(received.query, keep_blank_values=True))
    fields = {name: asked.get(f"X-Amz-{name}", "") for name in ("Credential", "SignedHeaders", "Signature")}
    lifetime = asked.get("X-Amz-Expires", "")
    if not lifetime.isdigit() or int(lifetime) > LONGEST_PRESIGNED_S:
        raise Rejected(codes.INCOMPLETE, "X-Amz-Expires must be a number of at most 604800 seconds")
    return _claim(fields, asked.get("X-Amz-Date", ""), asked.get("X-Amz-Security-Token"), int(lifetime))


def _claim(fields: dict[str, str], at: str, token: str | None, expires_s: int | None = None) -> Claim:
    scope = fields.get("Credential", "").split("/")
    if len(scope) != _SCOPE_PARTS or not fields.get("SignedHeaders") or not fields.get("Signature") or not at:
        raise Rejected(
            codes.INCOMPLETE,
            "Authorization header requires 'Credential', 'Signature', 'SignedHeaders' and 'X-Amz-Date'.",
        )
    key_id, date, region, service, _ = scope
    signed = tuple(fields["SignedHeaders"].lower().split(";"))
    return Claim(key_id, date, region, service.lower(), signed, fields["Signature"], at, token, expires_s)


def verify(received: Received, made: Claim, secret: str, now_s: float) -> None:
    """Recompute the signature with the stored secret.

    Raises:
        Rejected: it differs, something that must be signed is not, or it is too old or too new.
    """
    _check_time(made, now_s)
    if "host" not in made.signed_headers:
        raise Rejected(codes.SIGNATURE, "'host' must be a 'SignedHeader' in the AWS Authorization.")
    canonical = "\n".join(
        (
            received.method,
            _path(received.path, made.service),
            _query(received.query),
            *(f"{name}:{_value(received, name)}" for name in made.signed_headers),
            "",
            ";".join(made.signed_headers),
            _payload(received, made),
        )
    )
    scope = f"{made.date}/{made.region}/{made.service}/aws4_request"
    text = f"{ALGORITHM}\n{made.at}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = _signing_key(secret, made.date, made.region, made.service)
    if not hmac.compare_digest(hmac.new(key, text.encode(), hashlib.sha256).hexdigest(), made.signature):
        raise Rejected(
            codes.SIGNATURE,
            "The request signature we calculated does not match the signature you provided. Check your AWS "
            "Secret Access Key and signing method. Consult the service documentation for details.",
        )


def _check_time(made: Claim, now_s: float) -> None:
    try:
        signed_s = calendar.timegm(time.strptime(made.at, "%Y%m%dT%H%M%SZ"))
    except ValueError as error:
        raise Rejected(codes.INCOMPLETE, f"the date {made.at!r} cannot be read") from error
    if not made.at.startswith(made.date):
        raise Rejected(
            codes.SIGNATURE, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date"
        )
    if made.expires_s is not None and signed_s + made.expires_s < now_s:
        raise Rejected(codes.DENIED, "Request has expired")
    if signed_s - now_s > SKEW_S or (made.expires_s is None and now_s - signed_s > SKEW_S):
        raise Rejected(
            codes.SKEW, f"Signature expired: {made.at} is more than 15 minutes away from the service's time"
        )


def _path(path: str, service: str) -> str:
    """Return the path as S3 takes it, or encoded once more, without dots and doubled slashes."""
    if service == "s3":
        return path
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    end = "/" if path.endswith("/") and parts else ""
    return quote(f"/{'/'.join(parts)}{end}", safe="/~")


def _query(query: str) -> str:
    pairs = []
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name and name != "X-Amz-Signature":
            pairs.append((_encoded(name), _encoded(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _encoded(text: str) -> str:
    return quote(unquote(text), safe="-_.~")


def _value(received: Received, name: str) -> str:
    return " ".join(received.headers.get(name.replace("_", "-"), "").split())


def _payload(received: Received, made: Claim) -> str:
    said = received.headers.get("x-amz-content-sha256")
    if made.expires_s is not None and made.service == "s3":
        return said or "UNSIGNED-PAYLOAD"
    if said is not None and made.service == "s3" and said.startswith(("UNSIGNED-PAYLOAD", "STREAMING-")):
        return said
    found = hashlib.sha256(received.body).hexdigest()
    if said is not None and _HEX.fullmatch(said) and said != found:
        raise Rejected(
            codes.SIGNATURE, "The provided 'x-amz-content-sha256' header does not match what was computed."
        )
    return found


@functools.lru_cache(maxsize=4096)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
