"""One HTTPS connection pool to the API server, as one identity, on the official client.

Every configuration is made new: a copy of the client's default one keeps a hook that renews the token of
whoever was loaded first, and would act as that one. Nothing here reads or sets a default, and no variable
of the environment chooses a proxy, a CA or a key log. The pool of the client is called itself: the client
reads an answer of any length, and follows redirects as its pool was told. Neither retries nor redirects: a
lost answer to a write must be read again, not sent again, and a token goes to one host alone.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from breakglass.errors import Denied
from breakglass_kubernetes.credential import Shown
from breakglass_kubernetes.kubeconfig import Context, ca_der
from breakglass_kubernetes.refusals import TooLong

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

CONNECT_S = 3.0
READ_S = 10.0
WHOLE = 2
"""An answer that drips has so many times the read timeout in all."""
CONNECTIONS = 32
MAX_ANSWER = 256 * 1024 * 1024
"""A page of 500 objects of half a megabyte: more than that is nobody's honest answer."""
CHUNK = 256 * 1024
USER_AGENT = "breakglass"
_SYSTEM = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


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
        # The constructor takes these from the environment.
        configuration.proxy = context.proxy or None
        configuration.no_proxy = None
        self._server = context.server
        self._client = ApiClient(configuration)
        self._pool = self._client.rest_client.pool_manager
        self._pool.connection_pool_kw["ssl_context"] = _tls(context, shown)
        self._pool.connection_pool_kw["block"] = False

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
            urllib3.exceptions.HTTPError: no answer came, or not all of it.
            TooLong: there is no end of it.
        """
        from urllib3 import Timeout

        headers = {"Accept": "application/json, */*", "User-Agent": USER_AGENT, "Content-Type": content_type}
        if self._shown.token:
            headers["Authorization"] = f"Bearer {self._shown.token}"
        until_s = time.monotonic() + CONNECT_S + read_s * WHOLE
        response = self._pool.request(
            method,
            self._server + path + (f"?{urlencode(query)}" if query else ""),
            body=None if body is None else json.dumps(body),
            headers=headers,
            timeout=Timeout(connect=CONNECT_S, read=read_s),
            preload_content=False,
            redirect=False,
            retries=False,
        )
        try:
            data = _whole(response, until_s)
        except BaseException:
            with contextlib.suppress(OSError):
                response.close()
            raise
        response.release_conn()
        return Answer(int(response.status), data, str(response.headers.get("Retry-After") or ""))

    def ready(self) -> bool:
        """Return whether the server is ready: before that it refuses everybody, since it knows no role yet.

        Seen on 1.36.2, just started. ``/readyz`` is everybody's who is authenticated, by such a role
        (Kubernetes documentation, "Using RBAC Authorization"), and waits until they are read ("Kubernetes
        API health endpoints").
        """
        from urllib3.exceptions import HTTPError

        try:
            return self.call("GET", "/readyz").ok
        except (HTTPError, OSError, TooLong):
            return False

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.clear()
        self._client.close()


def _whole(response: BaseHTTPResponse, until_s: float) -> bytes:
    """Read an answer to its end. Raises TooLong; HTTPError: it is too slow, or cut short."""
    from urllib3.exceptions import HTTPError

    found, size = list[bytes](), 0
    while data := response.read1(CHUNK):
        found.append(data)
        size += len(data)
        if size > MAX_ANSWER:
            raise TooLong(f"gives an answer of more than {MAX_ANSWER} bytes")
        if time.monotonic() > until_s:
            raise HTTPError("an answer that does not end")
    return b"".join(found)


def _tls(context: Context, shown: Shown) -> ssl.SSLContext:
    """Trust the CA of the kubeconfig alone; the plain constructor reads no variable."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    where = f"context {context.name}"
    try:
        if context.ca_pem:
            made.load_verify_locations(cadata=ca_der(context.ca_pem, where=where))
        else:
            made.load_verify_locations(cafile=_system_roots(where))
        if shown.certificate:
            # OpenSSL reads these from files alone; they are gone again before the first call.
            with tempfile.TemporaryDirectory(prefix="breakglass-tls-") as folder:
                chain, key = Path(folder) / "chain", Path(folder) / "key"
                chain.write_bytes(shown.certificate)
                key.touch(0o600)
                key.write_bytes(shown.key)
                # A key under a passphrase would ask for it at the terminal.
                made.load_cert_chain(chain, key, password=_refuse_to_ask)
    except (ssl.SSLError, ValueError) as error:
        raise Denied("a certificate or a key of the kubeconfig cannot be read", where=where) from error
    return made


def _refuse_to_ask() -> str:
    raise ValueError("the key is encrypted")


def _system_roots(where: str) -> str:
    """Return the file of the system's roots that was compiled in. Raises Denied: there is none."""
    candidates = (ssl.get_default_verify_paths().openssl_cafile, *_SYSTEM)
    if found := next((path for path in candidates if Path(path).is_file()), ""):
        return found
    raise Denied("its cluster has no certificate-authority, and the system has no roots", where=where)
