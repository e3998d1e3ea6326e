"""Brings a disabled service account back without reviving a token: waits, or gives its rights to another."""

from __future__ import annotations

from dataclasses import dataclass

from breakglass.errors import Denied, ProviderError
from breakglass.model.resource import Resource
from breakglass.provider import Outcome
from breakglass_gcp import cuts
from breakglass_gcp.actions.account_choice import account_name
from breakglass_gcp.actions.undo_wait import living, require_stopped, wait_out
from breakglass_gcp.last_cut import Cut
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import code_of
from breakglass_gcp.successor import hand_over

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
    require_stopped(resource)
    wait_out(project, resource, _cut(resource))
    return _enable(project, resource)


def enabled_early(project: Project, resource: Resource) -> str:
    """Return that somebody else enabled the account, in words; empty: it may have been this restore."""
    if resource.params.get("tokens") == ROTATE:
        return "somebody has enabled it, where its successor was to take its place"
    if project.first_looks.revived(resource.id):
        return ""
    said = living(project, resource, _cut(resource), is_open=True)
    return f"somebody has enabled it: {said}" if said else ""


def _cut(resource: Resource) -> Cut:
    return cuts.of_account(str(resource.params["email"]), str(resource.params["unique_id"]))


def _enable(project: Project, resource: Resource) -> Revived:
    name = account_name(project, str(resource.params["unique_id"]))
    project.first_looks.revive(resource.id)  # before the call: its answer may be lost
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
