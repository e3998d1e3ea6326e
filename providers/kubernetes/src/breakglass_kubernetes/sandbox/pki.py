"""Makes the certificates of one sandbox: its authorities, its servers', its users', and their kubeconfigs.

The authority of etcd is another one than the cluster's: a user's certificate must not open the database
(Kubernetes documentation, "PKI certificates and requirements").
"""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALID = dt.timedelta(days=2)
"""A sandbox is thrown away after a run; nothing of it may be of use later."""
_BEFORE = dt.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes

    def write(self, stem: Path) -> None:
        """Keep them as STEM.crt and STEM.key, and both in STEM.pem, for this user alone."""
        for suffix, data in (
            (".crt", self.certificate),
            (".key", self.key),
            (".pem", self.certificate + self.key),
        ):
            write_private(stem.with_name(stem.name + suffix), data)


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates; its own is what clients and servers trust."""

    pair: Pair

    @classmethod
    def new(cls, name: str) -> Authority:
        """Make one."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        made = (
            _dated(subject, subject, key.public_key(), _VALID)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(Pair(made.public_bytes(serialization.Encoding.PEM), _pem(key)))

    @classmethod
    def read(cls, stem: Path) -> Authority:
        """Take up one that was written."""
        return cls(
            Pair(
                stem.with_name(f"{stem.name}.crt").read_bytes(),
                stem.with_name(f"{stem.name}.key").read_bytes(),
            )
        )

    def client(self, user: str, groups: Sequence[str] = (), *, valid: dt.timedelta = _VALID) -> Pair:
        """Return what a client shows to be `user` in `groups` (CN and O: Kubernetes' "Authenticating")."""
        names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject = x509.Name([*names, x509.NameAttribute(NameOID.COMMON_NAME, user)])
        return self._issue(subject, (ExtendedKeyUsageOID.CLIENT_AUTH,), valid)

    def server(self, name: str, hosts: Sequence[str] = ()) -> Pair:
        """Return what a server on loopback shows; it may be shown by a client too (etcd's gateway does)."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usages = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
        return self._issue(subject, usages, _VALID, ("localhost", *hosts))

    def _issue(
        self,
        subject: x509.Name,
        usages: Sequence[x509.ObjectIdentifier],
        valid: dt.timedelta,
        hosts: Sequence[str] = (),
    ) -> Pair:
        own = x509.load_pem_x509_certificate(self.pair.certificate)
        own_key = serialization.load_pem_private_key(self.pair.key, None)
        if not isinstance(own_key, ec.EllipticCurvePrivateKey):
            raise TypeError("the authority's key is not one that new() made")
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            _dated(subject, own.subject, key.public_key(), valid)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(own_key.public_key()), critical=False
            )
        )
        if hosts:
            addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            names = [x509.DNSName(host) for host in hosts]
            made = made.add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
        signed = made.sign(own_key, hashes.SHA256())
        return Pair(signed.public_bytes(serialization.Encoding.PEM), _pem(key))


def signing_key() -> tuple[bytes, bytes]:
    """Return a private and a public key, PEM, for the tokens of service accounts."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return _pem(key), public


def kubeconfig(server: str, ca: bytes, name: str, user: dict[str, str]) -> bytes:
    """Return a kubeconfig with one context, named like its user, and everything inside it.

    It is written as JSON, which every reader of YAML reads.
    """
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(ca).decode()}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "sandbox", "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": "sandbox", "user": name}}],
        "current-context": name,
    }
    return json.dumps(config, indent=1).encode() + b"\n"


def client_kubeconfig(server: str, ca: bytes, name: str, pair: Pair) -> bytes:
    """Return the kubeconfig of somebody with a client certificate."""
    user = {
        "client-certificate-data": base64.b64encode(pair.certificate).decode(),
        "client-key-data": base64.b64encode(pair.key).decode(),
    }
    return kubeconfig(server, ca, name, user)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that no other user reads."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def _dated(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, valid: dt.timedelta
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # One that is over was valid for a moment, an hour ago.
        .not_valid_before(min(now, now + valid) - _BEFORE)
        .not_valid_after(now + valid)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
