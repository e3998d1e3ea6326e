"""Says in the engine's words what a call to Google failed with.

Codes: google.rpc.Code and google.rpc.ErrorInfo (Google API Improvement Proposals, AIP-193); the HTTP
status of each: "Errors", Google Cloud APIs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus

from breakglass.errors import Denied, Gone, InDoubt, ProviderError, Throttled, Transient

_READS = (
    "get",
    "list",
    "test",
    "query",
    "aggregated",
    "search",
    "fetch",
    "lookup",
    "troubleshoot",
    "batch_get",
)
LONGEST_TEXT = 300
SERVICE_DISABLED = "SERVICE_DISABLED"
RATE_LIMIT_EXCEEDED = "RATE_LIMIT_EXCEEDED"
LONGEST_DELAY_S = 60.0
"""A quota is of one minute: nobody is told to be patient for longer."""
_OLDER_WORDS = {
    "accessNotConfigured": SERVICE_DISABLED,
    "rateLimitExceeded": RATE_LIMIT_EXCEEDED,
    "userRateLimitExceeded": RATE_LIMIT_EXCEEDED,
}
"""Reasons as Compute Engine's and Cloud Storage's JSON interfaces give them ("Errors" of each)."""


class CredentialsExpired(Transient):
    """The executor's own credentials have ended or are refused: new ones let the stop go on."""


class Unauthenticated(Denied):
    """The credential that was shown is refused: it is not known, has ended, or its account is disabled."""


class Conflict(Transient):
    """Somebody else wrote between the read and the write: read again, then decide again."""


def is_write(method: str) -> bool:
    """Return whether a method (``pause_job``, ``PATCH``) may change anything."""
    return method != "GET" and not method.startswith(_READS)


def code_of(error: BaseException) -> str:
    """Return Google's own status code behind an error of ours, as ``NOT_FOUND``; empty where it has none."""
    cause = error.__cause__
    grpc_code = getattr(cause, "grpc_status_code", None)
    if grpc_code is not None:
        return str(grpc_code.name)
    code = getattr(cause, "code", None)
    try:
        return HTTPStatus(int(code)).name if isinstance(code, int) else ""
    except ValueError:
        return ""


def reason_of(error: BaseException) -> str:
    """Return the reason of Google's ErrorInfo behind an error of ours; empty where it gives none."""
    return _reason(error.__cause__)


def _reason(cause: object) -> str:
    """Return Google's reason: of ErrorInfo, else of the older errors that Compute and Storage give."""
    if told := getattr(cause, "reason", None):
        return str(told)
    for one in getattr(cause, "errors", None) or ():
        if isinstance(one, Mapping) and one.get("reason"):
            return _OLDER_WORDS.get(str(one["reason"]), str(one["reason"]))
    return ""


def translate(error: Exception, method: str, where: str) -> ProviderError:
    """Return the error of ours for one of Google's; raise it ``from`` that one, so that `code_of` works."""
    import requests
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    if isinstance(error, api.GoogleAPICallError):
        return _refusal(error, method, where)
    if isinstance(error, auth.RefreshError):
        said = shown(_said(error.args))
        if getattr(error, "retryable", False):
            return Transient(f"no access token is given now: {said}", where=where)
        return Unauthenticated(f"no access token is given: {said}", where=where)
    if isinstance(error, auth.TransportError | requests.ConnectionError | requests.Timeout):
        lost = isinstance(error, requests.ReadTimeout) or "RemoteDisconnected" in str(error)
        if lost and is_write(method):
            return InDoubt(f"its answer was lost ({type(error).__name__})", where=where)
        return Transient(f"cannot be reached ({type(error).__name__})", where=where)
    if isinstance(error, auth.GoogleAuthError):
        return Denied(f"the credentials are of no use: {shown(str(error))}", where=where)
    return ProviderError(
        f"failed before it was sent: {type(error).__name__}: {shown(str(error))}", where=where
    )


def _said(args: tuple[object, ...]) -> str:
    """Return what google-auth tells of a token that was not given: its own words, and the service's."""
    words = str(args[0]) if args else "no reason is told"
    try:
        body = json.loads(str(args[1])) if len(args) > 1 else None
    except (ValueError, RecursionError):
        body = None
    error = body.get("error") if isinstance(body, dict) else None
    more = error.get("message") if isinstance(error, dict) else None
    return f"{words}: {more}" if isinstance(more, str) else words


def _refusal(error: Exception, method: str, where: str) -> ProviderError:  # noqa: PLR0911 - a table of cases
    from google.api_core import exceptions as api

    said = shown(str(getattr(error, "message", "") or error))
    reason = _reason(error)
    if isinstance(error, api.NotFound):
        return Gone(f"is not there: {said}", where=where)
    if isinstance(error, api.Unauthorized):
        return Unauthenticated(f"refused: {said}", where=where)
    if isinstance(error, api.Forbidden):
        if reason == SERVICE_DISABLED:
            return Denied(f"this API is not enabled in the project: {said}", where=where)
        if reason == RATE_LIMIT_EXCEEDED:
            return Throttled(f"throttles ({reason})", retry_after_s=_retry_after_s(error), where=where)
        return Denied(f"refused: {said}", where=where)
    if isinstance(error, api.TooManyRequests):
        return Throttled(f"throttles: {said}", retry_after_s=_retry_after_s(error), where=where)
    if isinstance(error, api.Conflict | api.PreconditionFailed) and not isinstance(error, api.AlreadyExists):
        return Conflict(f"was changed by somebody else: {said}", where=where)
    if isinstance(error, api.DeadlineExceeded | api.GatewayTimeout):
        if is_write(method):
            return InDoubt("its answer was lost (deadline)", where=where)
        return Transient("does not answer", where=where)
    if isinstance(error, api.ServerError) and not isinstance(error, api.MethodNotImplemented):
        return Transient(f"failed at the service: {said}", where=where)
    return ProviderError(f"refused: {said}", where=where)


def _retry_after_s(error: Exception) -> float:
    """Return the delay that Google asks for (google.rpc.RetryInfo); a second where it names none."""
    for detail in getattr(error, "details", None) or ():
        if isinstance(detail, Mapping):  # over REST: "3.5s"
            told = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)s", str(detail.get("retryDelay") or ""))
            delay_s = float(told[1]) if told else None
        else:
            delay = getattr(detail, "retry_delay", None)
            delay_s = None if delay is None else float(delay.seconds) + float(delay.nanos) / 1e9
        if delay_s is not None:
            return min(LONGEST_DELAY_S, max(1.0, delay_s))
    return 1.0


def shown(text: str) -> str:
    """Return text of a service made safe to show: one line of printable ASCII."""
    return "".join(one if "\x20" <= one < "\x7f" else "?" for one in text)[:LONGEST_TEXT]
