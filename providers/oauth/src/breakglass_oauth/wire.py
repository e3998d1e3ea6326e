"""Makes HTTP calls that carry secrets: one time limit for the whole call, no redirects, no proxies.

Only the standard library: `http.client` follows no redirect and reads no proxy variable, which is what a
call with a bearer token in it wants. Environment variables choose neither the CA (the compiled-in paths
are used, not SSL_CERT_FILE) nor a key log. An answer that is cut short is never taken for a whole one.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from breakglass.errors import ProviderError, Transient, Unsupported

MAX_ANSWER_BYTES = 64 * 1024
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class _Dropped(Transient):
    """The server closed the connection instead of answering."""


class Wire:
    """Keeps connections open between calls; any number of threads may call."""

    def __init__(self, *, timeout_s: float, ca_file: str = "") -> None:
        """Connect to nothing yet."""
        self._timeout_s = timeout_s
        self._ca_file = ca_file
        self._lock = threading.Lock()
        self._idle: dict[str, list[http.client.HTTPConnection]] = {}
        self._context: ssl.SSLContext | None = None

    def call(
        self, method: str, url: str, *, form: Mapping[str, str] | None = None, authorization: str = ""
    ) -> Answer:
        """Make one call.

        Raises:
            Transient: nobody answered in time, or not in whole.
            ProviderError: the server's certificate is not trusted.
        """
        headers = {"Accept": "application/json", "User-Agent": "breakglass"}
        if authorization:
            headers["Authorization"] = authorization
        body = None if form is None else urllib.parse.urlencode(form).encode()
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        where = origin(url)
        with self._lock:
            idle = self._idle.setdefault(where, [])
            kept = idle.pop() if idle else None
        if kept is not None:
            # A server may close a kept connection at any time; every call here may be made twice.
            with contextlib.suppress(_Dropped):
                return self._exchange(kept, method, url, body, headers)
        return self._exchange(self._open(url), method, url, body, headers)

    def close(self) -> None:
        """Let go of every kept connection."""
        with self._lock:
            for idle in self._idle.values():
                for connection in idle:
                    connection.close()
            self._idle.clear()

    def _open(self, url: str) -> http.client.HTTPConnection:
        address = urllib.parse.urlsplit(url)
        host, secure = address.hostname or "", address.scheme == "https"
        connection = http.client.HTTPConnection(host, address.port or (443 if secure else 80))
        connection.auto_open = 0  # or it would open a plain connection in place of a lost TLS one
        connection.default_port = 443 if secure else 80
        context = self._trust() if secure else None
        try:
            plain = socket.create_connection((host, connection.port), timeout=self._timeout_s)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise Transient(f"does not answer: {_words(error)}", where=origin(url)) from error
        connection.sock = plain
        if context is not None:
            connection.sock = self._secure(context, plain, host, origin(url))
        return connection

    def _secure(self, context: ssl.SSLContext, plain: socket.socket, host: str, where: str) -> ssl.SSLSocket:
        try:
            return _shaken(context, plain, host, self._timeout_s)
        except ssl.SSLCertVerificationError as error:
            raise ProviderError(
                f"its certificate is not trusted: {error.verify_message}", where=where
            ) from error
        except (OSError, ValueError) as error:
            raise Transient(f"no TLS: {_words(error)}", where=where) from error

    def _trust(self) -> ssl.SSLContext:
        with self._lock:
            if self._context is None:
                self._context = trust(self._ca_file)
            return self._context

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> Answer:
        address = urllib.parse.urlsplit(url)
        target = (address.path or "/") + (f"?{address.query}" if address.query else "")
        done = False
        try:
            with _limit(connection.sock, self._timeout_s) as late:
                connection.request(method, target, body, dict(headers))
                response = connection.getresponse()
                data = response.read(MAX_ANSWER_BYTES + 1)
            if len(data) > MAX_ANSWER_BYTES:
                raise Transient(f"answered more than {MAX_ANSWER_BYTES} bytes", where=origin(url))
            if response.length or late.is_set():
                raise Transient("its answer was cut short", where=origin(url))
            done = response.isclosed() and not response.will_close
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, data)
        except ConnectionError as error:
            if late.is_set():
                raise Transient("does not answer: time is over", where=origin(url)) from error
            raise _Dropped(f"does not answer: {_words(error)}", where=origin(url)) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Transient(f"does not answer: {_words(error)}", where=origin(url)) from error
        finally:
            self._keep(connection, url) if done else connection.close()

    def _keep(self, connection: http.client.HTTPConnection, url: str) -> None:
        with self._lock:
            self._idle.setdefault(origin(url), []).append(connection)


def origin(url: str) -> str:
    """Return scheme, host and port: what a secret may be sent to."""
    address = urllib.parse.urlsplit(url)
    port = address.port or (443 if address.scheme == "https" else 80)
    host = address.hostname or ""
    return f"{address.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def trust(ca_file: str) -> ssl.SSLContext:
    """Return a context that trusts the named CA, else the system's, whatever the environment says.

    Raises:
        Unsupported: no CA can be found or read.
    """
    compiled = ssl.get_default_verify_paths()
    candidates = (ca_file,) if ca_file else (compiled.openssl_cafile, *_BUNDLES)
    found = next((path for path in candidates if Path(path).is_file()), None)
    if found is None:
        raise Unsupported("no CA certificates here: name ca_file in the inventory", where=ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=found)
    except (OSError, ssl.SSLError) as error:
        raise Unsupported(f"not CA certificates: {_words(error)}", where=found) from error
    return context


def _shaken(context: ssl.SSLContext, plain: socket.socket, host: str, seconds: float) -> ssl.SSLSocket:
    secured = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
    with contextlib.ExitStack() as undo:
        undo.callback(secured.close)
        with _limit(secured, seconds):
            secured.do_handshake()
        undo.pop_all()
    return secured


@contextlib.contextmanager
def _limit(connected: socket.socket, seconds: float) -> Iterator[threading.Event]:
    """Cut the connection when the whole exchange takes too long: a socket's own limit is per byte."""
    late = threading.Event()
    timer = threading.Timer(seconds, _cut, [connected, late])
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def _cut(connected: socket.socket, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError):
        # The plain shutdown, also under TLS: another thread is inside of the TLS object.
        socket.socket.shutdown(connected, socket.SHUT_RDWR)


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "time is over"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
