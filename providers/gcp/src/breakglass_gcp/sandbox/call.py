"""One call to the sandbox: what is asked, by whom, and how it is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.world import World

CODES: Mapping[str, tuple[int, int]] = {
    "OK": (0, 200),
    "CANCELLED": (1, 499),
    "UNKNOWN": (2, 500),
    "INVALID_ARGUMENT": (3, 400),
    "DEADLINE_EXCEEDED": (4, 504),
    "NOT_FOUND": (5, 404),
    "ALREADY_EXISTS": (6, 409),
    "PERMISSION_DENIED": (7, 403),
    "RESOURCE_EXHAUSTED": (8, 429),
    "FAILED_PRECONDITION": (9, 400),
    "ABORTED": (10, 409),
    "OUT_OF_RANGE": (11, 400),
    "UNIMPLEMENTED": (12, 501),
    "INTERNAL": (13, 500),
    "UNAVAILABLE": (14, 503),
    "DATA_LOSS": (15, 500),
    "UNAUTHENTICATED": (16, 401),
}
"""google/rpc/code.proto: each code's number and the HTTP status that it maps to."""


class Refusal(Exception):
    """A call is refused with a status as Google's interfaces give it.

    `http` overrides the HTTP status that belongs to the code (Compute answers 412 to a stale fingerprint).
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        http: int = 0,
        domain: str = "googleapis.com",
    ) -> None:
        """Keep what is answered; an unknown code is a mistake of the model.

        Raises:
            ValueError: there is no such code.
        """
        if code not in CODES:
            raise ValueError(f"no code {code!r} in google/rpc/code.proto")
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message
        self.reason, self.metadata, self.domain = reason, dict(metadata or {}), domain
        self.http = http or CODES[code][1]
        self.grpc = CODES[code][0]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a bearer token is.

    `principal` is the e-mail of an account or user, or the whole ``principal://`` name of a federated one;
    `member` is the same as allow policies write it (``serviceAccount:EMAIL``); `kind` is ``user``,
    ``serviceAccount`` or ``federated``.
    """

    principal: str
    kind: str
    token_id: str
    unique_id: str = ""
    pool: str = ""
    groups: Sequence[str] = ()
    """Further ``principalSet://`` names that hold for it (a federated one's attributes and groups)."""

    @property
    def member(self) -> str:
        """Return it as allow policies write it."""
        return self.principal if "://" in self.principal else f"{self.kind}:{self.principal}"


@dataclass(frozen=True, slots=True)
class RestRequest:
    """A request of a method that only a discovery document describes.

    `params` are the path's variables, `query` the query's (the last of each name; `queries` has all),
    `body` the JSON object ({} when there is none), `raw` the bytes as they came.
    """

    verb: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    queries: Mapping[str, Sequence[str]] = field(default_factory=dict)
    raw: bytes = b""
    upload: bool = False


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer that is not JSON (a download), or one with headers of its own; handlers may return it."""

    body: bytes
    content_type: str = "application/octet-stream"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_json(cls, value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Raw:
        """Return JSON with a status and headers of its own."""
        return cls(json.dumps(value).encode(), "application/json; charset=UTF-8", status, headers or {})


@dataclass(slots=True)
class Call:
    """One call as handlers see it; the world's lock is held while a handler runs.

    `request` is the typed message of Google's client (proto-plus, or protobuf where the client has that), or
    a RestRequest; for a method whose client streams it is an iterator of messages, the lock is not held and
    the handler returns an iterator.
    """

    world: World
    method: str
    request: Any
    caller: Caller | None
    project: str = ""
    """The project's id as far as the request names one; may be empty."""
    resource: str = ""
    transport: str = "grpc"
    headers: Mapping[str, str] = field(default_factory=dict)
    operation_fault: str = ""
    """``never`` or seconds: what a fault orders for the operation that this call starts."""
    deltas: Sequence[Mapping[str, Any]] = ()
    """What a policy gained and lost by this call (`audited.deltas`)."""

    @property
    def now_s(self) -> float:
        """Return the world's time in seconds since 1970."""
        return self.world.now_s()

    def needs(self, permission: str, resource: str) -> None:
        """Refuse unless the caller has a permission on a resource (allow, deny, boundaries).

        `resource` is a relative name: ``projects/P``, ``projects/P/locations/L/jobs/J`` ...

        Raises:
            Refusal: PERMISSION_DENIED.
        """
        from breakglass_gcp.sandbox import authorise

        authorise.require(self.world, self.caller, permission, resource)

    def may(self, permission: str, resource: str) -> bool:
        """Tell whether the caller has a permission on a resource."""
        from breakglass_gcp.sandbox import authorise

        return authorise.allowed(self.world, self.caller, permission, resource)

    def fail(self, code: str, message: str, *, reason: str = "", http: int = 0) -> NoReturn:
        """Refuse the call.

        Raises:
            Refusal: always.
        """
        raise Refusal(code, message, reason=reason, http=http)
