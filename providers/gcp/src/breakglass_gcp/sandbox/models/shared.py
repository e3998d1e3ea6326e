"""What every service has: long-running operations, locations, policies through google.iam.v1.IAMPolicy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import operations, policies

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

POLICIED: dict[str, tuple[str, policies.Exists]] = {}
"""Filled by the server with every model's POLICIES."""
LONGEST_S = 30.0
GUARDED = frozenset({"run", "eventarc", "workflows", "cloudfunctions", "clouddeploy"})
"""Services with a permission ``SERVICE.operations.get`` (IAM documentation, "IAM permissions reference")."""


def _operation(world: World, call: Call, verb: str = "get") -> operations.Pending:
    """Return an operation that the caller may look at; of services that have a permission for that."""
    name = world.normal(call.request.name)
    pending = world.operations.get(call.request.name) or world.operations.get(name)
    service = pending.told.get("service", "") if pending is not None else ""
    if service in GUARDED:
        call.needs(f"{service}.operations.{verb}", "/".join(name.split("/")[:4]))
    if pending is None:
        call.fail("NOT_FOUND", f"Operation '{name}' was not found.")
    pending.settle(world)
    return pending


def _get_operation(world: World, call: Call) -> object:
    return operations.as_message(_operation(world, call))


def _wait_operation(world: World, call: Call) -> object:
    wanted_s = call.request.timeout.ToTimedelta().total_seconds() or LONGEST_S
    until_s = world.now_s() + min(wanted_s, LONGEST_S)
    pending = _operation(world, call)
    while not pending.done and world.now_s() < until_s:
        world.changed.wait(0.02)
        pending.settle(world)
    return operations.as_message(pending)


def _list_operations(world: World, call: Call) -> object:
    from google.longrunning import operations_pb2

    found = [one for name, one in world.operations.items() if name.startswith(f"{call.request.name}/")]
    return operations_pb2.ListOperationsResponse(operations=[operations.as_message(one) for one in found])


def _cancel_operation(world: World, call: Call) -> object:
    from breakglass_gcp.sandbox.call import Refusal

    pending = _operation(world, call, "cancel")
    if not pending.done:
        pending.done, pending.error = True, Refusal("CANCELLED", "The operation was cancelled.")
    return None


def _list_locations(world: World, call: Call) -> object:
    from google.cloud.location import locations_pb2

    return locations_pb2.ListLocationsResponse(
        locations=[
            locations_pb2.Location(name=f"{call.request.name}/locations/{one}", location_id=one)
            for one in world.settings.locations
        ]
    )


def _get_location(world: World, call: Call) -> object:
    from google.cloud.location import locations_pb2

    location = call.request.name.rpartition("/")[2]
    if location not in world.settings.locations:
        call.fail("NOT_FOUND", f"Location '{location}' was not found.")
    return locations_pb2.Location(name=call.request.name, location_id=location)


def _kind(call: Call, world: World) -> tuple[str, policies.Exists]:
    name = world.normal(call.request.resource)
    for pattern, kind in POLICIED.items():
        if re.fullmatch(pattern.replace("*", "[^/]+"), name):
            return kind
    return call.fail("INVALID_ARGUMENT", f"Resource '{name}' has no policy.")


def _get_policy(world: World, call: Call) -> object:
    return policies.read(world, call, *_kind(call, world))


def _set_policy(world: World, call: Call) -> object:
    return policies.write(world, call, *_kind(call, world))


def _test_permissions(world: World, call: Call) -> object:
    return policies.answer_permissions(world, call, _kind(call, world)[1])


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    "/google.longrunning.Operations/GetOperation": _get_operation,
    "/google.longrunning.Operations/WaitOperation": _wait_operation,
    "/google.longrunning.Operations/ListOperations": _list_operations,
    "/google.longrunning.Operations/CancelOperation": _cancel_operation,
    "/google.cloud.location.Locations/ListLocations": _list_locations,
    "/google.cloud.location.Locations/GetLocation": _get_location,
    "/google.iam.v1.IAMPolicy/GetIamPolicy": _get_policy,
    "/google.iam.v1.IAMPolicy/SetIamPolicy": _set_policy,
    "/google.iam.v1.IAMPolicy/TestIamPermissions": _test_permissions,
}
