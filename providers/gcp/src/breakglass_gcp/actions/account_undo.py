"""Brings a disabled service account back without reviving a token: waits, or gives its rights to another."""

from __future__ import annotations

from dataclasses import dataclass

from breakglass.clock import Instant
from breakglass.errors import Denied, ProviderError, Transient
from breakglass.model.resource import Resource
from breakglass.provider import Outcome
from breakglass_gcp.actions.account_choice import account_name
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import code_of
from breakglass_gcp.successor import hand_over
from breakglass_gcp.token_life import SEEN_LATE_S

ROTATE = "rotate"


@dataclass(frozen=True, slots=True)
class Revived:
    """What came of it."""

    outcome: Outcome
    reason: str


def revive(project: Project, resource: Resource) -> Revived:
    """Enable the account, or hand its rights over, as the signed restore says.

    Raises:
        Transient: tokens from before the stop may still live.
        Denied: the successor is of no use, or when the stop was is not known.
    """
    if resource.params.get("tokens") == ROTATE:
        return _rotate(project, resource)
    until = tokens_end(resource, project.settings.settle_factor)
    if project.connection.clock.now() < until:
        raise Transient(
            f"tokens from before the stop live until {str(until)[11:19]} UTC, and would be valid again"
        )
    return _enable(project, resource)


def enabled_early(project: Project, resource: Resource) -> str:
    """Return that somebody else enabled the account, in words; empty: it may have been this restore."""
    if resource.params.get("tokens") == ROTATE:
        return "somebody has enabled it, where its successor was to take its place"
    try:
        until = tokens_end(resource, project.settings.settle_factor)
    except Denied:
        return ""
    if project.connection.clock.now() >= until:
        return ""
    return f"somebody has enabled it: its tokens from before the stop are valid until {str(until)[11:19]} UTC"


def tokens_end(resource: Resource, factor: float = 1.0) -> Instant:
    """Return when the last token from before the stop has ended; a disable is seen everywhere late.

    Raises:
        Denied: when the stop disabled it is not known.
    """
    stopped_ms, life_s = resource.params.get("stopped_at_ms"), resource.params.get("token_life_s")
    if not isinstance(stopped_ms, int) or not isinstance(life_s, int) or stopped_ms <= 0:
        raise Denied(
            "when the stop disabled the account is not known: tokens from before may live up to 12 h",
            remedy="resume the stop, or restore with --choose tokens=rotate",
        )
    return Instant(stopped_ms).plus(life_s + SEEN_LATE_S * factor)


def _enable(project: Project, resource: Resource) -> Revived:
    name = account_name(project, str(resource.params["unique_id"]))
    try:
        project.call("iam_admin", "enable_service_account", {"name": name})
    except ProviderError as error:
        if code_of(error) == "FAILED_PRECONDITION":
            # IAM REST reference, serviceAccounts.enable: what Google disabled, this method cannot enable.
            return Revived(Outcome.DRIFTED, f"Google does not let it be enabled: {error.what}"[:400])
        raise
    return Revived(Outcome.RESTORED, "enabled; waited until no token from before the stop could live")


def _rotate(project: Project, resource: Resource) -> Revived:
    old, new = str(resource.params["email"]), str(resource.params.get("successor") or "")
    if not new:
        raise Denied(f"the inventory names no successor of {old}")
    pinned, roles = resource.params.get("successor_id"), resource.params.get("roles")
    planned = [str(one) for one in roles] if isinstance(roles, list) else []
    given = hand_over(project, old, new, str(pinned or ""), planned)
    used = resource.params.get("used_by")
    users = ", ".join(str(one) for one in used) if isinstance(used, list) and used else "whatever used it"
    reason = (
        f"rotated: {old} stays disabled, so that no token from before lives again; {new} has its"
        f" {len(given.roles)} roles of the project. Point at it: {users}; what single resources granted to"
        " the old account is to be granted to the new one by hand"
    )
    return Revived(Outcome.RESTORED if given.changed else Outcome.ALREADY, reason[:900])
