"""The front: every request is read, authenticated, throttled, authorised, recorded and only then answered."""

from __future__ import annotations

import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from breakglass_aws.sandbox import additions, codes, faults, sts
from breakglass_aws.sandbox.authority import Authority, Ruling
from breakglass_aws.sandbox.backend import Answer, Moto, of_moto, serialised, with_parameter
from breakglass_aws.sandbox.call import Call, Refusal
from breakglass_aws.sandbox.credentials import Identity, Rejected, secret_of
from breakglass_aws.sandbox.evaluator import PolicyError
from breakglass_aws.sandbox.keyring import remember
from breakglass_aws.sandbox.process import ACCOUNT, REGION
from breakglass_aws.sandbox.record import RECORD
from breakglass_aws.sandbox.refused import code_in, denied, unruled, with_status
from breakglass_aws.sandbox.signature import Claim, claim, verify
from breakglass_aws.sandbox.tables import NoRule
from breakglass_aws.sandbox.throttle import THROTTLE
from breakglass_aws.sandbox.views import VIEWS
from breakglass_aws.sandbox.wire import Received, Understood, receive, services_of, understand

UNSIGNED_OPERATIONS = frozenset({"AssumeRoleWithWebIdentity"})
OWN_USER = frozenset(
    {"CreateAccessKey", "DeleteAccessKey", "GetUser", "ListAccessKeys", "ListMFADevices", "UpdateAccessKey"}
)
"""IAM API Reference: "If you do not specify a user name, IAM determines the user name implicitly based on
the access key ID signing the request"."""
ANONYMOUS = Identity("anonymous", "", "*", "", "")
FIRST_ERROR = 400


class Vanished(Exception):
    """The connection is to be closed without an answer."""


@dataclass(slots=True)
class _Attempt:
    """What is known so far of one request, for its record."""

    service: str = "unknown"
    protocol: str = "query"
    understood: Understood | None = None
    call: Call | None = None
    identity: Identity | None = None
    action: str = ""
    resource: str = "*"
    allowed: bool = False
    fault: str | None = None


