"""Reads the executor's kubeconfig: one context of it, parsed by us and handed to the client whole.

The client's own loader keeps a default configuration with a hook that renews its token, and a copy of
that acts as whoever was loaded first; and it waits for a credential plug-in without end. Nothing of it is
used.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from breakglass.errors import Denied
from breakglass_kubernetes.objects import Body, bodies, items, part, text

MAX_BYTES = 1024 * 1024
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----(.+?)-----END [A-Z0-9 ]{1,40}-----", re.DOTALL)
_NOT_USED = ("auth-provider", "username", "password", "as", "as-uid", "as-groups", "as-user-extra")
REMEDY = 'see docs/kubernetes.md, "The executor\'s kubeconfig"'


@dataclass(frozen=True, slots=True)
class Plugin:
    """A credential plug-in: a program that prints an ExecCredential (client-go credential plugins)."""

    command: tuple[str, ...] = field(repr=False)
    env: Mapping[str, str] = field(repr=False)
    api_version: str
    folder: Path | None


@dataclass(frozen=True, slots=True)
class Identity:
    """How a caller shows who it is; what is empty is not used."""

    token: str = field(default="", repr=False)
    token_file: Path | None = None
    certificate: bytes = b""
    key: bytes = field(default=b"", repr=False)
    plugin: Plugin | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """One context of a kubeconfig."""

    name: str
    server: str
    ca_pem: bytes
    """Empty: the system's own roots."""
    server_name: str
    proxy: str = field(repr=False)
    identity: Identity


def read(data: bytes, wanted: str, *, where: str, folder: Path | None) -> Context:
    """Read one context; `wanted` empty: the only one there is, or the current one.

    `folder` is what relative paths are relative to (kubectl resolves them so); None: there must be none.

    Raises:
        Denied: it does not parse, the context is missing, or it asks for what is refused here.
    """
    if len(data) > MAX_BYTES:
        raise Denied("is larger than a kubeconfig can be", where=where, remedy=REMEDY)
    whole = _parsed(data, where)
    name = wanted or text(whole, "current-context")
    context = _named(whole, "contexts", "context", name, where)
    cluster = _named(whole, "clusters", "cluster", text(context, "cluster"), where)
    user = _named(whole, "users", "user", text(context, "user"), where)
    if cluster.get("insecure-skip-tls-verify"):
        raise Denied(
            "insecure-skip-tls-verify: anybody on the way could answer in the cluster's place", where=where
        )
    reader = _Reader(where, folder)
    proxy = text(cluster, "proxy-url")
    if proxy and not _is_proxy(proxy):
        raise Denied("proxy-url is neither http://HOST:PORT nor https://HOST:PORT", where=where)
    ca_pem = reader.data(cluster, "certificate-authority")
    if ca_pem:
        ca_der(ca_pem, where=where)
    elif any(name.startswith("certificate-authority") for name in cluster):
        raise Denied("its certificate-authority is empty", where=where, remedy=REMEDY)
    return Context(
        name=name,
        server=text(cluster, "server").rstrip("/"),
        ca_pem=ca_pem,
        server_name=text(cluster, "tls-server-name"),
        proxy=proxy,
        identity=_identity(user, reader),
    )


