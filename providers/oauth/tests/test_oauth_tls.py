"""Over TLS, to a real server: only the CA that was named or the system's is trusted."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from breakglass.errors import ProviderError, Transient, Unsupported
from breakglass_oauth.wire import Wire


class Hello(BaseHTTPRequestHandler):
    """Answer every request with the Host header that came."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the standard library
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer."""
        data = self.headers.get("Host", "").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@dataclass(frozen=True)
class TlsServer:
    """Where it listens, and the certificate that it shows."""

    url: str
    certificate: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    """Run an HTTPS server with a certificate that nobody but itself signed."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "cert.pem", folder / "key.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    listening = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    listening.daemon_threads = True
    # The handshake belongs to the connection's own thread, so that one that never comes blocks nobody.
    listening.socket = context.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=listening.serve_forever, args=(0.05,))
    thread.start()
    yield TlsServer(f"https://127.0.0.1:{listening.server_address[1]}", public)
    listening.shutdown()
    thread.join()
    listening.server_close()


def test_the_ca_that_the_inventory_names_is_trusted_and_the_connection_kept(server: TlsServer) -> None:
    """Two calls, one handshake."""
    wire = Wire(timeout_s=2, ca_file=str(server.certificate))
    answers = [wire.call("GET", f"{server.url}/x") for _ in range(2)]
    wire.close()

    assert [200, 200] == [answer.status for answer in answers]
    assert server.url.removeprefix("https://").encode() == answers[0].body


def test_a_certificate_that_nobody_vouches_for_is_refused(
    server: TlsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where the environment names it: who sets our variables must not choose our CA."""
    monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
    wire = Wire(timeout_s=2)

    with pytest.raises(ProviderError, match="certificate is not trusted") as caught:
        wire.call("GET", server.url)
    assert not isinstance(caught.value, Transient)
    wire.close()


def test_the_name_in_the_certificate_counts(server: TlsServer) -> None:
    """A good certificate of another host is no good here."""
    wire = Wire(timeout_s=2, ca_file=str(server.certificate))

    with pytest.raises(ProviderError, match="certificate is not trusted"):
        wire.call("GET", server.url.replace("127.0.0.1", "localhost"))
    wire.close()


def test_no_tls_key_is_ever_logged(
    server: TlsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSLKEYLOGFILE would let somebody else read the token on the wire."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    wire = Wire(timeout_s=2, ca_file=str(server.certificate))
    wire.call("GET", server.url)
    wire.close()

    assert not (tmp_path / "keys").exists()


def test_a_ca_file_that_is_none_is_said_before_connecting(server: TlsServer, tmp_path: Path) -> None:
    """The platform or the inventory is wrong, not the issuer."""
    (tmp_path / "ca.pem").write_text("nonsense")
    wire = Wire(timeout_s=2, ca_file=str(tmp_path / "ca.pem"))

    with pytest.raises(Unsupported, match="not CA certificates"):
        wire.call("GET", server.url)
    wire.close()
