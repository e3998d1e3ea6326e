"""Finds what can be done at an issuer: which tokens lie there, which proof can be had, what stays open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from breakglass.canon import Json, unreadable
from breakglass.errors import Denied, Gone, ProviderError
from breakglass.model.action import Grade, Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.model.resource import AgentRef, Resource
from breakglass.provider import Discovery, Proposal, ProposedDoor
from breakglass_oauth.actions import disable_client, revoke_token
from breakglass_oauth.issuer import Addresses, Issuer, NotOffered
from breakglass_oauth.settings import OauthSettings
from breakglass_oauth.tokens import ACCESS, REFRESH
from breakglass_oauth.vault import Kept, Vault, entry_of

REVOKE_KEY = "revoke"
DISABLE_KEY = "disable"
UNPROVABLE_S = 5.0
"""A step that nothing can prove gives up soon: it is shown as open, and repeating it proves nothing."""


@dataclass(slots=True)
class _Notes:
    """What is gathered on the way."""

    incomplete: list[str] = field(default_factory=list)
    not_touched: list[NotTouched] = field(default_factory=list)
    doors: list[ProposedDoor] = field(default_factory=list)


def discover(settings: OauthSettings, agent: AgentRef, issuer: Issuer, vault: Vault | None) -> Discovery:
    """Look at the issuer and at the agent's tokens; nothing is changed.

    Raises:
        ProviderError: the issuer cannot be reached, or it is another one.
    """
    notes = _Notes()
    proposals: list[Proposal] = []
    principals: list[Resource] = []
    if vault is not None:
        proposals.extend(_revoke(settings, agent, issuer, vault, notes))
    if "disable_client" in settings.addresses:
        proposals.append(_disable(settings, issuer, notes))
        principals.append(proposals[-1].target)
    closed_by = tuple(proposal.key for proposal in proposals if proposal.key == DISABLE_KEY)
    notes.doors.append(ProposedDoor(_can_mint(settings, agent), closed_by))
    return Discovery(
        scope=f"oauth {settings.client_id} at {urlsplit(settings.issuer).netloc}",
        principals=tuple(principals),
        proposals=tuple(proposals),
        doors=tuple(notes.doors),
        not_touched=tuple(notes.not_touched),
        endpoints=settings.plain_addresses(),
        incomplete=tuple(notes.incomplete),
    )


def _revoke(
    settings: OauthSettings, agent: AgentRef, issuer: Issuer, vault: Vault, notes: _Notes
) -> Sequence[Proposal]:
    """Propose to revoke whatever lies in the place, now or when the plan runs."""
    named = settings.addresses
    addresses = issuer.addresses(
        named.get("revocation_endpoint", ""), named.get("introspection_endpoint", "")
    )
    notes.incomplete.extend(addresses.complaints)
    if unreadable(vault.place.name) or not vault.place.name.isascii():
        notes.incomplete.append("the token's path resolves to one that is not printable ASCII")
        return ()
    if addresses.revocation is None:
        notes.doors.append(ProposedDoor(_no_revocation(settings, agent, vault)))
        return ()
    try:
        kept = vault.seal()
    except Gone as error:
        # Nothing was left unread. While no token is known the step cannot be proven; once a stop has set the
        # file aside, this is how it must be.
        notes.not_touched.append(NotTouched(vault.place.name, f"{error.what}: no token is known from there"))
        kept = ()
    except ProviderError as error:
        notes.incomplete.append(f"{vault.place.name} {error.what}")
        kept = ()
    addresses = _introspectable(settings, issuer, addresses, kept, notes)
    probe_url = _controlled(settings, issuer, kept, notes)
    params: dict[str, Json] = {
        "client_id": settings.client_id,
        "introspection": addresses.introspection,
        "issuer": settings.issuer,
        "place": vault.place.name,
        "probe_url": probe_url,
        "revocation": addresses.revocation,
        "tokens": [entry_of(token) for token in kept],
    }
    grade = _best_grade(kept, introspects=addresses.introspection is not None, probes=probe_url is not None)
    path = settings.token.get("file") if "host" not in settings.token else None
    places = {vault.place.name, *([f"file:{path}"] if path else [])}
    target = Resource(
        revoke_token.KIND, f"{vault.place.name}@{settings.issuer}", f"tokens in {vault.place.name}", params
    )
    proposal = Proposal(
        key=REVOKE_KEY,
        action=revoke_token.SPEC.name,
        target=target,
        best_grade=grade,
        settle_s=settings.settle_s,
        deadline_s=UNPROVABLE_S if grade is Grade.NONE else None,
        revokes=(*sorted(places), f"issuer:{settings.issuer}"),
    )
    return (proposal,)


def _introspectable(
    settings: OauthSettings, issuer: Issuer, addresses: Addresses, kept: Sequence[Kept], notes: _Notes
) -> Addresses:
    """Introspect each token once, to see whether the issuer answers and the token is the agent's."""
    for token in kept if addresses.introspection else ():
        try:
            seen = issuer.introspect(addresses.introspection or "", token.token)
        except (NotOffered, Denied) as error:
            notes.not_touched.append(
                NotTouched(
                    f"introspection at {settings.issuer}", f"{error.what}: a revocation cannot be read back"
                )
            )
            return replace(addresses, introspection=None)
        except ProviderError as error:
            notes.incomplete.append(f"introspection at {settings.issuer} {error.what}")
            return addresses
        if seen.active and seen.client not in {"", settings.client_id}:
            reason = f"it was issued to {seen.client}, not to {settings.client_id}: its owner must revoke it"
            notes.not_touched.append(NotTouched(f"{token.id} in the agent's hands", reason))
    return addresses


