"""Deny policies as the evaluator sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import conditions
from breakglass_gcp.sandbox.projects import project_in

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Caller
    from breakglass_gcp.sandbox.world import World

HOSTS: Mapping[str, str] = {"resourcemanager": "cloudresourcemanager"}
"""Where a permission's first word is not the service's name (IAM documentation, "Permissions supported in
deny policies"): resourcemanager.projects.delete is cloudresourcemanager.googleapis.com/projects.delete."""


def denied(world: World, caller: Caller, permission: str, resources: Iterable[str]) -> bool:
    """Tell whether a deny policy of one of these resources forbids it."""
    asked = denied_name(permission)
    who = principals(world, caller)
    for resource in resources:
        for policy in world.config.seen(("deny", resource), {}).values():
            if any(_forbids(world, rule.deny_rule, who, asked) for rule in policy.rules):
                return True
    return False


def denied_name(permission: str) -> str:
    """Return a permission as deny policies write it: SERVICE_FQDN/RESOURCE.ACTION."""
    service, _, rest = permission.partition(".")
    return f"{HOSTS.get(service, service)}.googleapis.com/{rest}"


def principals(world: World, caller: Caller) -> set[str]:
    """Return every name that deny policies may have for a caller (IAM v2 principal identifiers)."""
    found = {"principalSet://goog/public:all", *caller.groups}
    project = ""
    if caller.kind == "serviceAccount":
        found.add(f"principal://iam.googleapis.com/projects/-/serviceAccounts/{caller.principal}")
        account = world.table("iam.accounts").get(caller.unique_id)
        project = account.project if account is not None else ""
    elif caller.kind == "user":
        found.add(f"principal://goog/subject/{caller.principal}")
    else:
        found.add(caller.principal)
        project = project_in(caller.principal)
    if caller.pool:
        found.add(f"principalSet://iam.googleapis.com/{caller.pool}/*")
    record = world.find_project(project) if project else None
    if record is not None:
        start = "principalSet://cloudresourcemanager.googleapis.com"
        found |= {
            f"{start}/projects/{record.number}",
            f"{start}/projects/{record.id}",
            f"{start}/{record.parent}",
        }
    return found


def _forbids(world: World, rule: Any, who: set[str], asked: str) -> bool:  # noqa: ANN401 - DenyRule
    """Tell whether one rule does; exceptions of it win; a condition that cannot be decided does not hold."""
    return (
        not who.isdisjoint(rule.denied_principals)
        and who.isdisjoint(rule.exception_principals)
        and _matches(asked, rule.denied_permissions)
        and not _matches(asked, rule.exception_permissions)
        and conditions.holds(rule.denial_condition.expression, "", world.now_s())
    )


def _matches(asked: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(asked, pattern) for pattern in patterns)
