"""Compute Engine v1: instances, their life cycle, tags, accounts and access configs.

Life cycle and refusals: Compute Engine documentation, "Suspend, stop, or reset Compute Engine instances".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.call import Refusal
from breakglass_gcp.sandbox.models import compute_addresses
from breakglass_gcp.sandbox.models import compute_operations as shared

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

TABLE = "compute.instances"
TAKES_S = 0.05
SUSPEND_FAILS = "sandbox-suspend-fails"
"""A label: the operation that suspends such an instance fails."""
_MOVES = ("fingerprint", "label_fingerprint", "last_start_timestamp", "last_stop_timestamp", "self_link")
_MOVES_TOO = ("last_suspended_timestamp", "creation_timestamp")


def name_of(call: Call) -> str:
    """Return the full name of the instance that a request names."""
    return f"{shared.scope_of(call)}/instances/{call.request.instance}"


def _held(world: World, call: Call, permission: str) -> Any:  # noqa: ANN401 - a message
    call.needs(f"compute.instances.{permission}", name_of(call))
    return shared.row(world, call, TABLE, name_of(call))


def made(world: World, name: str, asked: Any, *, status: str = "RUNNING") -> Any:  # noqa: ANN401 - messages
    """Put an instance into the world as a platform does: ids, names of interfaces, addresses."""
    from google.cloud import compute_v1

    one = compute_v1.Instance(asked)
    one.id, one.name, one.status = int(world.new_id()), name.rpartition("/")[2], status
    one.zone = shared.url(name.partition("/instances/")[0])
    one.self_link = shared.url(name)
    one.fingerprint, one.label_fingerprint = shared.fingerprint(world), shared.fingerprint(world)
    one.tags.fingerprint = shared.fingerprint(world)
    project = name.split("/")[1]
    for n, face in enumerate(one.network_interfaces):
        face.name = f"nic{n}"
        face.network = shared.url(_network(project, face.network))
        face.network_i_p = face.network_i_p or f"10.0.{n}.{len(world.table(TABLE)) % 250 + 2}"
        face.stack_type = face.stack_type or "IPV4_ONLY"
        for config in face.access_configs:
            _addressed(world, config)
    world.table(TABLE)[name] = one
    return one


def _network(project: str, told: str) -> str:
    short = shared.short(told)
    if short.startswith("projects/"):
        return short
    return f"projects/{project}/global/networks/{short.rpartition('/')[2] or 'default'}"


def _addressed(world: World, config: Any) -> None:  # noqa: ANN401 - an AccessConfig
    config.name = config.name or "External NAT"
    config.type_ = config.type_ or "ONE_TO_ONE_NAT"
    config.network_tier = config.network_tier or "PREMIUM"
    if not config.nat_i_p and config.type_ == "ONE_TO_ONE_NAT":
        config.nat_i_p = f"203.0.113.{int(world.new_id(6)) // 7919 % 250 + 1}"


def _insert(world: World, call: Call) -> object:
    scope = shared.scope_of(call)
    call.needs("compute.instances.create", scope)
    name = f"{scope}/instances/{call.request.instance_resource.name}"
    if name in world.table(TABLE):
        call.fail("ALREADY_EXISTS", f"The resource '{name}' already exists")
    made(world, name, call.request.instance_resource)
    return shared.begin(world, call, "insert", name)


def _get(world: World, call: Call) -> object:
    """Answer by name or by id: the pattern of ``instance`` in the discovery document takes either."""
    if call.request.instance.isdigit():
        there = shared.in_project(world, TABLE, f"{shared.scope_of(call)}")
        named = (one.name for _, one in there if str(one.id) == call.request.instance)
        call.request.instance = next(named, call.request.instance)
    return _held(world, call, "get")


def _list(world: World, call: Call) -> object:
    from google.cloud import compute_v1

    scope = shared.scope_of(call)
    call.needs("compute.instances.list", f"projects/{call.project}")
    return compute_v1.InstanceList(items=[one for _, one in shared.in_project(world, TABLE, scope)])


def _aggregated(world: World, call: Call) -> object:
    from google.cloud import compute_v1

    call.needs("compute.instances.list", f"projects/{call.project}")
    down = world.table("compute.down").get(call.project, ())
    said = compute_v1.InstanceAggregatedList()
    for name, one in shared.in_project(world, TABLE, f"projects/{call.project}"):
        zone = name.split("/")[3]
        if zone not in down:
            scope = f"zones/{zone}"
            items = [*(said.items[scope].instances if scope in said.items else ()), one]
            said.items[scope] = compute_v1.InstancesScopedList(instances=items)
    for zone in down:
        warning = {"code": "UNREACHABLE", "message": f"Cannot reach zone {zone}"}
        said.items[f"zones/{zone}"] = compute_v1.InstancesScopedList(warning=warning)
    return said


def _change(permission: str, wanted: tuple[str, ...], during: str, after: str) -> Callable[..., Any]:
    def change(world: World, call: Call) -> object:
        one = _held(world, call, permission)
        if one.status == after:
            return shared.begin(world, call, permission, name_of(call))
        if one.status not in wanted:
            call.fail("INVALID_ARGUMENT", f"The instance is {one.status}: it cannot {permission} now.")
        if permission == "suspend":
            _suspendable(call, one)
        began, one.status = one.status, during

        def finish() -> None:
            if permission == "suspend" and SUSPEND_FAILS in one.labels:
                one.status = began
                refuse()
            one.status = after

        return shared.begin(world, call, permission, name_of(call), finish=finish, takes_s=TAKES_S)

    return change


def refuse() -> None:
    """End the operation that suspends a guest which does not answer.

    Raises:
        Refusal: always.
    """
    raise Refusal("INTERNAL", "The guest did not answer the suspend request.")


def _suspendable(call: Call, one: Any) -> None:  # noqa: ANN401 - an Instance
    if one.guest_accelerators or one.confidential_instance_config.enable_confidential_compute:
        call.fail("INVALID_ARGUMENT", "Suspend is not supported for instances of this type.")


def _delete(world: World, call: Call) -> object:
    _held(world, call, "delete")
    world.table(TABLE).pop(name_of(call))
    return shared.begin(world, call, "delete", name_of(call))


def _set_tags(world: World, call: Call) -> object:
    one = _held(world, call, "setTags")
    shared.same_print(call, call.request.tags_resource.fingerprint, one.tags.fingerprint)
    one.tags.items = list(call.request.tags_resource.items)
    one.tags.fingerprint = shared.fingerprint(world)
    return shared.begin(world, call, "setTags", name_of(call))


def _set_metadata(world: World, call: Call) -> object:
    one = _held(world, call, "setMetadata")
    shared.same_print(call, call.request.metadata_resource.fingerprint, one.metadata.fingerprint)
    one.metadata.items = list(call.request.metadata_resource.items)
    one.metadata.fingerprint = shared.fingerprint(world)
    return shared.begin(world, call, "setMetadata", name_of(call))


def _set_name(world: World, call: Call) -> object:
    """Rename an instance that is off ("Rename a VM instance"): it keeps its id."""
    one, asked = _held(world, call, "setName"), call.request.instances_set_name_request_resource
    if one.status != "TERMINATED":
        call.fail("INVALID_ARGUMENT", f"The instance is {one.status}: it must be TERMINATED.")
    name = f"{shared.scope_of(call)}/instances/{asked.name}"
    if name in world.table(TABLE):
        call.fail("ALREADY_EXISTS", f"The resource '{name}' already exists")
    world.table(TABLE).pop(name_of(call))
    one.name, one.self_link = asked.name, shared.url(name)
    world.table(TABLE)[name] = one
    return shared.begin(world, call, "setName", name)


def _set_account(world: World, call: Call) -> object:
    from google.cloud import compute_v1

    one = _held(world, call, "setServiceAccount")
    if one.status != "TERMINATED":
        call.fail(
            "INVALID_ARGUMENT", "The instance must be stopped before the service account can be changed."
        )
    asked = call.request.instances_set_service_account_request_resource
    one.service_accounts = [compute_v1.ServiceAccount(email=asked.email, scopes=asked.scopes)]
    return shared.begin(world, call, "setServiceAccount", name_of(call))


def _face(call: Call, one: Any) -> Any:  # noqa: ANN401 - messages
    for face in one.network_interfaces:
        if face.name == call.request.network_interface:
            return face
    return call.fail("INVALID_ARGUMENT", f"no network interface {call.request.network_interface}")


def _delete_config(world: World, call: Call) -> object:
    face = _face(call, _held(world, call, "deleteAccessConfig"))
    left = [one for one in face.access_configs if one.name != call.request.access_config]
    if len(left) == len(face.access_configs):
        call.fail(
            "INVALID_ARGUMENT", f"Invalid value for field: no access config {call.request.access_config}"
        )
    face.access_configs = left
    return shared.begin(world, call, "deleteAccessConfig", name_of(call))


def _add_config(world: World, call: Call) -> object:
    from google.cloud import compute_v1

    face = _face(call, _held(world, call, "addAccessConfig"))
    if face.access_configs:
        call.fail("INVALID_ARGUMENT", "At most one access config currently supported.")
    config = compute_v1.AccessConfig(call.request.access_config_resource)
    call.needs("compute.subnetworks.useExternalIp", f"projects/{call.project}")
    if config.nat_i_p:
        if config.nat_i_p not in compute_addresses.reserved(world, f"projects/{call.project}"):
            call.fail("INVALID_ARGUMENT", f"'{config.nat_i_p}' is not a reserved address of the project.")
        call.needs("compute.addresses.use", f"projects/{call.project}")
    _addressed(world, config)
    face.access_configs = [config]
    return shared.begin(world, call, "addAccessConfig", name_of(call))


def _down(world: World, asked: Mapping[str, Any]) -> object:
    """Take zones of a project out of aggregated listings."""
    world.table("compute.down")[str(asked["project"])] = tuple(asked.get("zones", ()))
    return {}


def _state(world: World, project: str) -> object:
    from google.protobuf import json_format

    told = {}
    for name, one in shared.in_project(world, TABLE, f"projects/{project}"):
        said = json_format.MessageToDict(type(one).pb(one), preserving_proto_field_name=True)
        for moved in (*_MOVES, *_MOVES_TOO):
            said.pop(moved, None)
        said.get("tags", {}).pop("fingerprint", None)
        if said.get("tags") == {}:
            said.pop("tags")
        told[name] = said
    return told


_RUNNING = ("RUNNING",)
HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    "compute.instances.insert": _insert,
    "compute.instances.get": _get,
    "compute.instances.list": _list,
    "compute.instances.aggregatedList": _aggregated,
    "compute.instances.suspend": _change("suspend", _RUNNING, "SUSPENDING", "SUSPENDED"),
    "compute.instances.resume": _change("resume", ("SUSPENDED",), "PROVISIONING", "RUNNING"),
    "compute.instances.stop": _change("stop", ("RUNNING", "SUSPENDED"), "STOPPING", "TERMINATED"),
    "compute.instances.start": _change("start", ("TERMINATED", "STOPPED"), "PROVISIONING", "RUNNING"),
    "compute.instances.delete": _delete,
    "compute.instances.setTags": _set_tags,
    "compute.instances.setMetadata": _set_metadata,
    "compute.instances.setName": _set_name,
    "compute.instances.setServiceAccount": _set_account,
    "compute.instances.deleteAccessConfig": _delete_config,
    "compute.instances.addAccessConfig": _add_config,
}
CONTROLS: Mapping[str, Callable[[World, Mapping[str, Any]], Any]] = {"compute.down": _down}
STATE = _state
