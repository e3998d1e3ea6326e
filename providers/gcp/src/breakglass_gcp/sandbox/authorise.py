"""Decides calls: allow policies upwards from the resource, deny policies, boundaries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import boundaries, conditions, deny, roles
from breakglass_gcp.sandbox.call import Caller, Refusal
from breakglass_gcp.sandbox.projects import ADMIN, project_in

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.world import World


def require(world: World, caller: Caller | None, permission: str, resource: str) -> None:
    """Refuse unless the caller has the permission on the resource.

    Raises:
        Refusal: PERMISSION_DENIED, worded so that it does not say whether there is such a resource.
    """
    if allowed(world, caller, permission, resource):
        return
    raise Refusal(
        "PERMISSION_DENIED",
        f"Permission '{permission}' denied on resource '{resource}' (or it may not exist).",
        reason="IAM_PERMISSION_DENIED",
        metadata={"permission": permission, "resource": resource},
        domain="iam.googleapis.com",
    )


def allowed(world: World, caller: Caller | None, permission: str, resource: str) -> bool:
    """Tell whether the evaluator lets the caller do something now.

    IAM documentation, "How IAM evaluates policies": boundaries, then deny policies, then allow policies of
    the resource and everything above it. The sandbox's own administrator is above all of them.
    """
    if caller is None:
        return False
    if caller.principal == ADMIN:
        return True
    resource = canonical(world, resource)
    names = tuple(above(world, resource))
    return (
        granted(world, caller, permission, resource, names)
        and not deny.denied(world, caller, permission, names)
        and boundaries.eligible(world, caller, permission, names)
    )


def canonical(world: World, resource: str) -> str:
    """Return a relative name as policies are kept under it: project by id, accounts by e-mail."""
    if resource.startswith("//"):
        resource = resource[2:].partition("/")[2]
    if "/serviceAccounts/" in resource:
        account = resource.partition("/serviceAccounts/")[2]
        unique, slash, rest = account.partition("/")
        known = world.table("iam.accounts").get(world.table("iam.emails").get(unique, unique))
        email = known.email if known is not None else unique
        project = known.project if known is not None else project_in(email) or project_in(resource)
        resource = f"projects/{project}/serviceAccounts/{email}{slash}{rest}"
    return world.normal(resource)


def above(world: World, resource: str) -> Iterator[str]:
    """Yield a resource and what it inherits from, nearest first."""
    parts = resource.split("/")
    for end in range(len(parts), 1, -2 if len(parts) % 2 == 0 else -1):
        yield "/".join(parts[:end])
    project = world.find_project(project_in(resource)) if project_in(resource) else None
    if project is not None:
        if not resource.startswith(f"projects/{project.id}"):
            yield f"projects/{project.id}"
        parent = project.parent
        while parent:
            yield parent
            parent = world.table("resourcemanager.parents").get(parent, "")


def granted(world: World, caller: Caller, permission: str, resource: str, names: tuple[str, ...]) -> bool:
    """Tell whether an allow policy of one of these names grants it."""
    who = identities(caller)
    for name in names:
        policy: Any = world.config.seen(("policy", name))
        for binding in policy.bindings if policy is not None else ():
            if (
                not who.isdisjoint(binding.members)
                and roles.holds(world, binding.role, permission)
                and conditions.holds(binding.condition.expression, resource, world.now_s())
            ):
                return True
    return False


def identities(caller: Caller) -> set[str]:
    """Return every member that allow policies may name a caller by; groups are not modelled."""
    known = {caller.member, "allUsers", "allAuthenticatedUsers", *caller.groups}
    if caller.pool:
        known.add(f"principalSet://iam.googleapis.com/{caller.pool}/*")
    return known
