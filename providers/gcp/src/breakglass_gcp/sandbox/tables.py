"""Method tables, generated on first use from the official clients: nothing is described by hand."""

from __future__ import annotations

import importlib
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from breakglass_gcp.sandbox import documents
from breakglass_gcp.sandbox.routes import Route, route_of
from breakglass_gcp.sandbox.sources import COMPUTE, GRPC, MIXED


@dataclass(frozen=True, slots=True)
class Method:
    """One method: its handler's key, its message types (None: plain JSON), whether messages stream."""

    key: str
    request: Any
    response: Any
    kind: str = "unary_unary"


class _Recorder:
    """Stands where the generated transports expect a channel, and keeps what they ask of it."""

    def __init__(self) -> None:
        self.path, self.kind = "", ""

    def __getattr__(self, kind: str) -> Any:  # noqa: ANN401 - whatever kind of callable is asked for
        def remember(path: str, **_: object) -> None:
            self.path, self.kind = path, kind

        return remember


@dataclass(slots=True)
class Tables:
    """What is known of each service, read when it is first asked for."""

    _services: dict[str, Mapping[str, Method]] = field(default_factory=dict)
    _routes: dict[str, list[Route]] = field(default_factory=dict)
    _gate: threading.RLock = field(default_factory=threading.RLock)

    def grpc(self, path: str) -> Method | None:
        """Return a gRPC method by its full path; None: Google's client has none such."""
        service = path[1:].partition("/")[0]
        return self._service(service).get(path)

    def load(self, key: str) -> None:
        """Read what is known of a source (as `routes` names it) before it is asked for."""
        self.routes(key)
        if key in GRPC:
            self._service(key)

    def _service(self, service: str) -> Mapping[str, Method]:
        with self._gate:
            if service not in self._services:
                clients = MIXED.get(service, (service,))
                self._services[service] = {
                    path: method
                    for client in clients
                    if client in GRPC
                    for path, method in _grpc_methods(GRPC[client].module).items()
                    if path.startswith(f"/{service}/")
                }
            return self._services[service]

    def routes(self, key: str) -> list[Route]:
        """Return the REST routes of a source: a gRPC service, ``compute.SERVICE`` or a document's name."""
        with self._gate:
            if key not in self._routes:
                self._routes[key] = self._read(key)
            return self._routes[key]

    def _read(self, key: str) -> list[Route]:
        if key in GRPC:
            return self._grpc_routes(key) if GRPC[key].prefix else []
        if key.startswith("compute."):
            return _compute_routes(key.removeprefix("compute."))
        return documents.routes(key, self.grpc)

    def _grpc_routes(self, service: str) -> list[Route]:
        by_name = {
            path.rpartition("/")[2]: method for path, method in _grpc_methods(GRPC[service].module).items()
        }
        found = []
        for name, options in _http_options(GRPC[service].module).items():
            if name in by_name:
                found += [route_of(by_name[name], one) for one in options]
        return found


def _grpc_methods(module: str) -> dict[str, Method]:
    transports = importlib.import_module(f"{module}.grpc")
    found: dict[str, Method] = {}
    for name, held in vars(_class(transports, "GrpcTransport")).items():
        wanted = getattr(getattr(held, "fget", None), "__annotations__", {}).get("return")
        types: Sequence[Any] = getattr(wanted, "__args__", ())
        if len(types) != len(("request", "response")) or name == "operations_client":
            continue
        request, response = types
        recorder = _Recorder()
        held.fget(SimpleNamespace(_stubs={}, _logged_channel=recorder, grpc_channel=recorder))
        found[recorder.path] = Method(recorder.path, request, response, recorder.kind)
    return found


def _http_options(module: str) -> dict[str, list[dict[str, str]]]:
    held = vars(_class(importlib.import_module(f"{module}.rest_base"), "RestTransport"))
    return {
        name.removeprefix("_Base"): one._get_http_options()  # noqa: SLF001 - the only place that has them
        for name, one in held.items()
        if name.startswith("_Base") and hasattr(one, "_get_http_options")
    }


def _compute_routes(service: str) -> list[Route]:
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", service).lower()
    module = COMPUTE.module.format(snake)
    held = vars(_class(importlib.import_module(f"{module}.rest"), "RestTransport"))
    found = []
    for name, options in _http_options(module).items():
        called = vars(held.get(f"_{name}", object)).get("__call__")
        said = getattr(called, "__annotations__", {})
        key = f"compute.{service}.{name[0].lower()}{name[1:]}"
        method = Method(key, said.get("request"), said.get("return"))
        found += [route_of(method, one) for one in options]
    return found


def _class(module: Any, end: str) -> Any:  # noqa: ANN401 - a module and a class of Google's
    return next(
        held
        for name, held in vars(module).items()
        if name.endswith(end) and not name.startswith("_Logging") and held.__module__ == module.__name__
    )
