"""Compute Engine v1: managed instance groups and their autoscalers, zonal and regional.

Compute Engine documentation, "About repairing VMs in a MIG": what fails, is stopped or deleted by an action
that the group did not begin is made again, unless its lifecycle policy says DO_NOTHING. "About suspending and
stopping VMs in a MIG": its own methods move instances out of the target size; only a policy SCALE_OUT_POOL
brings them back by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.models import compute_instances
from breakglass_gcp.sandbox.models import compute_operations as shared

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

GROUPS, AUTOSCALERS, TEMPLATES = "compute.groups", "compute.autoscalers", "compute.templates"
_LOST = frozenset({"", "TERMINATED", "SUSPENDED", "STOPPED"})


def name_of(call: Call) -> str:
    """Return the full name of the group that a request names."""
    return f"{shared.scope_of(call)}/instanceGroupManagers/{call.request.instance_group_manager}"


def row_of(world: World, call: Call, permission: str) -> dict[str, Any]:
    """Return a group that the caller may do this to."""
    call.needs(f"compute.instanceGroupManagers.{permission}", name_of(call))
    held: dict[str, Any] = shared.row(world, call, GROUPS, name_of(call))
    return held


def _insert_template(world: World, call: Call) -> object:
    from google.cloud import compute_v1

    one = compute_v1.InstanceTemplate(call.request.instance_template_resource)
    name = f"projects/{call.project}/global/instanceTemplates/{one.name}"
    call.needs("compute.instanceTemplates.create", name)
    world.table(TEMPLATES)[name] = one
    return shared.begin(world, call, "insert", name)


def _insert(world: World, call: Call) -> object:
    from google.cloud import compute_v1

    scope = shared.scope_of(call)
    one = compute_v1.InstanceGroupManager(call.request.instance_group_manager_resource)
    name = f"{scope}/instanceGroupManagers/{one.name}"
    call.needs("compute.instanceGroupManagers.create", name)
    one.id, one.self_link, one.fingerprint = int(world.new_id()), shared.url(name), shared.fingerprint(world)
    one.target_suspended_size, one.target_stopped_size = 0, 0
    lifecycle = one.instance_lifecycle_policy
    lifecycle.default_action_on_failure = lifecycle.default_action_on_failure or "REPAIR"
    lifecycle.on_failed_health_check = lifecycle.on_failed_health_check or "DEFAULT_ACTION"
    one.standby_policy.mode = one.standby_policy.mode or "MANUAL"
    one.update_policy.type_ = one.update_policy.type_ or "OPPORTUNISTIC"
    world.table(GROUPS)[name] = {"manager": one, "members": {}, "made_of": {}, "configs": {}}
    _keep(world, name, world.table(GROUPS)[name])
    return shared.begin(world, call, "insert", name)


def _get(world: World, call: Call) -> object:
    return row_of(world, call, "get")["manager"]


def _members(world: World, call: Call) -> object:
    from google.cloud import compute_v1

    held = row_of(world, call, "get")
    rows = []
    for instance, target in held["members"].items():
        one = world.table(compute_instances.TABLE).get(instance)
        told = {
            "instance": shared.url(instance),
            "name": instance.rpartition("/")[2],
            "target_status": target,
        }
        shown = {} if one is None else {"id": one.id, "instance_status": one.status}
        rows.append(compute_v1.ManagedInstance({**told, **shown, "current_action": "NONE"}))
    regional = "/regions/" in shared.scope_of(call)
    name = "RegionInstanceGroupManagersListInstancesResponse"
    kind = name if regional else "InstanceGroupManagersListManagedInstancesResponse"
    return getattr(compute_v1, kind)(managed_instances=rows)


def _patch(world: World, call: Call) -> object:
    held, asked = row_of(world, call, "update"), call.request.instance_group_manager_resource
    if asked.fingerprint:
        shared.same_print(call, asked.fingerprint, held["manager"].fingerprint)
    shared.merged(held["manager"], asked)
    held["manager"].fingerprint = shared.fingerprint(world)
    return shared.begin(world, call, "patch", name_of(call))


def _resize(world: World, call: Call) -> object:
    held = row_of(world, call, "update")
    held["manager"].target_size = call.request.size
    return shared.begin(world, call, "resize", name_of(call))


def _move(verb: str, target: str, during: str) -> Callable[[World, Call], Any]:
    def move(world: World, call: Call) -> object:
        held, request = row_of(world, call, "update"), call.request
        kind = "region_" if "/regions/" in shared.scope_of(call) else ""
        asked = getattr(request, f"{kind}instance_group_managers_{verb}_instances_request_resource")
        names = [instance_of(call, one) for one in asked.instances]
        for name in names:
            _movable(world, call, held, name, verb)
        for name in names:
            count(held["manager"], held["members"][name], -1)
            held["members"][name] = target
            count(held["manager"], target, 1)
            one = world.table(compute_instances.TABLE)[name]
            if verb == "suspend" and compute_instances.SUSPEND_FAILS in one.labels:
                shared.begin(world, call, verb, name, finish=compute_instances.refuse)
            elif verb != "resume" or one.status != "RUNNING":
                one.status = during
        held["manager"].fingerprint = shared.fingerprint(world)
        return shared.begin(world, call, f"{verb}Instances", name_of(call))

    return move


def instance_of(call: Call, told: str) -> str:
    """Return the full name of an instance that a request names."""
    name = shared.short(told)
    return name if name.startswith("projects/") else f"projects/{call.project}/{name}"


def _movable(world: World, call: Call, held: Mapping[str, Any], name: str, verb: str) -> None:
    one = world.table(compute_instances.TABLE).get(name)
    if name not in held["members"] or one is None:
        call.fail("INVALID_ARGUMENT", f"{name} is not an instance of the group")
    wanted = {"suspend": "RUNNING", "stop": "RUNNING", "resume": "SUSPENDED", "start": "TERMINATED"}[verb]
    only_wanted = verb == "resume" and one.status == "RUNNING" and held["members"][name] != "RUNNING"
    if one.status != wanted and not only_wanted:
        call.fail("INVALID_ARGUMENT", f"{name} is {one.status}: the group cannot {verb} it now")
    if verb == "suspend" and one.guest_accelerators:
        call.fail("INVALID_ARGUMENT", "Suspend is not supported for instances of this type.")


def count(manager: Any, target: str, by: int) -> None:  # noqa: ANN401 - a message
    """Move the group's sizes."""
    field = {"RUNNING": "target_size", "SUSPENDED": "target_suspended_size"}.get(
        target, "target_stopped_size"
    )
    setattr(manager, field, getattr(manager, field) + by)


