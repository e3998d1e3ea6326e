"""Says in the engine's words what a call to the API server failed with.

Codes and reasons: Kubernetes API conventions, "HTTP Status codes" and "Response Status Kind".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from breakglass.errors import Denied, Gone, InDoubt, ProviderError, Throttled, Transient
from breakglass_kubernetes.kinds import BUILT_IN, Kind

LONGEST_TEXT = 300
LONGEST_PAUSE_S = 30.0
_ADMISSION = re.compile(r"admission webhook|ValidatingAdmissionPolicy|denied the request", re.IGNORECASE)


class CredentialsExpired(Transient):
    """The executor's own credentials have ended or are refused: new ones let the stop go on."""


class TooLong(Transient):
    """An answer is longer than any may be: of a listing, smaller pages may do."""


@dataclass(eq=False, slots=True)
class Failure(Exception):
    """What the server answered in place of what was asked for."""

    status: int
    reason: str
    message: str
    causes: tuple[str, ...] = ()

    @classmethod
    def read(cls, status: int, data: bytes) -> Failure:
        """Read a ``Status`` object; an answer that is none leaves reason and message empty."""
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, Mapping):
            return cls(status, "", shown(data[:LONGEST_TEXT].decode(errors="replace")))
        details = body.get("details")
        causes = details.get("causes") if isinstance(details, Mapping) else None
        return cls(
            status,
            shown(str(body.get("reason") or ""))[:80],
            shown(str(body.get("message") or "")),
            tuple(
                shown(str(one.get("reason")))[:80]
                for one in (causes if isinstance(causes, list) else ())
                if isinstance(one, Mapping)
            ),
        )

    @property
    def by_admission(self) -> bool:
        """Return whether a policy or a webhook refused it."""
        return _ADMISSION.search(self.message) is not None

    @property
    def by_authorizer(self) -> bool:
        """Return whether it was refused for want of a right."""
        return self.status == HTTPStatus.FORBIDDEN and not self.by_admission


def failure_of(error: BaseException) -> Failure:
    """Return the server's answer behind an error of ours; status 0 where it gave none."""
    cause = error.__cause__
    return cause if isinstance(cause, Failure) else Failure(0, "", "")


def translate(failure: Failure, where: str, *, write: bool, retry_after: str = "") -> ProviderError:
    """Return the error of ours for a refusal; raise it ``from`` the failure, so that `failure_of` works."""
    said = f"{failure.reason}: {failure.message}" if failure.reason else failure.message
    match failure.status:
        case HTTPStatus.UNAUTHORIZED:
            words = "the executor's credential is refused (401): renew it"
            return CredentialsExpired(words, where=where)
        case HTTPStatus.NOT_FOUND:
            return Gone(f"is not there: {said}", where=where)
        case HTTPStatus.CONFLICT | HTTPStatus.GONE:
            return Transient(f"was changed by somebody else meanwhile: {said}", where=where)
        case HTTPStatus.TOO_MANY_REQUESTS:
            return Throttled(f"throttles: {said}", retry_after_s=_pause_s(retry_after), where=where)
        case HTTPStatus.GATEWAY_TIMEOUT if write:
            return InDoubt(f"its answer was lost: {said}", where=where)
    return _refused(failure, said, where)


def _refused(failure: Failure, said: str, where: str) -> ProviderError:
    if "NamespaceTerminating" in failure.causes:
        return Transient(f"its namespace is being deleted: {said}", where=where)
    if failure.by_admission:
        return Denied(f"admission refused it: {said}", where=where)
    if failure.status == HTTPStatus.FORBIDDEN:
        return Denied(f"refused: {said}", where=where)
    if failure.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Transient(f"failed at the API server: {said or failure.status}", where=where)
    return ProviderError(f"refused: {failure.status} {said}", where=where)


def lost(error: Exception, where: str, *, write: bool) -> ProviderError:
    """Return the error of ours for a call that got no answer at all; raise it ``from`` that one."""
    import urllib3.exceptions as wire

    if isinstance(error, TooLong):
        return InDoubt(error.what, where=where) if write else TooLong(error.what, where=where)
    cause = error.reason if isinstance(error, wire.MaxRetryError) and error.reason is not None else error
    name = type(cause).__name__
    never_sent = wire.NewConnectionError | wire.ConnectTimeoutError | wire.SSLError | wire.ProxyError
    if isinstance(cause, never_sent) or "SSLError" in str(error):
        return Transient(f"cannot be reached ({name}: {shown(str(cause))})", where=where)
    if write:
        return InDoubt(f"its answer was lost ({name})", where=where)
    return Transient(f"does not answer ({name})", where=where)


def set_aside(error: ProviderError, kind: Kind, failed: list[str], said: str) -> None:
    """Note that one listing of several failed, so that the others go on.

    Only a kind that the API server keeps itself speaks for all others: any other may be answered for by an
    APIService of the agent's, which says 401 or nothing as it likes.

    Raises:
        ProviderError: the others would fail like it: the credential has ended, or nothing answers again.
    """
    silent = isinstance(error, Transient) and not isinstance(error, TooLong) and not failure_of(error).status
    if BUILT_IN.get(kind.name) == kind and (isinstance(error, CredentialsExpired) or (silent and failed)):
        raise error
    failed.append(said)


def shown(text: str) -> str:
    """Return a server's words, made safe to show and short."""
    return "".join(one if "\x20" <= one < "\x7f" else "?" for one in text)[:LONGEST_TEXT]


def _pause_s(retry_after: str) -> float:
    if not (retry_after.isascii() and retry_after.isdecimal()):
        return 1.0
    return min(LONGEST_PAUSE_S, float(retry_after))
