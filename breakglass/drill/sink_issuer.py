"""Issues and judges the drill's tokens: RFC 6749 client credentials and refresh, 7009, 7662, client switch.

One lock guards the question "is this token honoured" together with the stamp of the arrival, so no effect
can be stamped as allowed after a revocation was answered.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from dataclasses import dataclass, field, replace

from breakglass.drill.truth import Arrival, ArrivalLog


@dataclass(frozen=True, slots=True)
class Client:
    """A client of the issuer; a revoker may introspect and revoke every token and switch clients off."""

    client_id: str
    client_secret: str = field(repr=False)
    revoker: bool = False
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Token:
    """One token; `family` links an access token with the refresh token that it came with."""

    client_id: str
    kind: str
    family: str
    ends_s: float
    revoked: bool = False


class Issuer:
    """The issuer's whole memory."""

    def __init__(self, clients: tuple[Client, ...], log: ArrivalLog, *, ttl_s: float) -> None:
        """Start without tokens."""
        self._lock = threading.Lock()
        self._clients = {client.client_id: client for client in clients}
        self._tokens: dict[str, Token] = {}
        self._log = log
        self._ttl_s = ttl_s

    def authenticate(self, client_id: str, client_secret: str) -> Client | None:
        """Return the client when id and secret are right and it is enabled."""
        client = self._clients.get(client_id)
        if client is None or not client.enabled:
            return None
        same = hmac.compare_digest(client.client_secret.encode(), client_secret.encode())
        return client if same else None

    def mint(self, client_id: str) -> tuple[str, str]:
        """Make an access and a refresh token for a client."""
        access, refresh, family = (secrets.token_urlsafe(24) for _ in range(3))
        now_s = time.monotonic()
        with self._lock:
            self._tokens[access] = Token(client_id, "access_token", family, now_s + self._ttl_s)
            self._tokens[refresh] = Token(client_id, "refresh_token", family, now_s + 24 * self._ttl_s)
        return access, refresh

    def refresh(self, client_id: str, refresh: str) -> tuple[str, str] | None:
        """Trade a refresh token for a new pair; the old one ends (RFC 6819 5.2.2.3)."""
        found = self.honoured(refresh)
        if found is None or found.client_id != client_id or found.kind != "refresh_token":
            return None
        with self._lock:
            self._tokens[refresh] = replace(found, revoked=True)
        return self.mint(client_id)

    def honoured(self, token: str) -> Token | None:
        """Return the token while it is neither revoked nor over nor of a disabled client."""
        with self._lock:
            return self._honoured(token)

    def revoke(self, token: str, by: Client) -> bool:
        """End a token; a refresh token takes its access tokens along (RFC 7009 2.1). False: not theirs."""
        with self._lock:
            found = self._tokens.get(token)
            if found is None:
                return True
            if not by.revoker and found.client_id != by.client_id:
                return False
            whole = found.kind == "refresh_token"
            for name, other in self._tokens.items():
                if name == token or (whole and other.family == found.family):
                    self._tokens[name] = replace(other, revoked=True)
            return True

    def switch(self, client_id: str, *, enabled: bool) -> bool:
        """Disable a client, which ends all of its tokens for good, or enable it. False: no such client."""
        with self._lock:
            client = self._clients.get(client_id)
            if client is None:
                return False
            self._clients[client_id] = replace(client, enabled=enabled)
            if not enabled:
                for name, token in self._tokens.items():
                    if token.client_id == client_id:
                        self._tokens[name] = replace(token, revoked=True)
            return True

    def enabled(self, client_id: str) -> bool | None:
        """Return whether a client is enabled; None when there is no such client."""
        client = self._clients.get(client_id)
        return None if client is None else client.enabled

    def effect(self, token: str, channel: str, by: str) -> Arrival:
        """Decide whether an effect is honoured and stamp it, as one step."""
        with self._lock:
            found = self._honoured(token)
            known = self._tokens.get(token)
            allowed = found is not None and found.kind == "access_token"
            return self._log.stamp(channel, allowed=allowed, who=known.client_id if known else "", by=by)

    def _honoured(self, token: str) -> Token | None:
        found = self._tokens.get(token)
        if found is None or found.revoked or time.monotonic() > found.ends_s:
            return None
        return found if self._clients[found.client_id].enabled else None
