"""One HTTPS connection pool to the API server, as one identity, on the official client.

Every configuration is made new: a copy of the client's default one keeps a hook that renews the token of
whoever was loaded first, and would act as that one. Nothing here reads or sets a default. The client's own
retries are off: a lost answer to a write must be read again, not sent again.
"""

from __future__ import annotations

import json
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from breakglass.errors import Denied
from breakglass_kubernetes.credential import Shown
from breakglass_kubernetes.kubeconfig import Context

CONNECT_S = 3.0
READ_S = 10.0
CONNECTIONS = 32
USER_AGENT = "breakglass"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said, whatever its status."""

    status: int
    data: bytes
    retry_after: str = ""

    @property
    def ok(self) -> bool:
        """Return whether it did what was asked."""
        return 200 <= self.status < 300  # noqa: PLR2004 - RFC 9110 15.3

    def json(self) -> Any:  # noqa: ANN401 - JSON
        """Return the body. Raises ValueError: it is no JSON."""
        return json.loads(self.data)


class Wire:
    """Calls of one identity."""

    def __init__(self, context: Context, shown: Shown) -> None:
        """Make a pool; no call is made.

        Raises:
            Denied: a certificate or key of the kubeconfig is none.
        """
        from kubernetes.client import ApiClient, Configuration

        self._shown = shown
        configuration = Configuration(host=context.server)
        configuration.retries = False
        configuration.refresh_api_key_hook = None
        configuration.connection_pool_maxsize = CONNECTIONS
        configuration.tls_server_name = context.server_name or None
        if context.proxy:
            configuration.proxy = context.proxy
        self._client = ApiClient(configuration)
        pool = self._client.rest_client.pool_manager
        pool.connection_pool_kw["ssl_context"] = _tls(context, shown)
        pool.connection_pool_kw["block"] = False

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,  # noqa: ANN401 - JSON
        content_type: str = "application/json",
        read_s: float = READ_S,
    ) -> Answer:
        """Make one call.

        Raises:
            urllib3.exceptions.HTTPError: no answer came.
        """
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        headers = {"Accept": "application/json, */*", "User-Agent": USER_AGENT, "Content-Type": content_type}
        if self._shown.token:
            headers["Authorization"] = f"Bearer {self._shown.token}"
        try:
            made = self._client.request(
                method,
                self._client.configuration.host + path,
                query_params=list((query or {}).items()),
                headers=headers,
                body=body,
                _request_timeout=(CONNECT_S, read_s),
            )
        except ApiException as error:
            if not error.status:  # the client's own words for a failed TLS handshake
                raise HTTPError(f"SSLError: {error.reason}") from error
            return Answer(error.status, _bytes(error.body), _header(error.headers, "Retry-After"))
        return Answer(made.status, _bytes(made.data))

    def close(self) -> None:
        """Let go of the connections."""
        self._client.rest_client.pool_manager.clear()
        self._client.close()


def _tls(context: Context, shown: Shown) -> ssl.SSLContext:
    try:
        made = ssl.create_default_context(cadata=context.ca_pem.decode("ascii") if context.ca_pem else None)
        if shown.certificate:
            # OpenSSL reads these from files alone; they are gone again before the first call.
            with tempfile.TemporaryDirectory(prefix="breakglass-tls-") as folder:
                chain, key = Path(folder) / "chain", Path(folder) / "key"
                chain.write_bytes(shown.certificate)
                key.touch(0o600)
                key.write_bytes(shown.key)
                made.load_cert_chain(chain, key)
    except (ssl.SSLError, ValueError) as error:
        raise Denied(
            "a certificate or a key of the kubeconfig cannot be read", where=f"context {context.name}"
        ) from error
    return made


def _bytes(data: Any) -> bytes:  # noqa: ANN401 - the client gives text or bytes
    if isinstance(data, str):
        return data.encode()
    return bytes(data or b"")


def _header(headers: Any, name: str) -> str:  # noqa: ANN401 - the client gives a mapping or a list
    found = dict(headers or {})
    return next((str(value) for key, value in found.items() if str(key).lower() == name.lower()), "")
