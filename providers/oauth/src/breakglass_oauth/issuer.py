"""Speaks to one issuer: metadata (RFC 8414), introspection (RFC 7662), revocation (RFC 7009), client switch.

A secret goes only to the issuer's own origin or to one that the signed inventory names. What the issuer
says is not trusted further than it reaches: an answer that is not exactly what the RFC asks for is no
answer, and no text of it but a short error code ever comes into a message.
"""

from __future__ import annotations

import base64
import email.utils
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_plus, urlsplit, urlunsplit

from breakglass.clock import Clock
from breakglass.errors import Denied, ProviderError, Throttled, Transient
from breakglass_oauth.tokens import Held
from breakglass_oauth.wire import Answer, Wire, origin

OK = range(200, 300)
ABSENT = frozenset({404, 405, 410, 501})
REFUSED = 401
THROTTLED = 429
OVERLOADED = 503
LONGEST_RETRY_S = 3600.0
_CODE = re.compile(r"[a-z_]{1,40}")
_ADDRESS = re.compile(r"[\x21-\x7e]{1,1000}")
_NAME = re.compile(r"[\x21-\x7e]{1,128}")
_WELL_KNOWN = "/.well-known/oauth-authorization-server"
_OPENID = "/.well-known/openid-configuration"


class NotOffered(ProviderError):
    """The issuer has no such endpoint."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where to revoke and to introspect; None: the issuer does not offer it."""

    revocation: str | None
    introspection: str | None
    complaints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """What introspection says of a token."""

    active: bool
    client: str
    """The client that it was issued to; empty where the issuer does not say."""


@dataclass(frozen=True, slots=True)
class Revoker:
    """The executor's own client at the issuer."""

    client_id: str
    secret: Callable[[], bytes] = field(repr=False)


