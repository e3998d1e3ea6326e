"""Revokes the agent's access and refresh tokens at their issuer; proof is introspection, or a refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from breakglass.canon import Json
from breakglass.errors import ProviderError, Transient
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
from breakglass_oauth.permissions import INTROSPECT, REVOKE

if TYPE_CHECKING:
    from breakglass_oauth.issuer import Issuer
    from breakglass_oauth.probe import Seen
    from breakglass_oauth.vault import Kept, Vault

KIND = "oauth_tokens"
SETTLE_S = 5.0

SPEC = ActionSpec(
    name="oauth.token.revoke",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="revokes at its issuer every token that lies in the named file or keyring entry",
    permissions=(REVOKE, INTROSPECT),
    blast_radius="whoever else uses the same token is cut off too",
    reversibility=Reversibility.NONE,
    undo="nothing can: a new token must be issued at the issuer",
    settle_s=SETTLE_S,
    best_grade=Grade.REFUSED_AS_AGENT,
    example="POST /revoke token=... token_type_hint=access_token, with the revoker's client credential",
    sources=(
        Source("summary", Authority.VENDOR_TEXT, "RFC 7009 2: invalidation takes place immediately"),
        Source(
            "settle",
            Authority.VENDOR_TEXT,
            "RFC 7009 2: there could be a propagation delay; RFC 7662 4: caching",
        ),
        Source(
            "best_grade", Authority.OWN_SANDBOX, "the drill's issuer, over HTTP: tests/test_oauth_stop.py"
        ),
        Source(
            "blast_radius", Authority.VENDOR_TEXT, "RFC 7009 2.1: may revoke the tokens of the same grant"
        ),
        Source(
            "undo", Authority.VENDOR_TEXT, "RFC 7009 2: the token cannot be used again after the revocation"
        ),
    ),
    service="oauth",
)


class RevokeToken:
    """The tokens of one place, closed over what lies there when it runs."""

    def __init__(self, issuer: Issuer, vault: Vault | None) -> None:
        """Keep what every verb needs; an inventory without a token has no vault."""
        self._issuer = issuer
        self._vault = vault

    @property
    def spec(self) -> ActionSpec:
        """Return what the action declares."""
        return SPEC

    def observe(self, resource: Resource) -> State:
        """Ask the issuer about each token; where it has no introspection, use the token as the agent."""
        introspection = _text(resource, "introspection")
        probe_url = None if introspection else _text(resource, "probe_url")
        tokens, complete, note = self._tokens(resource)
        objects: dict[str, Json] = {}
        for kept in tokens:
            objects[kept.id] = _value(kept, self._look(kept, introspection, probe_url))
        return State(objects, complete, note)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - RFC 7009 has no client token; revoking twice is harmless
        """Revoke each token that is not known to be inactive, refresh tokens first, whatever fails."""
        from breakglass_oauth.probe import Seen

        address, client_id = _text(resource, "revocation"), _text(resource, "client_id")
        failures: list[ProviderError] = []
        tokens = self._tokens(resource)[0]
        for kept in sorted(tokens, key=lambda kept: kept.token.kind, reverse=True):
            seen = Seen.of(before.objects.get(kept.id))
            if seen.active is False or seen.foreign(client_id or ""):
                continue
            try:
                self._issuer.revoke(address or "", kept.token)
            except ProviderError as error:
                failures.append(error)
        if failures:
            raise next((error for error in failures if isinstance(error, Transient)), failures[0])

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Weigh what was seen of every token."""
        from breakglass_oauth.probe import Seen, weigh

        if not state.complete and not state.objects:
            return Judgement(Verdict.UNKNOWN, state.note or "no token was found to revoke", Grade.NONE)
        found = weigh(map(Seen.of, state.objects.values()), **_names(resource))
        if not state.complete and found.verdict is Verdict.CONTAINED:
            return Judgement(Verdict.UNKNOWN, state.note, Grade.NONE)
        return found

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - the port's verb: nothing that is there now changes the answer
        """Say that nothing can bring a revoked token back."""
        from breakglass_oauth.probe import Seen

        outcomes = {
            name: Outcome.ALREADY if Seen.of(value).active is False else Outcome.CANNOT
            for name, value in before.objects.items()
        }
        return Reversal(outcomes, f"a new token must be issued at {_text(resource, 'issuer')}")

    def probe(self, resource: Resource) -> Judgement | None:
        """Introspect again, and be refused as the agent where the inventory names an address for that."""
        from breakglass_oauth.probe import weigh
        from breakglass_oauth.tokens import ACCESS

        introspection, probe_url = _text(resource, "introspection"), _text(resource, "probe_url")
        if not introspection and not probe_url:
            return None
        tokens, complete, note = self._tokens(resource)
        seen = [self._look(kept, introspection, probe_url) for kept in tokens]
        found = weigh(seen, **_names(resource))
        if found.verdict is Verdict.CONTAINED and not complete:
            return Judgement(Verdict.UNKNOWN, note, Grade.NONE)
        vague = probe_url and any(token.kind == ACCESS and token.refused is None for token in seen)
        if found.verdict is Verdict.CONTAINED and vague:
            return Judgement(Verdict.UNKNOWN, f"{probe_url} neither takes nor refuses the token", Grade.NONE)
        return found

    def _tokens(self, resource: Resource) -> tuple[tuple[Kept, ...], bool, str]:
        if self._vault is None:
            return (), False, "the inventory names no token"
        found = self._vault.now(resource)
        return found.tokens, found.complete, found.note

    def _look(self, kept: Kept, introspection: str | None, probe_url: str | None) -> Seen:
        from breakglass_oauth.probe import look

        return look(self._issuer, kept.token, introspection=introspection, probe_url=probe_url)


def _value(kept: Kept, seen: Seen) -> Json:
    return {
        "active": seen.active,
        "client": seen.client,
        "kind": seen.kind,
        "refused": seen.refused,
        "token": kept.reference,
    }


def _text(resource: Resource, name: str) -> str | None:
    value = resource.params.get(name)
    return value if isinstance(value, str) and value else None


def _names(resource: Resource) -> dict[str, str]:
    return {"issuer": _text(resource, "issuer") or "", "client_id": _text(resource, "client_id") or ""}
