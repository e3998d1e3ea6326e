"""Which method a REST request is for, among the services that are modelled."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from breakglass_gcp.sandbox.call import Raw, Refusal, RestRequest
from breakglass_gcp.sandbox.front import Front
from breakglass_gcp.sandbox.routes import Route
from breakglass_gcp.sandbox.sources import GRPC
from breakglass_gcp.sandbox.tables import Tables
from breakglass_gcp.sandbox.transcode import as_raw, request_of

_STARTS: Mapping[str, tuple[str, ...]] = {
    "storage": (
        "/storage/",
        "/upload/storage/",
        "/download/storage/",
        "/resumable/upload/storage/",
        "/batch/",
    ),
    "bigquery": ("/bigquery/",),
    "iam": ("/v1/",),
    "aiplatform": ("/v1/", "/v1beta1/"),
    "orgpolicy": ("/v2/",),
    "apikeys": ("/v2/",),
    "cloudresourcemanager": ("/v3/", "/v1/"),
}


class RestFront:
    """Requests of Google's REST clients, brought to the front."""

    def __init__(self, front: Front, tables: Tables, endpoints: Mapping[str, str]) -> None:
        """Gather which sources have a method that is modelled; `endpoints` are paths with a handler's key."""
        self._front, self._tables, self._endpoints = front, tables, endpoints
        self._sources = sorted({_source(key) for key in front.handlers} - {""})

    def load(self) -> None:
        """Read every modelled service's tables: on first use, a caller would wait seconds for the imports."""
        for source in self._sources:
            self._tables.load(source)

    def answer(
        self, verb: str, path: str, query: Mapping[str, Sequence[str]], headers: Mapping[str, str], raw: bytes
    ) -> Raw:
        """Answer one request.

        Raises:
            Refusal: it is refused, or no modelled service has such a method.
        """
        endpoint = self._endpoint(path)
        if endpoint:
            last = {name: values[-1] for name, values in query.items()}
            plain = RestRequest(verb, path, {}, last, {}, headers, query, raw)
            return as_raw(None, self._front.answer(endpoint, plain, headers, "rest"), query)
        found = self._route(verb, path)
        if found is None:
            raise Refusal("UNIMPLEMENTED", f"the sandbox has no method for {verb} {path}")
        route, params = found
        typed = route.method.request is not None
        body = _json(raw) if typed or "json" in headers.get("content-type", "json") else {}
        request: Any = (
            request_of(route, params, query, body)
            if typed
            else RestRequest(
                verb,
                path,
                params,
                {name: values[-1] for name, values in query.items()},
                body,
                headers,
                query,
                raw,
                route.upload,
            )
        )
        said = self._front.answer(route.method.key, request, headers, "rest")
        return as_raw(route.method.response, said, query)

    def _endpoint(self, path: str) -> str:
        if path in self._endpoints:
            return self._endpoints[path]
        below = (
            key for start, key in self._endpoints.items() if start.endswith("/") and path.startswith(start)
        )
        return next(below, "")

    def _route(self, verb: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
        """Return the route with a handler, most literal first; else one without; None: there is none."""
        best: tuple[tuple[bool, int], Route, Mapping[str, str]] | None = None
        for source in self._candidates(path):
            for route in self._tables.routes(source):
                params = route.params(path) if route.verb == verb else None
                if params is not None:
                    rank = (route.method.key in self._front.handlers, route.weight)
                    if best is None or rank > best[0]:
                        best = (rank, route, params)
        return None if best is None else best[1:]

    def _candidates(self, path: str) -> Iterable[str]:
        for source in self._sources:
            if source.startswith("compute."):
                if path.startswith("/compute/"):
                    yield source
            elif source in GRPC:
                if GRPC[source].prefix and path.startswith(GRPC[source].prefix):
                    yield source
            elif path.startswith(_STARTS.get(source, ("/",))):
                yield source


def _source(key: str) -> str:
    """Return what describes a handler's method: a gRPC service, ``compute.SERVICE``, or a document."""
    if key.startswith("/"):
        service = key[1:].partition("/")[0]
        return service if service in GRPC else ""
    return ".".join(key.split(".")[:2]) if key.startswith("compute.") else key.partition(".")[0]


def _json(raw: bytes) -> dict[str, Any]:
    if not raw.strip():
        return {}
    try:
        said = json.loads(raw)
    except ValueError as error:
        raise Refusal("INVALID_ARGUMENT", f"Invalid JSON payload received. {error}") from error
    if not isinstance(said, dict):
        raise Refusal("INVALID_ARGUMENT", "Invalid JSON payload received. Not an object.")
    return said
