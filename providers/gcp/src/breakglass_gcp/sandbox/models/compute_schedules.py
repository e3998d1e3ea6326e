"""Compute Engine v1: resource policies of instances; a schedule starts what it is attached to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.models import compute_instances
from breakglass_gcp.sandbox.models import compute_operations as shared

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

TABLE = "compute.resource_policies"


def _insert(world: World, call: Call) -> object:
    from google.cloud import compute_v1

    one = compute_v1.ResourcePolicy(call.request.resource_policy_resource)
    name = f"{shared.scope_of(call)}/resourcePolicies/{one.name}"
    call.needs("compute.resourcePolicies.create", name)
    one.id, one.self_link = int(world.new_id()), shared.url(name)
    world.table(TABLE)[name] = one
    return shared.begin(world, call, "insert", name)


def _get(world: World, call: Call) -> object:
    name = f"{shared.scope_of(call)}/resourcePolicies/{call.request.resource_policy}"
    call.needs("compute.resourcePolicies.get", name)
    return shared.row(world, call, TABLE, name)


def _change(verb: str) -> Callable[[World, Call], Any]:
    def change(world: World, call: Call) -> object:
        name = compute_instances.name_of(call)
        call.needs(f"compute.instances.{verb}ResourcePolicies", name)
        one = shared.row(world, call, compute_instances.TABLE, name)
        asked = getattr(call.request, f"instances_{verb}_resource_policies_request_resource")
        given = [shared.url(shared.short(policy)) for policy in asked.resource_policies]
        if verb == "add":
            for policy in given:
                call.needs("compute.resourcePolicies.use", shared.short(policy))
                shared.row(world, call, TABLE, shared.short(policy))
            one.resource_policies = [*one.resource_policies, *given]
        else:
            one.resource_policies = [held for held in one.resource_policies if held not in given]
        return shared.begin(world, call, f"{verb}ResourcePolicies", name)

    return change


def _fire(world: World, asked: Mapping[str, Any]) -> object:
    """Let every schedule of a project start what it is attached to."""
    started = []
    for name, one in shared.in_project(world, compute_instances.TABLE, f"projects/{asked['project']}"):
        policies = [world.table(TABLE).get(shared.short(held)) for held in one.resource_policies]
        if any(held and held.instance_schedule_policy.vm_start_schedule.schedule for held in policies):
            one.status = "RUNNING"
            started.append(name)
    return {"started": started}


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    "compute.resourcePolicies.insert": _insert,
    "compute.resourcePolicies.get": _get,
    "compute.instances.addResourcePolicies": _change("add"),
    "compute.instances.removeResourcePolicies": _change("remove"),
}
CONTROLS: Mapping[str, Callable[[World, Mapping[str, Any]], Any]] = {"compute.schedule": _fire}