def _keep(world: World, name: str, held: dict[str, Any]) -> None:
    """Do what the group does by itself: repair, wake its pool, grow to its target."""
    manager, members = held["manager"], held["members"]
    instances = world.table(compute_instances.TABLE)
    repairs = manager.instance_lifecycle_policy.default_action_on_failure != "DO_NOTHING"
    pushes = manager.update_policy.type_ == "PROACTIVE"
    for instance, target in members.items():
        one = instances.get(instance)
        if target != "RUNNING":
            if one is not None and one.status in ("SUSPENDING", "STOPPING"):
                one.status = "SUSPENDED" if target == "SUSPENDED" else "TERMINATED"
        elif one is not None and one.status == "PROVISIONING":
            one.status = "RUNNING"
        elif repairs and (one.status if one is not None else "") in _LOST:
            make(world, name, held, instance)
    for instance in _outdated(held, instances) if pushes else ():
        make(world, name, held, instance)
    pool = [one for one, target in members.items() if target != "RUNNING"]
    while sum(1 for target in members.values() if target == "RUNNING") < manager.target_size:
        if pool and manager.standby_policy.mode == "SCALE_OUT_POOL":
            woken = pool.pop()
            count(manager, members[woken], -1)
            members[woken], instances[woken].status = "RUNNING", "RUNNING"
            continue
        fresh = f"{zone_of(name)}/instances/{manager.base_instance_name}-{world.new_id(4)}"
        members[fresh] = "RUNNING"
        make(world, name, held, fresh)


def _outdated(held: Mapping[str, Any], instances: Mapping[str, Any]) -> list[str]:
    wanted = held["manager"].instance_template
    running = (one for one, target in held["members"].items() if target == "RUNNING" and one in instances)
    return [one for one in running if held["made_of"][one] != wanted]


def zone_of(name: str) -> str:
    """Return the zone in which a group makes its instances."""
    scope = name.partition("/instanceGroupManagers/")[0]
    return scope.replace("/regions/", "/zones/") + ("-b" if "/regions/" in scope else "")