def read_file(path: Path, what: str, *, where: str) -> bytes:
    """Return what a plain file holds; a pipe would keep a stop waiting.

    Raises:
        Denied: it cannot be read, or is something else.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise Denied(f"{what} cannot be read: it is no plain file", where=where, remedy=REMEDY)
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no path"
        raise Denied(f"{what} cannot be read: {why}", where=where, remedy=REMEDY) from error


def ca_der(pem: bytes, *, where: str) -> bytes:
    """Return the CA certificates of a PEM file, joined: these and no others are trusted and pinned.

    Raises:
        Denied: there is none, or something else lies beside them, which OpenSSL might trust too.
    """
    found = _BLOCK.findall(pem)
    if not found or any(label != b"CERTIFICATE" for label, _data in found):
        raise Denied("its certificate-authority is not certificates (PEM)", where=where, remedy=REMEDY)
    try:
        return b"".join(base64.b64decode(b"".join(data.split()), validate=True) for _label, data in found)
    except (binascii.Error, ValueError) as error:
        raise Denied("its certificate-authority cannot be read", where=where, remedy=REMEDY) from error


def _parsed(data: bytes, where: str) -> Mapping[str, Any]:
    import yaml

    class Plain(yaml.SafeLoader):
        """Refuses aliases: kubectl writes none, and a few of them can stand for more than all memory."""

        def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - as PyYAML has it
            """Compose a node that is no alias."""
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("an alias")
            return super().compose_node(parent, index)

    try:
        whole = yaml.load(data, Plain)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise Denied("is not YAML, or has aliases", where=where, remedy=REMEDY) from error
    if not isinstance(whole, Mapping):
        raise Denied("is no kubeconfig", where=where, remedy=REMEDY)
    return whole


def _is_proxy(url: str) -> bool:
    try:
        address = urlsplit(url)
        return address.scheme in {"http", "https"} and bool(address.hostname) and address.port != 0
    except ValueError:
        return False


def _identity(user: Body, reader: _Reader) -> Identity:
    for refused in _NOT_USED:
        if user.get(refused):
            raise Denied(
                f"its user has {refused!r}, which is not used here", where=reader.where, remedy=REMEDY
            )
    plugin = part(user, "exec")
    token_file = text(user, "tokenFile")
    identity = Identity(
        token=text(user, "token"),
        token_file=reader.path(token_file) if token_file else None,
        certificate=reader.data(user, "client-certificate"),
        key=reader.data(user, "client-key"),
        plugin=_plugin(plugin, reader) if plugin else None,
    )
    if not (identity.token or identity.token_file or identity.certificate or identity.plugin):
        raise Denied("its user has no credential", where=reader.where, remedy=REMEDY)
    return identity


def _plugin(entry: Body, reader: _Reader) -> Plugin:
    command = text(entry, "command")
    if not command:
        raise Denied("its credential plug-in has no command", where=reader.where, remedy=REMEDY)
    if "/" in command:
        command = str(reader.path(command))
    arguments = tuple(items(entry, "args"))
    if not all(isinstance(one, str) for one in arguments):
        raise Denied("its credential plug-in has arguments that are no text", where=reader.where)
    env = {text(one, "name"): text(one, "value") for one in bodies(entry, "env")}
    version = text(entry, "apiVersion") or "client.authentication.k8s.io/v1"
    return Plugin((command, *arguments), env, version, reader.folder)


@dataclass(frozen=True, slots=True)
class _Reader:
    where: str
    folder: Path | None

    def path(self, name: str) -> Path:
        """Return a path, made absolute. Raises Denied: there is nothing that it is relative to."""
        path = Path(os.path.expanduser(name))  # noqa: PTH111 - as written; what does not expand stays
        if path.is_absolute():
            return path
        if self.folder is None:
            raise Denied(f"{name!r} is a relative path in a kubeconfig that is no file", where=self.where)
        return self.folder / path

    def data(self, entry: Body, key: str) -> bytes:
        """Return what ``KEY-data`` holds, or else the file that ``KEY`` names; empty where neither is."""
        if inline := text(entry, f"{key}-data"):
            try:
                return base64.b64decode(inline, validate=True)
            except (binascii.Error, ValueError) as error:
                raise Denied(f"{key}-data is not base64", where=self.where, remedy=REMEDY) from error
        name = text(entry, key)
        if not name:
            return b""
        path = self.path(name)
        return read_file(path, f"{key} {path}", where=self.where)


def _named(whole: Mapping[str, Any], group: str, key: str, name: str, where: str) -> Body:
    found = [part(one, key) for one in bodies(whole, group) if name and text(one, "name") == name]
    if len(found) == 1 and found[0]:
        return found[0]
    if len(found) > 1:
        raise Denied(f"{key} {name!r} stands in it {len(found)} times", where=where, remedy=REMEDY)
    known = ", ".join(sorted(text(one, "name") for one in bodies(whole, group)))[:200] or "none"
    what = f"{key} {name!r} is not in it" if name else f"it has no {key}, and none is named"
    raise Denied(
        f"{what} (there: {known})", where=where, remedy="correct `as` of the reach, or the kubeconfig"
    )
