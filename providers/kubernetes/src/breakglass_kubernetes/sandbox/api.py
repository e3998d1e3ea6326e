"""Speaks to the sandbox's API server: plain HTTPS and JSON over kept connections."""

from __future__ import annotations

import http.client
import json
import select
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from breakglass.errors import ProviderError

ANSWER_S = 60.0
_GOOD, _BAD = 200, 300
_LONGEST_SAID = 600

Query = Mapping[str, str | int | bool]


class ApiError(ProviderError):
    """The API server refused; `body` is its Status object where it sent one."""

    def __init__(self, status: int, body: Any, *, where: str = "") -> None:  # noqa: ANN401 - JSON
        """Keep the answer as it came."""
        said = body.get("message", "") if isinstance(body, dict) else str(body)
        super().__init__(f"{status}: {said[:_LONGEST_SAID]}", where=where)
        self.status = status
        self.body = body


class Api:
    """One identity at one API server."""

    def __init__(self, server: str, ca: Path, *, pem: Path | None = None, token: str | None = None) -> None:
        """Trust the authority in `ca`; be who the certificate in `pem`, or the token, says."""
        address = urlsplit(server)
        self._host, self._port = address.hostname or "", address.port or 443
        self._context = ssl.create_default_context(cafile=str(ca))
        if pem is not None:
            self._context.load_cert_chain(pem)
        self._headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        self._idle: list[http.client.HTTPSConnection] = []
        self._closed = False
        self._lock = threading.Lock()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,  # noqa: ANN401 - JSON
        *,
        content_type: str = "application/json",
        query: Query | None = None,
        timeout_s: float = ANSWER_S,
    ) -> Any:  # noqa: ANN401 - JSON
        """Make one call; return its JSON, or its text where it is not JSON.

        Raises:
            ApiError: the API server refused it.
            OSError: the connection broke; whether it was done is not known.
        """
        connection = self._take(timeout_s)
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {**self._headers, "Accept": "application/json", "Content-Type": content_type}
        try:
            connection.request(method, path + _written(query), body=data, headers=headers)
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            if isinstance(error, OSError):
                raise
            raise ConnectionError(f"{method} {path}: {error!r}") from error
        except BaseException:
            connection.close()
            raise
        self._give_back(connection)
        parsed = _parsed(said, answer.headers.get("Content-Type", ""))
        if not _GOOD <= answer.status < _BAD:
            raise ApiError(answer.status, parsed, where=f"{method} {path}")
        return parsed

    def stream(self, path: str, query: Query, *, quiet_s: float) -> Iterator[dict[str, Any]]:
        """Follow a watch; it ends when the server ends it; TimeoutError after `quiet_s` of silence.

        Raises:
            ApiError: the API server refused it.
            OSError: the connection broke.
        """
        connection = http.client.HTTPSConnection(
            self._host, self._port, context=self._context, timeout=quiet_s
        )
        try:
            connection.request("GET", path + _written(query), headers=self._headers)
            answer = connection.getresponse()
            if answer.status != _GOOD:
                said = _parsed(answer.read(), answer.headers.get("Content-Type", ""))
                raise ApiError(answer.status, said, where=f"WATCH {path}")
            while line := answer.readline():
                yield json.loads(line)
        except http.client.HTTPException as error:
            raise ConnectionError(f"WATCH {path}: {error!r}") from error
        finally:
            connection.close()

    def close(self) -> None:
        """Close its connections, and those of calls under way when they end."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self, timeout_s: float) -> http.client.HTTPSConnection:
        """Return a connection that nobody uses, a new one if the server has closed it meanwhile."""
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        if kept is None:
            kept = http.client.HTTPSConnection(self._host, self._port, context=self._context)
        if kept.sock is not None and _readable(kept.sock):
            kept.close()
        kept.timeout = timeout_s
        if kept.sock is not None:
            kept.sock.settimeout(timeout_s)
        return kept

    def _give_back(self, connection: http.client.HTTPSConnection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()


def path_of(*parts: str) -> str:
    """Return a path whose parts may be anything."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


def _readable(connection: socket.socket) -> bool:
    """Say whether there is something to read where nothing was asked: it is the end."""
    looking = select.poll()
    looking.register(connection, select.POLLIN)
    return bool(looking.poll(0))


def _written(query: Query | None) -> str:
    if not query:
        return ""
    told = {name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items()}
    return "?" + urlencode(told)


def _parsed(said: bytes, kind: str) -> Any:  # noqa: ANN401 - JSON
    text = said.decode(errors="replace")
    return json.loads(text) if kind.startswith("application/json") else text
