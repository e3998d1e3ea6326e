"""Makes calls to Google's services as one identity: paced, bounded in time, told in the engine's words."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from breakglass.clock import Clock
from breakglass.errors import ProviderError, Throttled, Transient
from breakglass_gcp import operations
from breakglass_gcp.executor import CALL_S
from breakglass_gcp.messages import listed, unreached
from breakglass_gcp.pace import Pace
from breakglass_gcp.refusals import Conflict, Unauthenticated, is_write, shown, translate
from breakglass_gcp.services import SERVICES
from breakglass_gcp.wire import Wire

T = TypeVar("T")
Refused = Callable[[Unauthenticated], ProviderError]
OPERATION_S = 8.0
_POLL_S = 0.1
_LONGEST_POLL_S = 1.0
_MAX_PAGES = 100_000
_OK = 300
_BYTES = "application/octet-stream"
_NOT_READ = (ValueError, TypeError, AttributeError, KeyError, RecursionError)


@dataclass(frozen=True, slots=True)
class Listing:
    """All items of a listing, and the places that did not answer it: what they hold is not in it."""

    items: tuple[Any, ...]
    unreachable: tuple[str, ...] = ()


class Calls:
    """Calls of one identity in one project."""

    def __init__(self, wire: Wire, clock: Clock, pace: Pace, refused: Refused = lambda error: error) -> None:
        """Make no call yet; `refused` says what a refused credential of this identity means."""
        self._wire = wire
        self._clock = clock
        self._pace = pace
        self._refused = refused

    def call(self, service: str, method: str, request: object = None, *, location: str = "") -> Any:  # noqa: ANN401 - Google's messages have no types here
        """Make one call; `method` is the client's own name (``pause_job``).

        Raises:
            ProviderError: what the service refused; `code_of` and `reason_of` tell Google's words for it.
        """
        made = getattr(self._wire.client(service, location), method)
        return self._send(service, method, lambda: made(request=request or {}, retry=None, timeout=CALL_S))

    def every(self, service: str, method: str, request: object = None, *, location: str = "") -> Listing:
        """Return every page of a listing.

        Raises:
            ProviderError: one page failed; what came before it is not the whole.
        """
        items: list[Any] = []
        missed: list[str] = []
        for page in self.pages(service, method, request, location=location):
            items += listed(page)
            missed += unreached(page)
        return Listing(tuple(items), tuple(dict.fromkeys(missed)))

    def pages(
        self, service: str, method: str, request: object = None, *, location: str = ""
    ) -> Iterator[Any]:
        """Yield the pages of a listing, each one call of its own; one that has no pages is one page.

        Google's own iterator ends for good where one page fails: tried again, it would look like the end.

        Raises:
            ProviderError: one page failed, or they do not end.
        """
        asked, seen = request, set[str]()
        while True:
            answer = self.call(service, method, asked, location=location)
            if not hasattr(answer, "pages"):
                yield answer
                return
            yield next(iter(answer.pages))
            token = str(answer.next_page_token)
            if not token:
                return
            if token in seen or len(seen) >= _MAX_PAGES:
                raise ProviderError("the listing does not end", where=f"{service}.{method}")
            seen.add(token)
            asked = _from_page(request, token)

    def operate(
        self,
        service: str,
        method: str,
        request: object = None,
        *,
        wait_s: float = OPERATION_S,
        location: str = "",
    ) -> bool:
        """Begin a long-running operation and wait for it; return whether it is done, else it goes on.

        Raises:
            ProviderError: it could not be begun, or it failed.
        """
        begun = self.call(service, method, request, location=location)
        end_s, pause_s = self._clock.monotonic_s() + wait_s, _POLL_S
        told = operations.first(begun)
        while not operations.is_done(told):
            if self._clock.monotonic_s() + pause_s > end_s:
                return False
            self._clock.sleep(pause_s)
            pause_s = min(_LONGEST_POLL_S, pause_s * 1.5)
            try:
                told = self._send(
                    service, "get_operation", lambda: operations.newest(self._wire, service, location, begun)
                )
            except Transient:
                continue  # it goes on whether or not somebody looks
        if (failed := operations.failure(told)) is not None:
            raise translate(failed, method, f"{service}.{method}") from failed
        return True

    def rest(
        self,
        service: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        location: str = "",
    ) -> dict[str, Any]:
        """Make one call over REST, for what has no client here; `path` begins with the version.

        A body of bytes is sent as it is (an upload), any other as JSON.

        Raises:
            ProviderError: what the service refused.
        """

        def send() -> dict[str, Any]:
            from google.api_core import exceptions

            params = {key: value for key, value in (query or {}).items() if value is not None}
            raw = isinstance(body, bytes)
            sent = {"data": body, "headers": {"content-type": _BYTES}} if raw else {"json": body}
            answer = self._wire.send(service, method, path, params=params, location=location, **sent)
            if answer.status_code >= _OK:
                raise exceptions.from_http_response(answer)
            return _object(answer, f"{service} {path}")

        return self._send(service, method, send)

    def date(self, service: str, path: str) -> str:
        """Return what the answer of a read over REST says of when it was made; empty: it tells nothing.

        Raises:
            ProviderError: what the service refused.
        """

        def send() -> str:
            from google.api_core import exceptions

            answer = self._wire.send(service, "GET", path, headers={"cache-control": "no-cache"})
            if answer.status_code >= _OK:
                raise exceptions.from_http_response(answer)
            # RFC 9111, 5.1: what has an age comes from a cache, and was made earlier.
            return "" if "age" in answer.headers else str(answer.headers.get("date") or "")

        return self._send(service, "GET", send)

    def rest_pages(
        self,
        service: str,
        path: str,
        key: str,
        *,
        query: Mapping[str, object] | None = None,
        location: str = "",
    ) -> Listing:
        """Return the items under `key` of every page of a listing over REST.

        Raises:
            ProviderError: one page failed.
        """
        where = f"{service} {path}"
        items: list[Any] = []
        missed: list[str] = []
        token, seen = "", set[str]()
        while token not in seen and len(seen) < _MAX_PAGES:
            seen.add(token)
            asked = {**(query or {}), "pageToken": token or None}
            page = self.rest(service, "GET", path, query=asked, location=location)
            items += _list(page, key, where)
            missed += (str(one) for one in _list(page, "unreachable", where))
            token = str(page.get("nextPageToken") or "")
            if not token:
                return Listing(tuple(items), tuple(dict.fromkeys(missed)))
        raise ProviderError("the listing does not end", where=where)

    def close(self) -> None:
        """Let go of connections."""
        self._wire.close()

    def _send(self, service: str, method: str, make: Callable[[], T]) -> T:
        """Make a call at its service's rate; a read that may work the next moment is tried twice."""
        where, write = f"{service}.{method}", is_write(method)
        try:
            return self._once(service, where, make, write=write)
        except (Throttled, Conflict):
            raise
        except Transient:
            if write:
                raise
        self._clock.sleep(_POLL_S)
        return self._once(service, where, make, write=write)

    def _once(self, service: str, where: str, make: Callable[[], T], *, write: bool) -> T:
        import grpc
        import requests
        from google.api_core import exceptions as api
        from google.auth import exceptions as auth
        from google.protobuf import json_format, message

        budget = SERVICES[service].budget
        self._pace.wait(budget, write=write)
        try:
            return make()
        except Unauthenticated as error:  # the executor was given no token
            raise self._refused(error) from error.__cause__
        except (api.GoogleAPICallError, auth.GoogleAuthError, requests.RequestException) as error:
            told = translate(error, where.rpartition(".")[2], where)
            if isinstance(told, Throttled):
                self._pace.throttled(budget, write=write)
            raise (self._refused(told) if isinstance(told, Unauthenticated) else told) from error
        except (grpc.RpcError, message.Error, json_format.Error, *_NOT_READ) as error:
            # Google's clients let these out where an answer is none (JSON that is another thing, garbage).
            said = f"what was asked or answered cannot be read: {type(error).__name__}: {shown(str(error))}"
            raise ProviderError(said, where=where) from error


def _from_page(request: object, token: str) -> object:
    """Return a request for the page that a token names."""
    if request is None or isinstance(request, Mapping):
        return {**(request or {}), "page_token": token}
    asked: Any = copy.deepcopy(request)
    asked.page_token = token
    return asked


def _list(page: Mapping[str, Any], key: str, where: str) -> list[Any]:
    """Return a list of an answer. Raises ProviderError: it is another thing."""
    found = page.get(key) or []
    if not isinstance(found, list):
        raise ProviderError(f"answered a {key} that is no list", where=where)
    return found


def _object(answer: Any, where: str) -> dict[str, Any]:  # noqa: ANN401 - requests' own
    """Return the JSON object of an answer. Raises ProviderError: it is none."""
    if not answer.content:
        return {}
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise ProviderError("answered something that is no JSON object", where=where)
    return body
