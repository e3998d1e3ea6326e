"""Takes the orders of whoever started the sandbox: JSON over HTTP on loopback, with a secret."""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from breakglass.errors import BreakglassError

SECRET_HEADER = "X-Breakglass-Sandbox"  # noqa: S105 - the name of a header
_LONGEST = 1 << 20

Order = Callable[[Mapping[str, Any]], Any]


class Control:
    """Listens on a free port until it is closed."""

    def __init__(self, secret: str, orders: Mapping[str, Order]) -> None:
        """Serve `orders` by name."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(secret, orders))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def _handler(secret: str, orders: Mapping[str, Order]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers one order."""

        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_POST(self) -> None:
            """Do it, or say why not."""
            length = self.headers.get("Content-Length", "")
            data = self.rfile.read(min(int(length), _LONGEST)) if length.isdecimal() else b""
            if not hmac.compare_digest(self.headers.get(SECRET_HEADER, "").encode(), secret.encode()):
                self._say(403, {"error": "wrong secret"})
                return
            order = orders.get(self.path.strip("/"))
            if order is None:
                self._say(404, {"error": f"no such order; there are: {', '.join(sorted(orders))}"})
                return
            try:
                self._say(200, {"answer": order(json.loads(data or b"{}"))})
            except (BreakglassError, ValueError, KeyError, TypeError, OSError) as error:
                self._say(400, {"error": f"{type(error).__name__}: {error}"})

        def _say(self, status: int, body: Mapping[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's own name
            """Say nothing: the caller gets the answer."""

    return Handler
