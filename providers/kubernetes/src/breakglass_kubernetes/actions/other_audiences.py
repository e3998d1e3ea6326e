"""Says which tokens of the agent's are taken by somebody who never asks this cluster whether they still live.

A token of another audience than the API server's is for somebody else (Kubernetes documentation, "Configure
Service Accounts for Pods", "ServiceAccount token volume projection"). Who checks it with a TokenReview learns
that its account is deleted; who only reads the issuer's public keys takes it until it expires ("Service
account issuer discovery"): clouds do, and the sessions that they give for it live on by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.provider import Proposed, ProposedDoor
from breakglass_kubernetes.actions.account_choice import Choice
from breakglass_kubernetes.actions.subject_cut import some
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.objects import Body, bodies, pod_spec_of, text

MOST = 20
_SECONDS = 3600
"""The default of ``expirationSeconds`` (API reference, ServiceAccountTokenProjection)."""


def proposed(found: Found, choice: Choice) -> Proposed:
    """Return a door for each audience that its pods hold a token for; what it asked for is not known."""
    if not choice.accounts:
        return Proposed()
    users: dict[str, list[str]] = {}
    longest: dict[str, int] = {}
    for thing in found.held.things:
        for audience, seconds in given(pod_spec_of(thing.body)):
            users.setdefault(audience, []).append(thing.key)
            longest[audience] = max(longest.get(audience, 0), seconds)
    doors = [_door(one, users[one], longest[one]) for one in sorted(users)[:MOST]]
    if rest := sorted(users)[MOST:]:
        doors.append(_door(some(rest), users[rest[0]], max(longest[one] for one in rest)))
    said = NotTouched(
        "tokens of other audiences that the agent asked for",
        "who checks one by the issuer's public keys alone takes it until it expires, whatever is deleted"
        " here; only the audit log knows whether there are any",
    )
    return Proposed(doors=tuple(doors), not_touched=(said,))


def given(spec: Body) -> Iterator[tuple[str, int]]:
    """Yield the audiences of tokens that a pod is given beside the API server's, and how long they live."""
    for volume in bodies(spec, "volumes"):
        for source in bodies(volume, "projected", "sources"):
            audience = text(source, "serviceAccountToken", "audience")
            token = source.get("serviceAccountToken")
            seconds = token.get("expirationSeconds") if isinstance(token, dict) else None
            if audience:
                yield audience, seconds if isinstance(seconds, int) else _SECONDS


def _door(audience: str, users: list[str], seconds: int) -> ProposedDoor:
    return ProposedDoor(
        Door(
            kind=DoorKind.CREDENTIAL_WITHHELD,
            name=f"tokens for {audience}"[:200],
            reason=(
                f"given to {some(list(dict.fromkeys(users)))}: if {audience[:100]} checks them by the"
                f" issuer's keys alone, takes them for up to {seconds} s more; what it gave for one lives on"
            )[:500],
            remedy="take the agent's access away there, too, and end its sessions there",
            owner="",
            closed_by=(),
            verdict=Verdict.UNKNOWN,
        )
    )
