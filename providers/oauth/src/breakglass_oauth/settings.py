"""Checks what an inventory says of an issuer, before anything is sent anywhere."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from breakglass.canon import Json

ADDRESSES = (
    "disable_client",
    "enable_client",
    "client_status",
    "revocation_endpoint",
    "introspection_endpoint",
    "probe_url",
)
LONGEST_SETTLE_S = 600
_VISIBLE = re.compile(r"[\x21-\x7e]{1,1000}")
_ID = re.compile(r"[\x21-\x7e]{1,128}")
_ENTRY = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,250}[\x21-\x7e])?/[\x21-\x7e]{1,128}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,252}[A-Za-z0-9])?")
_LOOPBACK = re.compile(r"127(\.\d{1,3}){3}|::1")


@dataclass(frozen=True, slots=True)
class OauthSettings:
    """One reach entry."""

    issuer: str
    client_id: str
    revoker: str
    token: Mapping[str, str]
    addresses: Mapping[str, str]
    ca_file: str
    settle_s: float | None

    @classmethod
    def of(cls, settings: Mapping[str, Json]) -> OauthSettings:
        """Take them from an entry that `complaints` found good."""
        token = settings.get("token")
        settle = settings.get("settle_s")
        return cls(
            issuer=str(settings.get("issuer", "")),
            client_id=str(settings.get("client_id", "")),
            revoker=str(settings.get("as", "")),
            token={key: str(value) for key, value in token.items()} if isinstance(token, Mapping) else {},
            addresses={name: str(settings[name]) for name in ADDRESSES if settings.get(name)},
            ca_file=str(settings.get("ca_file", "")),
            settle_s=float(str(settle)) if settle else None,
        )

    def status_address(self) -> str:
        """Return where the client's state is read: as named, else the resource that the switch belongs to.

        A switch itself is never read: an interface that acts on GET would act when planning.
        """
        disable = self.addresses.get("disable_client", "")
        return self.addresses.get("client_status") or disable.partition("?")[0].rpartition("/")[0]

    def plain_addresses(self) -> tuple[str, ...]:
        """Return the addresses without TLS: loopback, and allowed in a drill only."""
        every = (self.issuer, *self.addresses.values())
        return tuple(address for address in every if address.startswith("http:"))


def complaints(settings: Mapping[str, Json]) -> Sequence[str]:
    """Return everything that is wrong with an entry, each in words."""
    found: list[str] = []
    for name in ("issuer", *ADDRESSES):
        value = settings.get(name)
        if isinstance(value, str) and (wrong := _wrong_address(value, bare=name == "issuer")):
            found.append(f"{name} {wrong}")
    if settings.get("as") is not None and settings.get("as") == settings.get("client_id"):
        found.append("as is the agent's own client: the stop must not depend on the agent's credential")
    for name in ("client_id", "as"):
        value = settings.get(name)
        if isinstance(value, str) and _ID.fullmatch(value) is None:
            found.append(f"{name} is not a client's id in visible ASCII")
    token = settings.get("token")
    if token is None and not settings.get("disable_client"):
        found.append("neither token nor disable_client: there is nothing to do here")
    if isinstance(token, Mapping):
        found.extend(_wrong_token(token))
    settle = settings.get("settle_s")
    whole = isinstance(settle, str) and settle.isascii() and settle.isdecimal()
    if settle is not None and not (whole and len(str(settle)) <= 3 and int(str(settle)) <= LONGEST_SETTLE_S):  # noqa: PLR2004 - digits
        found.append(f"settle_s is not a whole number of seconds up to {LONGEST_SETTLE_S}")
    return found


def _wrong_address(value: str, *, bare: bool) -> str:
    try:
        address = urlsplit(value)
        host, port = address.hostname, address.port
    except ValueError:
        return "is not an address"
    if _VISIBLE.fullmatch(value) is None or not host or port == 0:
        return "is not an address"
    if address.scheme != "https" and not (address.scheme == "http" and _LOOPBACK.fullmatch(host)):
        return "is not https (http is for loopback, in a drill)"
    if address.username is not None or address.password is not None:
        return "has a user name in it"
    if address.fragment or (bare and (address.query or value.endswith("/"))):
        return (
            "must have no fragment"
            if address.fragment
            else "must have no query and no / at the end (RFC 8414 2)"
        )
    return ""


def _wrong_token(token: Mapping[str, Json]) -> Sequence[str]:
    if ("file" in token) is ("keyring" in token) or not set(token) <= {"file", "host", "keyring"}:
        return ["token names exactly one of file, keyring"]
    if "host" in token and ("keyring" in token or _HOST.fullmatch(str(token["host"])) is None):
        return ["token host is not the bare name of a machine that the file lies on"]
    if "file" in token:
        path = str(token["file"])
        good = (
            path.startswith("/") and "/../" not in f"{path}/" and re.fullmatch(r"[\x20-\x7e]{2,1000}", path)
        )
        return (
            []
            if good and not path.endswith("/")
            else ["token file is not an absolute path in printable ASCII"]
        )
    good = _ENTRY.fullmatch(str(token["keyring"]))
    return [] if good else ["token keyring is not SERVICE/NAME in printable ASCII"]
