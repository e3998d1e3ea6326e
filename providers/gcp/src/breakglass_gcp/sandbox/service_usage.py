"""Which services a project may use: what gcp.restrictServiceUsage leaves of those that are enabled.

Resource Manager documentation, "Restricting resource usage": the constraint controls the runtime access to
all resources in scope, of whoever calls; it does not work for essential dependencies as IAM, Cloud Logging
and Cloud Monitoring. "Understanding hierarchy evaluation": what is inherited is merged, denied values win.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.call import Refusal

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.projects import ProjectRecord
    from breakglass_gcp.sandbox.world import World

CONSTRAINT = "gcp.restrictServiceUsage"
ABOVE = "orgpolicy.rules"
"""Table: "PROJECT CONSTRAINT" -> the rules that folders and the organisation set together."""
_ESSENTIAL = frozenset(
    f"{one}.googleapis.com"
    for one in (
        "cloudresourcemanager",
        "iam",
        "iamcredentials",
        "logging",
        "monitoring",
        "oauth2",
        "orgpolicy",
        "serviceusage",
        "sts",
    )
)
Rules = Sequence[Mapping[str, Any]]
Look = Callable[["World", tuple[str, str, str]], Any]


def key(project: str, constraint: str) -> tuple[str, str, str]:
    """Return what a project's own policy is kept under."""
    return ("orgpolicy", project, constraint)


def newest(world: World, at: tuple[str, str, str]) -> Any:  # noqa: ANN401 - JSON
    """Return a policy as it was last written."""
    return world.config.get(at)


def seen(world: World, at: tuple[str, str, str]) -> Any:  # noqa: ANN401 - as above
    """Return a policy as what decides about calls sees it."""
    return world.config.seen(at)


def own_policy(world: World, project: str, constraint: str) -> dict[str, Any] | None:
    """Return a project's own policy; None: none is set."""
    found: dict[str, Any] | None = newest(world, key(project, constraint))
    return found


def restrictable(service: str) -> bool:
    """Tell whether the constraint takes a service."""
    return service.endswith(".googleapis.com") and service not in _ESSENTIAL


def effective_rules(world: World, project: str, constraint: str, look: Look) -> Rules:
    """Return the rules that hold in a project, merged with those above it where it inherits."""
    default = [{"allowAll": True}] if constraint == CONSTRAINT else [{"denyAll": True}]
    above: Rules = world.table(ABOVE).get(f"{project} {constraint}", default)
    policy = look(world, key(project, constraint))
    spec = (policy or {}).get("spec")
    if spec is None:
        return above
    if spec.get("reset"):
        return default
    own: Rules = spec.get("rules", [])
    if not spec.get("inheritFromParent"):
        return own
    kept = [one for one in above if not (one.get("allowAll") and own)]
    return [*kept, *own]


def refuse_restricted(world: World, record: ProjectRecord, service: str) -> None:
    """Refuse a call of a service that the project may not use.

    google/api/error_reason.proto, RESOURCE_USAGE_RESTRICTION_VIOLATED; the words are the documentation's.

    Raises:
        Refusal: PERMISSION_DENIED.
    """
    if restrictable(service) and not _allowed(effective_rules(world, record.id, CONSTRAINT, seen), service):
        raise Refusal(
            "PERMISSION_DENIED",
            f"Request is disallowed by organization's constraints/{CONSTRAINT} constraint for "
            f"'projects/{record.number}' attempting to use service '{service}'.",
            reason="RESOURCE_USAGE_RESTRICTION_VIOLATED",
            metadata={"service": service, "consumer": f"projects/{record.number}"},
        )


def _allowed(rules: Rules, service: str) -> bool:
    """Decide; tags are not modelled, so a rule with a condition never holds."""
    holding = [one for one in rules if not one.get("condition")]
    if any(one.get("denyAll") for one in holding):
        return False
    listed = [_values(one, "allowedValues") for one in holding]
    if any(service in _values(one, "deniedValues") for one in holding):
        return False
    if not any(listed):
        return True
    return any(service in one for one in listed)


def _values(rule: Mapping[str, Any], name: str) -> list[str]:
    return [str(one).removeprefix("is:") for one in rule.get("values", {}).get(name, [])]
