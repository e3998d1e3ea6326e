"""Connects to one issuer as the executor's own client; sends nothing before it is asked to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from breakglass.errors import ProviderError, UsageError
from breakglass.model.plan import Step
from breakglass.provider import Action, Budget, Connection, Discovery, Finding, Provider
from breakglass_oauth.actions import disable_client, revoke_token
from breakglass_oauth.actions.disable_client import DisableClient
from breakglass_oauth.actions.revoke_token import RevokeToken
from breakglass_oauth.discover import discover
from breakglass_oauth.issuer import Issuer, Revoker
from breakglass_oauth.settings import OauthSettings, complaints
from breakglass_oauth.tokens import ACCESS, Held, Place
from breakglass_oauth.vault import Vault
from breakglass_oauth.wire import Wire

TIMEOUT_S = 5.0
MADE_UP = Held(ACCESS, "breakglass-preflight-not-a-token")
BUDGETS = {"oauth": Budget(per_s=20, burst=40)}


class OauthProvider:
    """One issuer and one client of the agent there."""

    def __init__(self, connection: Connection) -> None:
        """Take the settings apart; nothing is sent yet.

        Raises:
            UsageError: the settings are wrong, or an address without TLS stands in a real plan.
        """
        where = connection.reach.where
        if wrong := complaints(connection.reach.settings):
            raise UsageError(wrong[0], where=where)
        self._settings = OauthSettings.of(connection.reach.settings)
        if self._settings.plain_addresses() and not connection.drill:
            raise UsageError("an address without TLS is for a drill only", where=where)
        self._agent = connection.agent
        revoker = Revoker(
            self._settings.revoker, lambda: connection.credentials.secret(self._settings.revoker)
        )
        self._wire = Wire(timeout_s=TIMEOUT_S, ca_file=self._settings.ca_file)
        self._issuer = Issuer(
            self._wire,
            self._settings.issuer,
            revoker,
            clock=connection.clock,
            named=self._settings.addresses.values(),
        )
        label = f"oauth token of {self._settings.client_id} at {self._settings.issuer}"
        self._vault = (
            Vault(Place.of(self._settings.token, connection.machines), connection.sealed, label)
            if self._settings.token
            else None
        )
        self._actions: Mapping[str, Action] = {
            revoke_token.SPEC.name: RevokeToken(self._issuer, self._vault),
            disable_client.SPEC.name: DisableClient(self._issuer),
        }

    @property
    def actions(self) -> Mapping[str, Action]:
        """Return the actions by name."""
        return self._actions

    @property
    def budgets(self) -> Mapping[str, Budget]:
        """Return a modest rate: no issuer documents one that holds for all."""
        return BUDGETS

    def discover(self) -> Discovery:
        """Find what can be revoked here, and what stays open."""
        return discover(self._settings, self._agent, self._issuer, self._vault)

    def preflight(self, steps: Sequence[Step]) -> Sequence[Finding]:
        """Try each step harmlessly: revoke a token that nobody has (RFC 7009 2.2: 200), read the client."""
        return [self._try(step) for step in steps]

    def close(self) -> None:
        """Let go of connections."""
        self._wire.close()

    def _try(self, step: Step) -> Finding:
        revokes = step.action == revoke_token.SPEC.name
        address = str(step.target.params.get("revocation" if revokes else "status"))
        try:
            if revokes:
                self._issuer.revoke(address, MADE_UP)
            elif self._issuer.client_enabled(address) is None:
                return Finding(step.n, ok=False, message=f"{address} does not tell the client's state")
        except ProviderError as error:
            return Finding(step.n, ok=False, message=str(error))
        return Finding(step.n, ok=True, message=f"{self._settings.revoker} may do this")


def connect(connection: Connection) -> Provider:
    """Return the provider of one reach.

    Raises:
        UsageError: the settings are wrong.
    """
    return OauthProvider(connection)
