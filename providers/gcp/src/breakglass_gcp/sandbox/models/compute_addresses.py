"""Compute Engine v1: addresses that a project has reserved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.models import compute_operations as shared

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

TABLE = "compute.addresses"


def reserved(world: World, scope: str) -> set[str]:
    """Return the addresses that a project or a region of it holds."""
    return {one.address for _, one in shared.in_project(world, TABLE, scope)}


def _insert(world: World, call: Call) -> object:
    from google.cloud import compute_v1

    scope = shared.scope_of(call)
    call.needs("compute.addresses.create", scope)
    one = compute_v1.Address(call.request.address_resource)
    one.address_type, one.status = one.address_type or "EXTERNAL", "RESERVED"
    world.table(TABLE)[f"{scope}/addresses/{one.name}"] = one
    return shared.begin(world, call, "insert", f"{scope}/addresses/{one.name}")


def _list(world: World, call: Call) -> object:
    from google.cloud import compute_v1

    call.needs("compute.addresses.list", f"projects/{call.project}")
    found = shared.in_project(world, TABLE, shared.scope_of(call))
    return compute_v1.AddressList(items=[one for _, one in found])


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    "compute.addresses.insert": _insert,
    "compute.addresses.list": _list,
}
