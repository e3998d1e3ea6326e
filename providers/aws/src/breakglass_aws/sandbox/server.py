"""Serves the front and the control address on one port of loopback."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from breakglass_aws.sandbox.process import ACCOUNT, CONTROL

os.environ.setdefault("MOTO_ACCOUNT_ID", ACCOUNT)
StartResponse = Callable[..., Any]


class Server:
    """A threaded WSGI server around moto."""

    def __init__(self, port: int) -> None:
        """Bind; nothing is served yet."""
        from moto.moto_server.werkzeug_app import (
            DomainDispatcherApplication,
            MotoRequestHandler,
            create_backend_app,
        )
        from werkzeug.serving import make_server

        class Quiet(MotoRequestHandler):  # type: ignore[misc]  # werkzeug's own way to log nothing
            def log(self, *_: object) -> None: ...

        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", port, self._answer, threaded=True, request_handler=Quiet)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def serve(self) -> None:
        """Serve until a signal."""
        self._server.serve_forever()

    def _answer(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not path.startswith(CONTROL):
            return list(self._moto(environ, start_response))
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        answer = self._control(path.removeprefix(CONTROL), json.loads(body or b"{}"))
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]

    def _control(self, verb: str, body: Mapping[str, Any]) -> object:  # noqa: ARG002 - filled by the front
        if verb == "reset":
            from moto.core.models import botocore_stubber  # noqa: F401 - loads what a reset walks over
            from moto.moto_api._internal import moto_api_backend

            moto_api_backend.reset()
        return {"verb": verb}
