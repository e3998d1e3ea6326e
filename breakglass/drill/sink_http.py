"""Answers HTTP for the sink: the token endpoints, the switch of a client, and the effects.

Effects come one a request (``POST /effect/CHANNEL``) or many through a held request with a chunked body,
where each chunk is an effect and is judged for itself.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import cast
from urllib.parse import parse_qs, unquote_plus

from breakglass.drill.sink_answers import answer, misbehave, refuse
from breakglass.drill.sink_faults import Fault, Faults
from breakglass.drill.sink_issuer import Client, Issuer

MAX_BODY = 1024 * 1024
MAX_CHUNK_LINE = 64
UNAUTHORISED = 401
_CHANNEL = re.compile(r"/effect/([a-z][a-z0-9-]{0,63})", re.ASCII)
_SWITCH = re.compile(r"/admin/clients/([A-Za-z0-9._-]{1,128})(?:/(disable|enable))?", re.ASCII)
_UNPRINTABLE = re.compile(r"[^\x21-\x7e ]")


@dataclass(frozen=True, slots=True)
class Desk:
    """What every request may ask."""

    issuer: Issuer
    faults: Faults


class SinkHandler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "sink"
    sys_version = ""
    timeout = 120
    desk: Desk

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the standard library
        """Say nothing: the arrivals are the log."""

    def do_GET(self) -> None:
        """Answer metadata, the probe and the state of a client."""
        if self.path.startswith("/.well-known/oauth-authorization-server"):
            self._metadata()
        elif self.path == "/probe":
            self._probe()
        elif (match := _SWITCH.fullmatch(self.path)) is not None:
            self._client_state(match[1])
        else:
            refuse(self, 404, "not_found")

    def do_POST(self) -> None:
        """Answer the endpoints, the switch and the effects."""
        if (channel := _CHANNEL.fullmatch(self.path)) is not None:
            self._effects(channel[1])
            return
        body = self._body()
        if body is None:
            return
        if (switch := _SWITCH.fullmatch(self.path)) is not None and switch[2]:
            self._switch(switch[1], enabled=switch[2] == "enable")
        elif self.path == "/admin/faults":
            self._set_faults(body)
        elif self.path in {"/token", "/revoke", "/introspect"}:
            form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
            {"/token": self._token, "/revoke": self._revoke, "/introspect": self._introspect}[self.path](form)
        else:
            refuse(self, 404, "not_found")

    def _fault(self, endpoint: str) -> Fault | None:
        return self.desk.faults.take(endpoint)

    def _metadata(self) -> None:
        fault = self._fault("metadata")
        if fault is not None and misbehave(self, fault):
            return
        here = f"http://{self.headers.get('Host', '')}"
        there = "http://127.0.0.9:9" if fault is not None and fault.kind == "foreign" else here
        answer(
            self,
            200,
            {
                "issuer": here,
                "token_endpoint": f"{there}/token",
                "revocation_endpoint": f"{there}/revoke",
                "introspection_endpoint": f"{there}/introspect",
            },
        )

    def _probe(self) -> None:
        fault = self._fault("probe")
        if fault is not None and misbehave(self, fault):
            return
        found = self.desk.issuer.honoured(self._bearer())
        if found is None or found.kind != "access_token":
            refuse(self, UNAUTHORISED, "invalid_token")
        else:
            answer(self, 200, {"client_id": found.client_id})

    def _token(self, form: Mapping[str, str]) -> None:
        fault = self._fault("token")
        if fault is not None and misbehave(self, fault):
            return
        client = self._client(form)
        if client is None:
            refuse(self, UNAUTHORISED, "invalid_client")
            return
        if form.get("grant_type") == "refresh_token":
            pair = self.desk.issuer.refresh(client.client_id, form.get("refresh_token", ""))
        elif form.get("grant_type") == "client_credentials":
            pair = self.desk.issuer.mint(client.client_id)
        else:
            refuse(self, 400, "unsupported_grant_type")
            return
        if pair is None:
            refuse(self, 400, "invalid_grant")
            return
        answer(self, 200, {"access_token": pair[0], "refresh_token": pair[1], "token_type": "Bearer"})

    def _revoke(self, form: Mapping[str, str]) -> None:
        fault = self._fault("revoke")
        if fault is not None and misbehave(self, fault):
            return
        client = self._client(form)
        if client is None:
            refuse(self, UNAUTHORISED, "invalid_client")
        elif not self.desk.issuer.revoke(form.get("token", ""), client):
            refuse(self, 400, "invalid_request")
        else:
            answer(self, 200, {})

    def _introspect(self, form: Mapping[str, str]) -> None:
        fault = self._fault("introspect")
        if fault is not None and misbehave(self, fault):
            return
        client = self._client(form)
        if client is None or not client.revoker:
            refuse(self, UNAUTHORISED, "invalid_client")
            return
        found = self.desk.issuer.honoured(form.get("token", ""))
        if fault is not None and fault.kind == "active":
            answer(self, 200, {"active": True})
        elif found is None:
            answer(self, 200, {"active": False})
        else:
            answer(self, 200, {"active": True, "client_id": found.client_id, "token_type": found.kind})

    def _switch(self, client_id: str, *, enabled: bool) -> None:
        fault = self._fault("switch")
        if fault is not None and misbehave(self, fault):
            return
        if not self._is_revoker():
            refuse(self, UNAUTHORISED, "invalid_client")
        elif not self.desk.issuer.switch(client_id, enabled=enabled):
            refuse(self, 404, "not_found")
        else:
            answer(self, 200, {"client_id": client_id, "enabled": enabled})

    def _client_state(self, client_id: str) -> None:
        fault = self._fault("client")
        if fault is not None and misbehave(self, fault):
            return
        enabled = self.desk.issuer.enabled(client_id)
        if not self._is_revoker():
            refuse(self, UNAUTHORISED, "invalid_client")
        elif enabled is None:
            refuse(self, 404, "not_found")
        else:
            answer(self, 200, {"client_id": client_id, "enabled": enabled})

    def _set_faults(self, body: bytes) -> None:
        if not self._is_revoker():
            refuse(self, UNAUTHORISED, "invalid_client")
            return
        self.desk.faults.set([Fault(**item) for item in json.loads(body)])
        answer(self, 200, {})

    def _effects(self, channel: str) -> None:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            if self._body() is not None:
                self._one_effect(channel)
            return
        while (size := self._chunk_size()) is not None:
            if size == 0:
                self.rfile.readline(MAX_CHUNK_LINE)
                answer(self, 200, {})
                return
            if not self._stamp(channel):
                break
        self.close_connection = True
        refuse(self, UNAUTHORISED, "invalid_token")

    def _one_effect(self, channel: str) -> None:
        if self._stamp(channel):
            answer(self, 200, {})
        else:
            refuse(self, UNAUTHORISED, "invalid_token")

    def _stamp(self, channel: str) -> bool:
        by = _UNPRINTABLE.sub("?", self.headers.get("User-Agent", ""))[:64]
        return self.desk.issuer.effect(self._bearer(), channel, by).allowed

    def _chunk_size(self) -> int | None:
        """Read one chunk and return its size; None when the body is broken or over."""
        try:
            size = int(self.rfile.readline(MAX_CHUNK_LINE).split(b";")[0], 16)
        except ValueError:
            return None
        if not 0 < size <= MAX_BODY:
            return size if size == 0 else None
        return size if len(self.rfile.read(size + 2)) == size + 2 else None

    def _body(self) -> bytes | None:
        """Read the body; None when it was refused."""
        text = self.headers.get("Content-Length", "0")
        if not text.isdigit() or int(text) > MAX_BODY:
            self.close_connection = True
            refuse(self, 413, "too_large")
            return None
        return self.rfile.read(int(text))

    def _bearer(self) -> str:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return token if scheme.lower() == "bearer" else ""

    def _client(self, form: Mapping[str, str]) -> Client | None:
        """Authenticate by HTTP Basic or by the form (RFC 6749 2.3.1)."""
        scheme, _, text = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return self.desk.issuer.authenticate(form.get("client_id", ""), form.get("client_secret", ""))
        try:
            name, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return self.desk.issuer.authenticate(unquote_plus(name), unquote_plus(secret))

    def _is_revoker(self) -> bool:
        client = self._client({})
        return client is not None and client.revoker


def handler_for(desk: Desk) -> type[SinkHandler]:
    """Return the handler class that asks this desk."""
    return cast("type[SinkHandler]", type("BoundSinkHandler", (SinkHandler,), {"desk": desk}))
