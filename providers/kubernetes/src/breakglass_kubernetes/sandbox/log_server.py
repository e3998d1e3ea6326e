"""Serves what a kubelet serves to the API server: the logs of containers, and nothing else."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

CALLERS = "sandbox:kubelet-callers"
"""The group of the API server's own client certificate: a user's must not open this door."""
_LOGS = "containerLogs"

Answer = Callable[[str, str, str, Mapping[str, str]], tuple[int, bytes]]


class Parted(Exception):
    """The node is parted from the API server, so that it answers nothing."""


class LogServer:
    """Listens on a free port until it is closed."""

    def __init__(self, pki: Path, answer: Answer) -> None:
        """Serve `answer(namespace, pod, container, query)`, to the API server alone."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki / "node.pem")
        context.load_verify_locations(pki / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(answer))
        self._server.daemon_threads = True
        # The handshake is for the connection's thread: a caller that says nothing must not keep others out.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        threading.Thread(target=self._server.serve_forever, args=(0.2,), name="logs", daemon=True).start()

    @property
    def port(self) -> int:
        """Return where it listens."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def _handler(answer: Answer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers one connection."""

        protocol_version = "HTTP/1.1"
        timeout = 120

        def do_GET(self) -> None:
            """Answer /containerLogs/NAMESPACE/POD/CONTAINER."""
            address = urlsplit(self.path)
            parts = [unquote(part) for part in address.path.strip("/").split("/")]
            if not _is_caller(self.connection):
                self._say(403, b"only the API server may ask")
                return
            if len(parts) != 4 or parts[0] != _LOGS:  # noqa: PLR2004 - see the docstring
                self._say(404, b"the stub kubelet serves logs only: it runs no container")
                return
            try:
                status, said = answer(parts[1], parts[2], parts[3], dict(parse_qsl(address.query)))
            except Parted:
                self.close_connection = True
                return
            except ValueError as error:
                status, said = 400, str(error).encode()
            self._say(status, said)

        do_POST = do_GET  # noqa: N815 - the name that http.server calls; exec and attach come so

        def _say(self, status: int, said: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
            """Say nothing."""

    return Handler


def _is_caller(connection: object) -> bool:
    """Say whether the client's certificate is the API server's."""
    shown = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    subject = (shown or {}).get("subject", ())
    return any(
        pair == ("organizationName", CALLERS)
        for names in subject
        if isinstance(names, tuple)
        for pair in names
    )
