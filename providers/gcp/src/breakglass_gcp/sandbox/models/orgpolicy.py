"""Organization Policy v2: what is effective of a constraint in a project."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

TABLE = "orgpolicy.rules"


def _effective(world: World, call: Call) -> object:
    """Return the merged policy; one that nobody set is the default: nothing is allowed."""
    name = world.normal(call.request.params["name"])
    project, _, constraint = name.partition("/policies/")
    call.needs("orgpolicy.policy.get", project)
    record = world.project(project)
    rules = world.table(TABLE).get(f"{record.id} {constraint}", [{"denyAll": True}])
    return {"name": f"projects/{record.number}/policies/{constraint}", "spec": {"rules": rules}}


def _set(world: World, asked: Mapping[str, Any]) -> object:
    """Set the rules of a constraint in a project, as its organisation would."""
    project = world.project(str(asked["project"])).id
    world.table(TABLE)[f"{project} {asked['constraint']}"] = list(asked["rules"])
    return {}


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    "orgpolicy.projects.policies.getEffectivePolicy": _effective,
}
CONTROLS = {"orgpolicy.set": _set}
