"""Sees whether a resource's policy lets anybody in, and whether a Deny still fits into it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from breakglass.canon import JsonObject
from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind
from breakglass.provider import ProposedDoor
from breakglass_aws.actions.denial import as_list, statements


def lets_anybody_in(text: str | None) -> bool:
    """Return whether the policy allows anything to everybody, without a condition.

    A request that nobody signed has no principal, so that no Deny by principal holds it (IAM User Guide,
    "AWS global condition context keys", aws:PrincipalArn: not in anonymous requests).
    """
    return any(
        one.get("Effect") == "Allow" and not one.get("Condition") and _everybody(one.get("Principal"))
        for one in statements(text or "{}")
    )


def fits(
    text: str | None, wanted: Sequence[JsonObject], *, statements_at_most: int, bytes_at_most: int
) -> bool:
    """Return whether these statements fit into the policy beside what is there."""
    present = statements(text or "{}")
    extra = len(json.dumps(list(wanted), separators=(",", ":")).encode())
    size = len((text or "").encode()) + extra + 60
    return len(present) + len(wanted) <= statements_at_most and size <= bytes_at_most


def open_door(name: str, reason: str, remedy: str) -> ProposedDoor:
    """Return a door that no step of the plan closes."""
    return ProposedDoor(
        Door(
            kind=DoorKind.NO_STEP,
            name=name,
            reason=reason,
            remedy=remedy,
            owner="",
            closed_by=(),
            verdict=Verdict.NOT_CONTAINED,
        )
    )


def _everybody(principal: object) -> bool:
    if isinstance(principal, dict):
        return "*" in as_list(principal.get("AWS"))
    return principal == "*"
