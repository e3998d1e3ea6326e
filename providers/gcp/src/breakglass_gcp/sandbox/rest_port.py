"""The REST port: the front, the token endpoints and the control address over HTTP."""

from __future__ import annotations

import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from breakglass_gcp.sandbox.call import Raw, Refusal
from breakglass_gcp.sandbox.status import as_json

Answer = Callable[[str, str, Mapping[str, Sequence[str]], Mapping[str, str], bytes], Raw]
"""verb, path, query, headers (names in lower case), body -> answer."""


class RestPort:
    """A threaded HTTP/1.1 server on loopback."""

    def __init__(self, answer: Answer, port: int, date: Callable[[], str]) -> None:
        """Bind; nothing is served before `serve`. `date` is what answers say of when they were made."""

        class Handler(_Handler):
            pass

        Handler.answer = staticmethod(answer)
        Handler.date = staticmethod(date)
        self._server = _Server(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]

    def serve(self) -> None:
        """Serve until `stop`."""
        self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """End serving, from whatever thread or signal handler."""
        threading.Thread(target=self._server.shutdown, daemon=True).start()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 - as the base has it
        if not isinstance(sys.exc_info()[1], OSError):
            traceback.print_exc(file=sys.stderr)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answer: Answer
    date: Callable[[], str]
    timeout = 300

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, *_: object) -> None:
        return

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            said = type(self).answer(
                self.command, path, parse_qs(query, keep_blank_values=True), headers, body
            )
        except Refusal as refusal:
            said = Raw(as_json(refusal), "application/json; charset=UTF-8", refusal.http)
        except Exception as error:  # noqa: BLE001 - it tells whatever went wrong
            traceback.print_exc(file=sys.stderr)
            failure = Refusal("INTERNAL", f"the sandbox failed: {error!r}")
            said = Raw(as_json(failure), "application/json; charset=UTF-8", failure.http)
        self._send(said)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815 - as the base has them

    def _send(self, said: Raw) -> None:
        self.send_response_only(said.status)
        if date := type(self).date():
            self.send_header("Date", date)
        self.send_header("Content-Type", said.content_type)
        self.send_header("Content-Length", str(len(said.body)))
        for name, value in said.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(said.body)
