"""Compute Engine v1: members of managed groups by name: made, abandoned, deleted, with configs of their own.

Compute Engine documentation, "Creating managed instances with specific names in a MIG", "Removing instances
from a MIG", "Configuring stateful metadata in MIGs".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.models import compute_groups as groups
from breakglass_gcp.sandbox.models import compute_instances
from breakglass_gcp.sandbox.models import compute_operations as shared

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World


def _asked(world: World, call: Call, verb: str) -> tuple[Any, Any]:
    """Return the group, and what is asked of it: the field is another for a regional one."""
    kind = "region_" if "/regions/" in shared.scope_of(call) else ""
    field = f"{kind}instance_group_managers_{verb}_instances_request_resource"
    return groups.row_of(world, call, "update"), getattr(call.request, field)


def _create(world: World, call: Call) -> object:
    """Make members of these names, each with a config of its own (createInstances)."""
    held, asked = _asked(world, call, "create")
    for one in asked.instances:
        name = f"{groups.zone_of(groups.name_of(call))}/instances/{one.name}"
        held["members"][name] = "RUNNING"
        if one.preserved_state:
            held["configs"][name] = one.preserved_state
        held["manager"].target_size += 1
        groups.make(world, groups.name_of(call), held, name)
    return shared.begin(world, call, "createInstances", groups.name_of(call))


def _leave(verb: str) -> Callable[[World, Call], Any]:
    def leave(world: World, call: Call) -> object:
        held, asked = _asked(world, call, verb)
        for told in asked.instances:
            name = groups.instance_of(call, told)
            if name not in held["members"]:
                call.fail("INVALID_ARGUMENT", f"{name} is not an instance of the group")
            groups.count(held["manager"], held["members"].pop(name), -1)
            if verb == "delete":
                world.table(compute_instances.TABLE).pop(name, None)
        return shared.begin(world, call, f"{verb}Instances", groups.name_of(call))

    return leave


def _configure(world: World, call: Call) -> object:
    """Give members metadata of their own with their next update (updatePerInstanceConfigs)."""
    held, regional = groups.row_of(world, call, "update"), "/regions/" in shared.scope_of(call)
    field = "instance_group_managers_update_per_instance_configs_req_resource"
    field = "region_instance_group_manager_update_instance_config_req_resource" if regional else field
    for one in getattr(call.request, field).per_instance_configs:
        held["configs"][f"{groups.zone_of(groups.name_of(call))}/instances/{one.name}"] = one.preserved_state
    return shared.begin(world, call, "updatePerInstanceConfigs", groups.name_of(call))


def _configs(world: World, call: Call) -> object:
    from google.cloud import compute_v1

    held, regional = groups.row_of(world, call, "get"), "/regions/" in shared.scope_of(call)
    rows = [
        compute_v1.PerInstanceConfig(name=name.rpartition("/")[2], preserved_state=state)
        for name, state in held["configs"].items()
    ]
    kind = "RegionInstanceGroupManagersListInstanceConfigsResp"
    kind = kind if regional else "InstanceGroupManagersListPerInstanceConfigsResp"
    return getattr(compute_v1, kind)(items=rows)


_VERBS: Mapping[str, Callable[[World, Call], Any]] = {
    "createInstances": _create,
    "abandonInstances": _leave("abandon"),
    "deleteInstances": _leave("delete"),
    "updatePerInstanceConfigs": _configure,
    "listPerInstanceConfigs": _configs,
}
HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"compute.{kind}nstanceGroupManagers.{verb}": handler
    for kind in ("i", "regionI")
    for verb, handler in _VERBS.items()
}