class Front:
    """A WSGI application around moto."""

    def __init__(self, moto: Moto, authority: Authority) -> None:
        """Take the backend and the evaluator."""
        self._moto = moto
        self._authority = authority

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        attempt = _Attempt()
        code = ""
        try:
            status, headers, body = self._answered(receive(environ), attempt)
        except Refusal as error:
            code = error.code
            status, headers, body = codes.written(
                attempt.service, attempt.protocol, with_status(error, attempt.understood)
            )
        except Vanished:
            self._record(attempt, code, 0, b"")
            _cut(environ)
        code = code or (code_in(headers, body) if status >= FIRST_ERROR else "")
        self._record(attempt, code, status, body)
        if environ["REQUEST_METHOD"] == "HEAD" and status >= FIRST_ERROR:
            body = b""
        kept = [
            (name, value) for name, value in headers if name.lower() not in ("content-length", "connection")
        ]
        if environ["REQUEST_METHOD"] == "HEAD":
            kept = list(headers)
        else:
            kept.append(("Content-Length", str(len(body))))
        start_response(f"{status} {'OK' if status < FIRST_ERROR else 'Refused'}", kept)
        return [body]

    def _answered(self, received: Received, attempt: _Attempt) -> Answer:
        try:
            return self._answer(received, attempt)
        except (Refusal, Vanished):
            raise
        except Exception as error:
            said = of_moto(error)
            if said is not None:
                raise said from error
            traceback.print_exc(file=sys.stderr)
            raise Refusal("InternalFailure", f"the sandbox itself failed: {error!r}", 500) from error

    def _answer(self, received: Received, attempt: _Attempt) -> Answer:
        now_s = time.time()
        understood, call = self._known(received, attempt, now_s)
        self._misbehave_before(call, attempt)
        if not THROTTLE.admits(call.account, call.region, call.service, call.operation):
            raise codes.refusal(attempt.service, attempt.protocol, codes.THROTTLED, "Rate exceeded")
        self._authorise(call, attempt, now_s)
        if attempt.fault == faults.NO_EFFECT:
            return serialised(understood, {})
        answer = self._carried_out(call, received, understood, attempt.identity)
        if attempt.fault == faults.DROP:
            raise Vanished
        return answer

    def _known(self, received: Received, attempt: _Attempt, now_s: float) -> tuple[Understood, Call]:
        """Read the call and authenticate its caller."""
        try:
            made = claim(received)
            scope = made.service if made is not None else _unsigned_service(received)
            attempt.service = next(iter(services_of(scope, received.path)))
            attempt.understood = understood = understand(received, scope)
            attempt.service, attempt.protocol = understood.service, understood.protocol
            attempt.call = _call(received, understood, made)
            attempt.identity = identity = self._authenticated(received, made, understood, now_s)
        except Rejected as error:
            raise codes.refusal(attempt.service, attempt.protocol, error.kind, error.message) from error
        known = identity or ANONYMOUS
        call = replace(attempt.call, account=known.account or attempt.call.account, caller=known.arn)
        attempt.call = call = _own_user(call, known)
        attempt.action = f"{call.service}:{call.operation}"
        return understood, call

    def _authenticated(
        self, received: Received, made: Claim | None, understood: Understood, now_s: float
    ) -> Identity | None:
        if understood.operation.name in UNSIGNED_OPERATIONS:
            return None
        if made is None:
            raise Rejected(codes.UNSIGNED, "Request is missing Authentication Token")
        secret, identity = secret_of(made.key_id, made.token, now_s)
        verify(received, made, secret, now_s)
        return identity

    def _misbehave_before(self, call: Call, attempt: _Attempt) -> None:
        attempt.fault = fault = faults.FAULTS.take(call.service, call.operation, call.access_key)
        refusals = {
            faults.EXPIRED: codes.EXPIRED,
            faults.THROTTLE: codes.THROTTLED,
            faults.ERROR_500: codes.BROKEN,
        }
        if fault in refusals:
            raise codes.refusal(attempt.service, attempt.protocol, refusals[fault], f"as ordered: {fault}")
        if fault == faults.HANG:
            faults.FAULTS.hang()
            raise Vanished

    def _authorise(self, call: Call, attempt: _Attempt, now_s: float) -> None:
        ruling = self._ruled(call, attempt.identity, now_s)
        attempt.action, attempt.resource, attempt.allowed = ruling.action, ruling.resource, ruling.allowed
        if not ruling.allowed:
            raise codes.refusal(attempt.service, attempt.protocol, codes.DENIED, denied(call, ruling))

    def _ruled(self, call: Call, identity: Identity | None, now_s: float) -> Ruling:
        try:
            own = sts.ruling(call, identity, self._authority, now_s) if call.service == "sts" else None
            if own is not None:
                return own
            return self._authority.authorise(call, identity or ANONYMOUS, now_s)
        except (NoRule, PolicyError) as error:
            return unruled(call, identity or ANONYMOUS, error)

    def _carried_out(
        self, call: Call, received: Received, understood: Understood, identity: Identity | None
    ) -> Answer:
        for guard in additions.GUARDS.get((call.service, call.operation), ()):
            guard(call)
        watched = call.service in ("iam", "organizations")
        if watched:
            VIEWS.before(call)
            if call.operation == "DeleteAccessKey":
                remember(call.account, str(call.params.get("AccessKeyId")))
        try:
            return self._handled(call, received, understood, identity)
        finally:
            if watched:
                VIEWS.after(call, time.time())

    def _handled(
        self, call: Call, received: Received, understood: Understood, identity: Identity | None
    ) -> Answer:
        handler = additions.HANDLERS.get((call.service, call.operation))
        if handler is not None:
            return serialised(understood, handler(call))
        if call.service == "sts":
            return serialised(understood, sts.answer(call, identity))
        if call.params.get("UserName") and "UserName" not in understood.params:
            received = with_parameter(received, "UserName", str(call.params["UserName"]))
        return self._moto.answer(call, received, understood)

    def _record(self, attempt: _Attempt, code: str, status: int, body: bytes) -> None:
        if attempt.call is None:
            return
        RECORD.add(
            attempt.call,
            attempt.identity,
            (attempt.action, attempt.resource),
            allowed=attempt.allowed,
            code=code,
            fault=attempt.fault,
            status=status,
            body=body,
        )


def _call(received: Received, understood: Understood, made: Claim | None) -> Call:
    return Call(
        understood.service,
        understood.operation.name,
        understood.params,
        ACCOUNT,
        made.region if made is not None else REGION,
        "*",
        made.key_id if made is not None else "",
        received.source_ip,
    )


def _own_user(call: Call, identity: Identity) -> Call:
    """Say whose keys are meant where the call leaves it open."""
    if call.service != "iam" or call.operation not in OWN_USER or call.params.get("UserName"):
        return call
    if identity.kind == "root" and call.params.get("AccessKeyId"):
        owner = VIEWS.access_key(str(call.params["AccessKeyId"]), float("inf"))
        return call if owner is None else replace(call, params={**call.params, "UserName": owner.user})
    if identity.kind != "user":
        raise Refusal("ValidationError", "Must specify userName when calling with non-User credentials")
    return replace(call, params={**call.params, "UserName": identity.name})


def _unsigned_service(received: Received) -> str:
    text = f"{received.query}&{received.body[:4096].decode(errors='replace')}"
    return "sts" if any(f"Action={name}" in text for name in UNSIGNED_OPERATIONS) else "s3"


def _cut(environ: Mapping[str, Any]) -> None:
    connection = environ.get("werkzeug.socket")
    if isinstance(connection, socket.socket):
        connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError("dropped as ordered")
