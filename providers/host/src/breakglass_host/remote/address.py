"""Reads how an inventory names another machine: ``ssh://user@name[:port]`` and the host key pinned for it."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from dataclasses import dataclass

from breakglass.errors import MalformedInput

SCHEME = "ssh://"
SANDBOX = ".drill.invalid"
"""How the names of sandboxes end; no machine of the world can be called so (RFC 6761 6.4)."""
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,31}\$?", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_HIGHEST_PORT = 65_535
_SHAPE = "expected ssh://user@name or ssh://user@name:port"
_ALGORITHMS = {
    "ssh-ed25519": "ssh-ed25519",
    "ecdsa-sha2-nistp256": "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384": "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521": "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com": "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com": "sk-ecdsa-sha2-nistp256@openssh.com",
    # One key type, and two signature algorithms that are still sound (RFC 8332); SHA-1 is not one of them.
    "ssh-rsa": "rsa-sha2-512,rsa-sha2-256",
}


@dataclass(frozen=True, slots=True)
class Address:
    """A login on another machine."""

    user: str
    host: str
    """A name, or an IPv4 or IPv6 address without brackets; the ssh client's configuration may know it."""
    port: int | None

    def __str__(self) -> str:
        """Return ``user@name[:port]``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}" + (f":{self.port}" if self.port else "")

    @property
    def bare(self) -> str:
        """Return the machine's name alone: how other reaches name it."""
        return self.host.lower()

    @property
    def is_sandbox(self) -> bool:
        """Return whether it is a machine that a drill made, which only a drill's plan may name."""
        return self.bare.endswith(SANDBOX)


@dataclass(frozen=True, slots=True)
class HostKey:
    """The key that the machine must prove to hold."""

    type: str
    blob: str

    @property
    def algorithms(self) -> str:
        """Return the signature algorithms that may prove it, for HostKeyAlgorithms."""
        return _ALGORITHMS[self.type]


def parse_address(text: str) -> Address:
    """Read ``ssh://user@name[:port]``; nothing in it can be taken for an option or a command.

    Raises:
        MalformedInput: it is something else.
    """
    if not text.startswith(SCHEME):
        raise MalformedInput(f"{_SHAPE}, found {text[:80]!r}")
    user, at, rest = text.removeprefix(SCHEME).partition("@")
    if not at:
        raise MalformedInput(f"{_SHAPE}: {text[:80]!r} names no account")
    if _USER.fullmatch(user) is None:
        raise MalformedInput(f"{_SHAPE}: {user[:40]!r} is not the name of an account")
    if rest.startswith("["):
        host, bracket, port = rest[1:].partition("]")
        if not bracket or port[:1] not in ("", ":") or not _is_ipv6(host):
            raise MalformedInput(f"{_SHAPE}: {rest[:80]!r} is not an IPv6 address in brackets")
        port, has_port = port[1:], bool(port)
    else:
        host, colon, port = rest.partition(":")
        has_port = bool(colon)
        if _NAME.fullmatch(host) is None or ".." in host:
            raise MalformedInput(f"{_SHAPE}: {host[:80]!r} is not the name of a machine")
    if has_port and (_PORT.fullmatch(port) is None or int(port) > _HIGHEST_PORT):
        raise MalformedInput(f"{_SHAPE}: {port[:40]!r} is not a port")
    return Address(user, host, int(port) if has_port else None)


def parse_host_key(text: str) -> HostKey:
    """Read ``ssh-ed25519 AAAA... [comment]``, as a public key file or ssh-keyscan gives it.

    Raises:
        MalformedInput: it is no public key, or of a type that is not accepted.
    """
    words = text.split(" ")
    if len(words) < 2 or any(ord(c) < 0x20 for c in text):  # noqa: PLR2004 - type and key
        raise MalformedInput(f"expected a line like 'ssh-ed25519 AAAA...', found {text[:60]!r}")
    kind, blob = words[0], words[1]
    if kind not in _ALGORITHMS:
        raise MalformedInput(f"key type {kind[:60]!r} is none of {', '.join(_ALGORITHMS)}")
    try:
        raw = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedInput(f"the key after {kind} is not base64") from error
    # RFC 4253 6.6: the blob begins with its own type.
    if not raw.startswith(len(kind).to_bytes(4, "big") + kind.encode()) or len(raw) < len(kind) + 8:
        raise MalformedInput(f"the key after {kind} is not one of that type")
    return HostKey(kind, blob)


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.IPv6Address(text).scope_id is None
    except ValueError:
        return False