class Issuer:
    """One issuer, as the revoker's client."""

    def __init__(self, wire: Wire, url: str, revoker: Revoker, *, clock: Clock, named: Iterable[str]) -> None:
        """Send nothing yet; `named` are addresses that the inventory allows besides the issuer's own."""
        self.url = url
        self._wire = wire
        self._revoker = revoker
        self._clock = clock
        self._allowed = {origin(url), *(origin(address) for address in named)}

    def addresses(self, revocation: str, introspection: str) -> Addresses:
        """Find the endpoints: as named, else from the metadata, else on the customary paths.

        Raises:
            ProviderError: the metadata cannot be had, or belongs to another issuer.
        """
        if revocation and introspection:
            return Addresses(revocation, introspection)
        body = self._metadata()
        if body is None:
            return Addresses(revocation or f"{self.url}/revoke", introspection or f"{self.url}/introspect")
        complaints: list[str] = []
        found: list[str | None] = []
        for name, given in (("revocation_endpoint", revocation), ("introspection_endpoint", introspection)):
            address = given or body.get(name, "")
            if address and not given and not self._own(address):
                complaints.append(f"{self.url} wants secrets sent elsewhere: name {name} if that is right")
                address = ""
            found.append(str(address) or None)
        return Addresses(found[0], found[1], tuple(complaints))

    def pinned(self, address: object) -> bool:
        """Return whether a secret may be sent to this address."""
        try:
            return (
                isinstance(address, str)
                and bool(_ADDRESS.fullmatch(address))
                and origin(address) in self._allowed
            )
        except ValueError:
            return False

    def _own(self, address: object) -> bool:
        """Return whether an address from the metadata lies at the issuer itself."""
        return self.pinned(address) and origin(str(address)) == origin(self.url)

    def introspect(self, address: str, token: Held) -> Look:
        """Ask whether a token is active.

        Raises:
            NotOffered: there is no introspection at this address.
            ProviderError: it was not answered, or not understandably.
        """
        answer = self._post(address, {"token": token.value, "token_type_hint": token.kind})
        body = _json(answer, self._where(address))
        active, client = body.get("active"), body.get("client_id", "")
        if not isinstance(active, bool):
            raise Transient(
                "its introspection does not say active: true or false", where=self._where(address)
            )
        known = isinstance(client, str) and _NAME.fullmatch(client) is not None
        return Look(active, str(client) if known else "")

    def revoke(self, address: str, token: Held) -> None:
        """Ask to revoke a token; an answer is no proof.

        Raises:
            ProviderError: it was not accepted.
        """
        self._post(address, {"token": token.value, "token_type_hint": token.kind})

    def switch(self, address: str) -> None:
        """Ask to switch the client, at the address that the inventory names.

        Raises:
            ProviderError: it was not accepted.
        """
        self._post(address, {})

    def client_enabled(self, address: str) -> bool | None:
        """Ask whether the client is enabled; None: nothing understandable stands there.

        Raises:
            ProviderError: it was not answered.
        """
        answer = self._send("GET", address, None, self._basic())
        if answer.status in ABSENT:
            return None
        self._check(answer, address)
        body = _json(answer, self._where(address))
        for name, enabled in (("enabled", True), ("disabled", False), ("active", True)):
            value = body.get(name)
            if isinstance(value, bool):
                return value is enabled
        return None

    def refuses(self, address: str, token: Held) -> bool | None:
        """Use an access token as the agent would: True if it is refused, None if that cannot be told.

        Raises:
            ProviderError: nobody answered.
        """
        answer = self._send("GET", address, None, f"Bearer {token.value}")
        if answer.status == REFUSED:
            return True
        if answer.status in OK:
            return False
        self._check_patience(answer, address)
        return None

    def _metadata(self) -> Mapping[str, object] | None:
        issuer = urlsplit(self.url)
        first = urlunsplit((issuer.scheme, issuer.netloc, _WELL_KNOWN + issuer.path.rstrip("/"), "", ""))
        for address in (first, self.url.rstrip("/") + _OPENID):
            answer = self._send("GET", address, None, "")
            if answer.status in ABSENT:
                continue
            self._check(answer, address)
            body = _json(answer, self._where(address))
            if body.get("issuer") != self.url:
                raise ProviderError("its metadata is that of another issuer (RFC 8414 3.3)", where=self.url)
            return body
        return None

    def _post(self, address: str, form: Mapping[str, str]) -> Answer:
        answer = self._send("POST", address, form, self._basic())
        self._check(answer, address)
        return answer

    def _send(self, method: str, address: str, form: Mapping[str, str] | None, authorization: str) -> Answer:
        if not self.pinned(address):
            raise Denied("not the pinned issuer: nothing was sent", where=self._where(address))
        return self._wire.call(method, address, form=form, authorization=authorization)

    def _basic(self) -> str:
        """Return HTTP Basic as RFC 6749 2.3.1 wants it: both halves form-encoded."""
        secret = self._revoker.secret().decode()
        pair = f"{quote_plus(self._revoker.client_id)}:{quote_plus(secret)}"
        return "Basic " + base64.b64encode(pair.encode()).decode()

    def _check(self, answer: Answer, address: str) -> None:
        """Raise what the engine understands for everything but a success."""
        if answer.status in OK:
            return
        where = self._where(address)
        self._check_patience(answer, address)
        if answer.status in ABSENT:
            raise NotOffered(f"has nothing there (status {answer.status})", where=where)
        error = _error_code(answer)
        if answer.status in {REFUSED, 403} or error in {"invalid_client", "unauthorized_client"}:
            raise Denied(f"refuses {self._revoker.client_id}: {error or answer.status}", where=where)
        raise ProviderError(f"answers {answer.status} {error}".rstrip(), where=where)

    def _check_patience(self, answer: Answer, address: str) -> None:
        retry_after = answer.headers.get("retry-after", "")
        if answer.status == THROTTLED or (answer.status == OVERLOADED and retry_after):
            raise Throttled(
                f"asks for patience (status {answer.status})",
                retry_after_s=self._seconds(retry_after),
                where=self._where(address),
            )
        if answer.status not in OK and answer.status >= 500 and answer.status not in ABSENT:  # noqa: PLR2004 - RFC 9110 15.6
            raise Transient(f"answers {answer.status}", where=self._where(address))

    def _seconds(self, retry_after: str) -> float:
        """Read Retry-After, which is a number of seconds or a date (RFC 9110 10.2.3)."""
        if re.fullmatch(r"\d{1,9}(\.\d{1,3})?", retry_after):
            return min(LONGEST_RETRY_S, float(retry_after))
        try:
            at_ms = email.utils.parsedate_to_datetime(retry_after).timestamp() * 1000
        except (ValueError, OverflowError):
            return 1.0
        return min(LONGEST_RETRY_S, max(0.0, (at_ms - self._clock.now().epoch_ms) / 1000))

    @staticmethod
    def _where(address: str) -> str:
        return _shown(urlunsplit((*urlsplit(address)[:3], "", "")))


def _json(answer: Answer, where: str) -> Mapping[str, object]:
    """Read an object without double names; anything else may be better the next time."""

    def single(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError
        return dict(pairs)

    try:
        body = json.loads(answer.body, object_pairs_hook=single)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Transient("its answer is not a JSON object", where=where)
    return body


def _error_code(answer: Answer) -> str:
    try:
        found = json.loads(answer.body).get("error", "")
    except (ValueError, RecursionError, AttributeError):
        return ""
    return found if isinstance(found, str) and _CODE.fullmatch(found) else ""


def _shown(text: str) -> str:
    return "".join(character if "\x20" < character < "\x7f" else "?" for character in text)[:200]
