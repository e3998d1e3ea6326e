"""Serves the front and the control address on one port of loopback."""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from breakglass_aws.sandbox import additions, credentials, faults, keyring, platform, record, throttle, views
from breakglass_aws.sandbox.authority import Authority
from breakglass_aws.sandbox.backend import Moto
from breakglass_aws.sandbox.call import Refusal
from breakglass_aws.sandbox.front import Front
from breakglass_aws.sandbox.minting import mint_session
from breakglass_aws.sandbox.process import CONTROL

StartResponse = Callable[..., Any]
_OWN_RESETS: tuple[Callable[[], None], ...] = (
    *faults.RESETS,
    *throttle.RESETS,
    *keyring.RESETS,
    *views.RESETS,
    credentials.SESSIONS.forget,
)


class Server:
    """A threaded WSGI server: the control address, and the front for everything else."""

    def __init__(self, port: int) -> None:
        """Bind; nothing is served yet."""
        from moto.moto_server.werkzeug_app import MotoRequestHandler
        from werkzeug.serving import make_server

        class Quiet(MotoRequestHandler):  # type: ignore[misc]  # werkzeug's own way to log nothing
            def log(self, *_: object) -> None: ...

        os.environ.pop("MOTO_ACCOUNT_ID", None)  # it would win over the account that each call is for
        self._moto = Moto()
        self._front = Front(self._moto, authority())
        self._server = make_server("127.0.0.1", port, self._answer, threaded=True, request_handler=Quiet)
        self._controls: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "reset": self._reset,
            "settings": _settings,
            "faults": _faults,
            "calls": _calls,
            "mint": _mint,
            "state": _state,
        }
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        for begin in additions.STARTS:
            begin(self.endpoint)
        platform.start(self.endpoint)

    def serve(self) -> None:
        """Serve until `stop`."""
        self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """End serving, from whatever thread or signal handler."""
        threading.Thread(target=self._server.shutdown, daemon=True).start()

    def _answer(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not path.startswith(CONTROL):
            return self._front(environ, start_response)
        status, said = self._controlled(path.removeprefix(CONTROL), environ)
        body = json.dumps(record.plain(said)).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _controlled(self, verb: str, environ: Mapping[str, Any]) -> tuple[str, object]:
        control = self._controls.get(verb) or additions.CONTROLS.get(verb)
        if control is None:
            return "404 Not Found", {"error": f"no control verb {verb!r}"}
        try:
            asked = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or b"{}")
            return "200 OK", control(asked)
        except (Refusal, ValueError, KeyError, TypeError) as error:
            return "400 Bad Request", {"error": f"{verb}: {error!r}"}
        except Exception as error:  # noqa: BLE001 - the control address tells whatever went wrong
            traceback.print_exc(file=sys.stderr)
            return "500 Internal Server Error", {"error": f"{verb}: {error!r}"}

    def _reset(self, _: Mapping[str, Any]) -> object:
        for forget in _OWN_RESETS:
            forget()
        self._moto.forget()
        for forget in (*additions.RESETS, *views.RESETS, *record.RESETS):
            forget()
        return {}


def authority() -> Authority:
    """Return the evaluator."""
    from breakglass_aws.sandbox import authorise

    return authorise


def _settings(asked: Mapping[str, Any]) -> object:
    unknown = set(asked) - {"visibility_delay_s", "throttle"} - set(additions.SETTINGS)
    if unknown:
        raise ValueError(f"no such settings: {', '.join(sorted(unknown))}")
    if "visibility_delay_s" in asked:
        views.VIEWS.delay_s = float(asked["visibility_delay_s"])
    if "throttle" in asked:
        throttle.THROTTLE.configure(asked["throttle"] or {})
    for name, configure in additions.SETTINGS.items():
        if name in asked:
            configure(asked)
    return {}


def _faults(asked: Mapping[str, Any] | list[Mapping[str, Any]]) -> object:
    faults.FAULTS.configure(asked if isinstance(asked, list) else asked.get("faults", ()))
    return {}


def _calls(asked: Mapping[str, Any]) -> object:
    return [one.as_json() for one in record.calls(int(asked.get("since", 0)))]


def _mint(asked: Mapping[str, Any]) -> object:
    return mint_session(
        str(asked["role"]),
        str(asked.get("session", "session")),
        float(asked.get("duration_s", 3600)),
        policies=asked.get("policies"),
        tags=asked.get("tags"),
        source_identity=str(asked.get("source_identity", "")),
    )


def _state(_: Mapping[str, Any]) -> object:
    return {name: tell() for name, tell in additions.STATES.items()}
