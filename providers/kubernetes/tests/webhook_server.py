"""An admission webhook that an agent runs: a real HTTPS server on loopback, which refuses or changes."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from breakglass_kubernetes.sandbox import pki
from breakglass_kubernetes.sandbox.process import Sandbox

RUDE = "no \x1b[2K\x1b[32m[bold green]contained[/] \u202e\r\n"
"""What a terminal would obey, and what Rich would."""


@dataclass(slots=True)
class Hook:
    """A webhook that answers, and what it was asked."""

    url: str
    ca: str
    asked: list[str] = field(default_factory=list)

    def entry(
        self,
        name: str,
        path: str,
        namespace: str,
        *,
        scope: str = "Namespaced",
        **more: Any,  # noqa: ANN401 - JSON
    ) -> dict[str, Any]:
        """Return an entry of a webhook configuration for every change in one namespace."""
        rule = {
            "apiGroups": ["*"],
            "apiVersions": ["*"],
            "operations": ["*"],
            "resources": ["*/*"],
            "scope": scope,
        }
        return {
            "name": name,
            "clientConfig": {"url": self.url + path, "caBundle": self.ca},
            "rules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 5,
            **more,
        }


@contextmanager
def webhook(plane: Sandbox, folder: Path) -> Iterator[Hook]:
    """Serve ``/refuse``, ``/rude`` (no to everything), ``/three`` (replicas are 3, whatever is asked)."""
    pair = pki.Authority.read(plane.folder / "pki" / "ca").server("webhook", ["127.0.0.1"])
    pair.write(folder / "webhook")
    hook = Hook("", base64.b64encode(plane.ca_pem).decode())

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            request = review["request"]
            hook.asked.append(f"{request['operation']} {request['resource']['resource']}")
            said = {"uid": request["uid"], **_answer(self.path, request)}
            data = json.dumps({**review, "request": None, "response": said}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "webhook.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    hook.url = f"https://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(path: str, request: dict[str, Any]) -> dict[str, Any]:
    if path.startswith("/rude"):
        return {"allowed": False, "status": {"message": RUDE, "code": 403}}
    if path.startswith("/refuse"):
        return {"allowed": False, "status": {"message": "the agent says no", "code": 403}}
    if not isinstance((request.get("object") or {}).get("spec", {}).get("replicas"), int):
        return {"allowed": True}
    change = [{"op": "replace", "path": "/spec/replicas", "value": 3}]
    patch = base64.b64encode(json.dumps(change).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": patch}
