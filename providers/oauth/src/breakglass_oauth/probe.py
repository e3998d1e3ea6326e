"""Looks at tokens and weighs what was seen: the issuer's introspection, and a call made as the agent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from breakglass.canon import Json
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass_oauth.issuer import Issuer
from breakglass_oauth.tokens import ACCESS, Held


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one token; None: nobody says."""

    kind: str
    active: bool | None
    refused: bool | None
    client: str

    @classmethod
    def of(cls, value: Json) -> Seen:
        """Read it back from a state."""
        body: Mapping[str, Json] = value if isinstance(value, Mapping) else {}
        active, refused = body.get("active"), body.get("refused")
        return cls(
            kind=str(body.get("kind", ACCESS)),
            active=active if isinstance(active, bool) else None,
            refused=refused if isinstance(refused, bool) else None,
            client=str(body.get("client", "")),
        )

    def foreign(self, client_id: str) -> bool:
        """Return whether it is a live token of another client, which nobody signed for."""
        return self.active is True and self.client not in {"", client_id}


def look(issuer: Issuer, token: Held, *, introspection: str | None, probe_url: str | None) -> Seen:
    """Ask the issuer, and use the token as the agent would where an address for that is named.

    Raises:
        ProviderError: somebody did not answer.
    """
    seen = issuer.introspect(introspection, token) if introspection else None
    refused = issuer.refuses(probe_url, token) if probe_url and token.kind == ACCESS else None
    return Seen(token.kind, seen.active if seen else None, refused, seen.client if seen else "")


def weigh(tokens: Iterable[Seen], *, issuer: str, client_id: str) -> Judgement:
    """Judge the tokens together: one live one decides, and the weakest proof grades."""
    seen = list(tokens)
    if not seen:
        return Judgement(Verdict.UNKNOWN, "no token was found to revoke", Grade.NONE)
    if foreign := [token for token in seen if token.foreign(client_id)]:
        reason = f"holds a live token of another client ({foreign[0].client}), which nobody signed for"
        return Judgement(Verdict.NOT_CONTAINED, reason, Grade.NONE)
    live = [token for token in seen if token.active or token.refused is False]
    if live:
        reason = f"{len(live)} of {len(seen)} tokens still accepted ({issuer})"
        return Judgement(Verdict.NOT_CONTAINED, reason, Grade.NONE)
    silent = [token for token in seen if token.active is None and token.refused is None]
    if silent:
        reason = f"{issuer} does not say whether {len(silent)} of {len(seen)} tokens are active"
        return Judgement(Verdict.UNKNOWN, reason, Grade.NONE)
    if all(token.refused for token in seen):
        return Judgement(
            Verdict.CONTAINED, f"{len(seen)} tokens refused as the agent", Grade.REFUSED_AS_AGENT
        )
    reason = f"{len(seen)} tokens inactive at {issuer}"
    return Judgement(Verdict.CONTAINED, reason, Grade.PLATFORM_EVALUATOR)