def _controlled(settings: OauthSettings, issuer: Issuer, kept: Sequence[Kept], notes: _Notes) -> str | None:
    """Return the probe's address if it takes the live token: else a later refusal would prove nothing."""
    url = settings.addresses.get("probe_url")
    access = [token.token for token in kept if token.token.kind == ACCESS]
    if url is None:
        return None
    try:
        if access and all(issuer.refuses(url, token) is False for token in access):
            return url
        reason = "it does not take the agent's token now, so that a refusal later would prove nothing"
    except ProviderError as error:
        reason = error.what
    notes.not_touched.append(NotTouched(f"probe {url}", reason))
    return None


def _best_grade(kept: Sequence[Kept], *, introspects: bool, probes: bool) -> Grade:
    """Return the proof that the plan promises; with introspection, a refused call is more than that.

    A refresh token cannot be tried as the agent, and the agent could put one into its file at any time:
    a promise of refusal would then be out of reach, and a revoked token would stay unproven.
    """
    if introspects:
        return Grade.PLATFORM_EVALUATOR
    refresh = any(token.token.kind == REFRESH for token in kept)
    return Grade.REFUSED_AS_AGENT if probes and not refresh else Grade.NONE


def _disable(settings: OauthSettings, issuer: Issuer, notes: _Notes) -> Proposal:
    named = settings.addresses
    disable = named["disable_client"]
    status = settings.status_address()
    grade = Grade.READ_BACK
    try:
        if issuer.client_enabled(status) is None:
            grade = Grade.NONE
    except ProviderError as error:
        grade = Grade.NONE
        notes.incomplete.append(f"state of {settings.client_id} at {settings.issuer} {error.what}")
    params: dict[str, Json] = {
        "client_id": settings.client_id,
        "disable": disable,
        "enable": named.get("enable_client"),
        "issuer": settings.issuer,
        "status": status,
    }
    return Proposal(
        key=DISABLE_KEY,
        action=disable_client.SPEC.name,
        target=Resource(
            disable_client.KIND,
            f"{settings.client_id}@{settings.issuer}",
            f"client {settings.client_id}",
            params,
        ),
        best_grade=grade,
        settle_s=settings.settle_s,
        deadline_s=UNPROVABLE_S if grade is Grade.NONE else None,
        revokes=(f"issuer:{settings.issuer}",),
    )


def _can_mint(settings: OauthSettings, agent: AgentRef) -> Door:
    return Door(
        kind=DoorKind.CAN_MINT,
        name=f"client {settings.client_id} can mint at {settings.issuer}",
        reason=f"only the named tokens are revoked: {settings.client_id} may hold others, or mint new ones",
        remedy=f"disable {settings.client_id} at {settings.issuer}",
        owner=agent.owner,
        closed_by=(),
        verdict=Verdict.NOT_CONTAINED,
    )


def _no_revocation(settings: OauthSettings, agent: AgentRef, vault: Vault) -> Door:
    return Door(
        kind=DoorKind.NO_STEP,
        name=f"tokens in {vault.place.name}",
        reason=f"{settings.issuer} offers no revocation (RFC 7009) that may be used",
        remedy=f"revoke them by hand at {settings.issuer}",
        owner=agent.owner,
        closed_by=(),
        verdict=Verdict.NOT_CONTAINED,
    )
