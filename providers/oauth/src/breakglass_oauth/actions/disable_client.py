"""Disables the agent's client at the issuer, so that it can mint no token any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from breakglass.canon import Json
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
    Verdict,
)
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Reversal
from breakglass_oauth.permissions import READ_CLIENT, SWITCH

if TYPE_CHECKING:
    from breakglass_oauth.issuer import Issuer

KIND = "oauth_client"
SETTLE_S = 5.0
OBJECT = "client"

SPEC = ActionSpec(
    name="oauth.client.disable",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="disables the agent's client at the issuer: it can mint no more tokens",
    permissions=(SWITCH, READ_CLIENT),
    blast_radius="everything that authenticates as this client is cut off, also where it is not the agent",
    reversibility=Reversibility.PARTIAL,
    undo="enables the client again where the inventory names enable_client; tokens that ended stay ended",
    settle_s=SETTLE_S,
    best_grade=Grade.READ_BACK,
    example="POST https://login.example.com/admin/clients/support-bot/disable",
    sources=(
        Source("summary", Authority.UNVERIFIED, "no RFC has this switch: each issuer has its own"),
        Source(
            "best_grade", Authority.OWN_SANDBOX, "the drill's issuer, over HTTP: tests/test_oauth_stop.py"
        ),
        Source("settle", Authority.UNVERIFIED, "taken as for a revocation (RFC 7009 2)"),
    ),
    service="oauth",
)


class DisableClient:
    """One client at the issuer."""

    def __init__(self, issuer: Issuer) -> None:
        """Keep what every verb needs."""
        self._issuer = issuer

    @property
    def spec(self) -> ActionSpec:
        """Return what the action declares."""
        return SPEC

    def observe(self, resource: Resource) -> State:
        """Read whether the client is enabled, where the issuer says so."""
        return State({OBJECT: {"enabled": self._issuer.client_enabled(_text(resource, "status"))}})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - a switch takes no client token; off twice is off
        """Switch the client off."""
        self._issuer.switch(_text(resource, "disable"))

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide by what the issuer says of the client."""
        enabled = _enabled(state.objects)
        name, issuer = _text(resource, "client_id"), _text(resource, "issuer")
        if enabled is None:
            reason = f"{issuer} does not say whether {name} is enabled"
            return Judgement(Verdict.UNKNOWN, reason, Grade.NONE)
        if enabled:
            return Judgement(Verdict.NOT_CONTAINED, f"{name} is enabled at {issuer}", Grade.READ_BACK)
        return Judgement(Verdict.CONTAINED, f"{name} is disabled at {issuer}", Grade.READ_BACK)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Enable the client again if the stop disabled it and the issuer offers that."""
        name, enable = _text(resource, "client_id"), _text(resource, "enable")
        was, is_now = _enabled(before.objects), _enabled(now.objects)
        if was is False:
            return Reversal({OBJECT: Outcome.ALREADY}, f"{name} was disabled before the stop")
        if was is None:
            return Reversal({OBJECT: Outcome.CANNOT}, f"whether {name} was enabled before is not known")
        if is_now:
            return Reversal({OBJECT: Outcome.ALREADY}, f"{name} is enabled")
        if not enable:
            return Reversal(
                {OBJECT: Outcome.CANNOT}, f"the inventory names no enable_client: enable {name} by hand"
            )
        self._issuer.switch(enable)
        reason = f"{name} is enabled; a new token must be issued at {_text(resource, 'issuer')}"
        return Reversal({OBJECT: Outcome.RESTORED}, reason)

    def probe(self, resource: Resource) -> None:
        """Answer none: minting as the agent would need the agent's own secret."""


def _enabled(objects: Mapping[str, Json]) -> bool | None:
    found = objects.get(OBJECT)
    value = found.get("enabled") if isinstance(found, Mapping) else None
    return value if isinstance(value, bool) else None


def _text(resource: Resource, name: str) -> str:
    value = resource.params.get(name)
    return value if isinstance(value, str) else ""
