"""Writes the sink's HTTP answers, right ones and deliberately wrong ones."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler

from breakglass.drill.sink_faults import Fault

HUGE_BYTES = 256 * 1024 * 1024
DRIP_S = 0.1


def answer(handler: BaseHTTPRequestHandler, status: int, body: Mapping[str, object]) -> None:
    """Send a JSON answer."""
    send(handler, status, json.dumps(body).encode(), {"Content-Type": "application/json"})


def refuse(handler: BaseHTTPRequestHandler, status: int, error: str) -> None:
    """Send an OAuth error (RFC 6749 5.2, RFC 6750 3)."""
    headers = {"Content-Type": "application/json"}
    if status == 401:  # noqa: PLR2004 - the status of RFC 6750 3
        headers["WWW-Authenticate"] = f'Bearer error="{error}"'
    send(handler, status, json.dumps({"error": error}).encode(), headers)


def send(handler: BaseHTTPRequestHandler, status: int, data: bytes, headers: Mapping[str, str]) -> None:
    """Send a whole answer."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def misbehave(handler: BaseHTTPRequestHandler, fault: Fault) -> bool:
    """Show a fault; False: the endpoint goes on and answers itself."""
    if fault.kind == "slow":
        time.sleep(fault.seconds)
        return False
    if fault.kind in _PLAIN:
        status, data = _PLAIN[fault.kind]
        headers = {"Content-Type": "application/json"}
        if fault.kind == "throttle":
            headers["Retry-After"] = f"{fault.seconds:g}"
        if fault.kind == "redirect":
            headers["Location"] = "/effect/redirected"
        send(handler, status, data, headers)
        return True
    if fault.kind in _BROKEN:
        handler.close_connection = True
        _BROKEN[fault.kind](handler, fault)
        return True
    return False


_PLAIN: Mapping[str, tuple[int, bytes]] = {
    "lie": (200, b"{}"),
    "throttle": (429, b'{"error":"slow_down"}'),
    "error": (500, b"<html>Internal Server Error</html>"),
    "denied": (403, b'{"error":"access_denied"}'),
    "garbage": (200, b'{"active": fal'),
    "twice": (200, b'{"active": true, "active": false}'),
    "missing": (404, b"not found"),
    "redirect": (307, b""),
}


def _hang(_handler: BaseHTTPRequestHandler, fault: Fault) -> None:
    time.sleep(fault.seconds or 3600.0)


def _drip(handler: BaseHTTPRequestHandler, fault: Fault) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    ends_s = time.monotonic() + (fault.seconds or 3600.0)
    while time.monotonic() < ends_s:
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(DRIP_S)


def _huge(handler: BaseHTTPRequestHandler, _fault: Fault) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % HUGE_BYTES)
    block = b" " * 65_536
    for _ in range(HUGE_BYTES // len(block)):
        handler.wfile.write(block)


def _short(handler: BaseHTTPRequestHandler, _fault: Fault) -> None:
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"active": false}')


def _reset(handler: BaseHTTPRequestHandler, _fault: Fault) -> None:
    handler.connection.close()


_BROKEN = {"hang": _hang, "drip": _drip, "huge": _huge, "short": _short, "reset": _reset}