def make(world: World, name: str, held: dict[str, Any], instance: str) -> None:
    """Make a member of the group's template."""
    from google.cloud import compute_v1

    manager = held["manager"]
    held["made_of"][instance] = manager.instance_template
    template = world.table(TEMPLATES)[shared.short(manager.instance_template)].properties
    asked = {"key": "created-by", "value": name}
    one = compute_v1.Instance(
        machine_type=template.machine_type,
        network_interfaces=template.network_interfaces,
        service_accounts=template.service_accounts,
        guest_accelerators=template.guest_accelerators,
        disks=template.disks,
        labels=template.labels,
        metadata={"items": [*template.metadata.items, asked]},
    )
    compute_instances.made(world, instance, one)


def _tick(world: World) -> None:
    for held in list(world.table(AUTOSCALERS).values()):
        group = world.table(GROUPS).get(shared.short(held.target))
        policy = held.autoscaling_policy
        if group is not None and policy.mode != "OFF":
            size = max(policy.min_num_replicas, held.recommended_size)
            group["manager"].target_size = max(size, group["manager"].target_size)
    for name, held in list(world.table(GROUPS).items()):
        _keep(world, name, held)


def _insert_autoscaler(world: World, call: Call) -> object:
    from google.cloud import compute_v1

    one = compute_v1.Autoscaler(call.request.autoscaler_resource)
    name = f"{shared.scope_of(call)}/autoscalers/{one.name}"
    call.needs("compute.autoscalers.create", name)
    one.id, one.status, one.self_link = int(world.new_id()), "ACTIVE", shared.url(name)
    one.autoscaling_policy.mode = one.autoscaling_policy.mode or "ON"
    world.table(AUTOSCALERS)[name] = one
    return shared.begin(world, call, "insert", name)


def _list_autoscalers(world: World, call: Call) -> object:
    from google.cloud import compute_v1

    scope = shared.scope_of(call)
    call.needs("compute.autoscalers.list", f"projects/{call.project}")
    found = [one for _, one in shared.in_project(world, AUTOSCALERS, scope)]
    regional = "/regions/" in scope
    return (compute_v1.RegionAutoscalerList if regional else compute_v1.AutoscalerList)(items=found)


def _patch_autoscaler(world: World, call: Call) -> object:
    name = f"{shared.scope_of(call)}/autoscalers/{call.request.autoscaler}"
    call.needs("compute.autoscalers.update", name)
    shared.merged(shared.row(world, call, AUTOSCALERS, name), call.request.autoscaler_resource)
    return shared.begin(world, call, "patch", name)


def _state(world: World, project: str) -> object:
    from google.protobuf import json_format

    told: dict[str, Any] = {}
    for name, held in shared.in_project(world, GROUPS, f"projects/{project}"):
        manager = held["manager"]
        said = json_format.MessageToDict(type(manager).pb(manager), preserving_proto_field_name=True)
        said.pop("fingerprint", None)
        told[name] = {"manager": said, "members": held["members"]}
    for name, one in shared.in_project(world, AUTOSCALERS, f"projects/{project}"):
        told[name] = json_format.MessageToDict(type(one).pb(one), preserving_proto_field_name=True)
    return told


def _kind(prefix: str) -> dict[str, Callable[[World, Call], Any]]:
    start = f"compute.{prefix}nstanceGroupManagers."
    moves = {
        "suspend": _move("suspend", "SUSPENDED", "SUSPENDING"),
        "stop": _move("stop", "STOPPED", "STOPPING"),
        "resume": _move("resume", "RUNNING", "PROVISIONING"),
        "start": _move("start", "RUNNING", "PROVISIONING"),
    }
    plain = {"insert": _insert, "get": _get, "listManagedInstances": _members, "patch": _patch}
    made = {f"{start}{verb}": handler for verb, handler in {**plain, "resize": _resize}.items()}
    return {**made, **{f"{start}{verb}Instances": handler for verb, handler in moves.items()}}


_SCALERS = {"insert": _insert_autoscaler, "list": _list_autoscalers, "patch": _patch_autoscaler}
HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    "compute.instanceTemplates.insert": _insert_template,
    **_kind("i"),
    **_kind("regionI"),
    **{f"compute.autoscalers.{verb}": handler for verb, handler in _SCALERS.items()},
    **{f"compute.regionAutoscalers.{verb}": handler for verb, handler in _SCALERS.items()},
}
TICKS = (_tick,)
STATE = _state
