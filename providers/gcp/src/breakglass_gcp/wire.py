"""Makes Google's own clients, each for its endpoint: the one place that knows of another than the real one.

An endpoint that is given must be plain HTTP on loopback (`settings.on_loopback`); it goes over an insecure
channel. All others go over TLS to the hosts of `services.SERVICES`. Every call carries the token that `token`
returns at that moment.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from breakglass.errors import UsageError
from breakglass_gcp.executor import CALL_S, endpoint_of
from breakglass_gcp.services import SERVICES, Service
from breakglass_gcp.settings import GcpSettings, on_loopback


def check_endpoints(settings: GcpSettings, *, drill: bool) -> None:
    """Refuse endpoints that a token must not be shown to.

    Raises:
        UsageError: one is given and this is no drill, or it is not on loopback.
    """
    for name, url in settings.mapping("endpoints").items():
        if not drill or not on_loopback(url):
            raise UsageError(f"endpoints: {name} is for a sandbox on loopback, in a drill only")


Token = Callable[[], str]
_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
"""As Google's own transports set them."""
_LOOPBACK_OPTIONS = (*_OPTIONS, ("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))


class Wire:
    """Clients of one identity."""

    def __init__(self, settings: GcpSettings, token: Token, *, drill: bool) -> None:
        """Make no client yet.

        Raises:
            UsageError: an endpoint is given and this is no drill, or it is not on loopback.
        """
        check_endpoints(settings, drill=drill)
        self._settings = settings
        self._token = token
        self._gate = threading.RLock()
        self._clients: dict[tuple[str, str], Any] = {}
        self._channels: dict[str, Any] = {}
        self._session: Any = None

    def client(self, name: str, location: str = "") -> Any:  # noqa: ANN401 - Google's clients have no types here
        """Return the client of a service, made once."""
        service = SERVICES[name]
        with self._gate:
            if (name, location) not in self._clients:
                self._clients[name, location] = self._made(name, service, location)
            return self._clients[name, location]

    def send(self, name: str, method: str, path: str, **more: Any) -> Any:  # noqa: ANN401 - requests' own
        """Send one request over REST; `more` is what requests takes (params, json, data, headers).

        Raises:
            requests.RequestException: it did not come back.
        """
        location = str(more.pop("location", ""))
        headers = {**more.pop("headers", {}), "authorization": f"Bearer {self._token()}"}
        url = f"{self.rest_root(name, location)}/{path.lstrip('/')}"
        return self._requests().request(
            method, url, headers=headers, timeout=CALL_S, auth=_as_it_is, allow_redirects=False, **more
        )

    def rest_root(self, name: str, location: str = "") -> str:
        """Return the URL under which a service's REST interface lies."""
        host = SERVICES[name].host.format(location=location)
        return endpoint_of(self._settings, name, "rest") or f"https://{host}"

    def close(self) -> None:
        """Let go of connections."""
        with self._gate:
            channels, self._channels = list(self._channels.values()), {}
            session, self._session = self._session, None
            self._clients = {}
        for channel in channels:
            channel.close()
        if session is not None:
            session.close()

    def _made(self, name: str, service: Service, location: str) -> Any:  # noqa: ANN401 - as above
        import importlib

        kind = getattr(importlib.import_module(service.module), service.client)
        endpoint = endpoint_of(self._settings, name, service.transport)
        if service.transport == "rest":
            options = {"api_endpoint": endpoint} if endpoint else {}
            made = kind(transport="rest", credentials=_bearer(self._token), client_options=options)
            session = getattr(made.transport, "_session", None)
            if session is not None:  # as our own: see `_requests`
                session.auth, session.trust_env = _as_it_is, not endpoint
            return made
        host = service.host.format(location=location)
        return kind(transport=kind.get_transport_class("grpc")(channel=self._channel(endpoint, host)))

    def _channel(self, endpoint: str, host: str) -> Any:  # noqa: ANN401 - as above
        import grpc

        key = endpoint or host
        if key not in self._channels:
            if endpoint:
                plain = grpc.insecure_channel(urlsplit(endpoint).netloc, options=_LOOPBACK_OPTIONS)
            else:
                plain = grpc.secure_channel(f"{host}:443", grpc.ssl_channel_credentials(), options=_OPTIONS)
            self._channels[key] = grpc.intercept_channel(plain, _with_token(self._token))
        return self._channels[key]

    def _requests(self) -> Any:  # noqa: ANN401 - as above
        import requests
        from requests.adapters import HTTPAdapter

        with self._gate:
            if self._session is None:
                session = requests.Session()
                session.trust_env = not self._settings.mapping("endpoints")  # no proxy before loopback
                session.mount("https://", HTTPAdapter(pool_maxsize=32))
                session.mount("http://", HTTPAdapter(pool_maxsize=32))
                self._session = session
            return self._session


def _as_it_is(request: Any) -> Any:  # noqa: ANN401 - requests' own
    """Return a request with the token that it has; without this, somebody's .netrc would replace it."""
    return request


def _with_token(token: Token) -> Any:  # noqa: ANN401 - grpc has no types here
    """Return what adds the token to every call of a channel."""
    import grpc

    class WithToken(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):  # type: ignore[misc]  # grpc has no types here
        """Adds the token of this moment."""

        def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:  # noqa: ANN401 - grpc's own
            return continuation(_told(details), request)

        def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:  # noqa: ANN401 - grpc's own
            return continuation(_told(details), request)

    def _told(details: Any) -> Any:  # noqa: ANN401 - grpc's own
        metadata = [*(details.metadata or ()), ("authorization", f"Bearer {token()}")]
        return _Details(details.method, details.timeout, metadata, None, details.wait_for_ready, None)

    class _Details(grpc.ClientCallDetails):  # type: ignore[misc]  # grpc has no types here
        def __init__(self, *values: Any) -> None:  # noqa: ANN401 - grpc's own
            names = ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression")
            for name, value in zip(names, values, strict=True):
                setattr(self, name, value)

    return WithToken()


def _bearer(token: Token) -> Any:  # noqa: ANN401 - google-auth has no types here
    """Return credentials that show the token of this moment, for the clients that call over REST."""
    from google.auth import credentials

    class Bearer(credentials.Credentials):  # type: ignore[misc]  # google-auth has no types here
        """Shows a token that somebody else keeps alive."""

        def refresh(self, request: object) -> None:  # noqa: ARG002 - google-auth's own signature
            self.token = token()

        def before_request(self, *unused: object, **more: object) -> None:
            headers: Any = more["headers"] if "headers" in more else unused[3]
            headers["authorization"] = f"Bearer {token()}"

    return Bearer()


def warm(wire: Wire, names: tuple[str, ...]) -> None:
    """Make these clients, one after another; for the main thread (DESIGN 10)."""
    for name in names:
        if SERVICES[name].module:
            wire.client(name)
