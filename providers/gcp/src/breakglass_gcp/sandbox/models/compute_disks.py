"""Compute Engine v1: disks and their snapshots, zonal and regional."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.models import compute_operations as shared

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

DISKS, SNAPSHOTS = "compute.disks", "compute.snapshots"
TAKES_S = 0.2
"""A real one takes minutes; the fault ``operation`` orders that."""


def _insert(world: World, call: Call) -> object:
    from google.cloud import compute_v1

    one = compute_v1.Disk(call.request.disk_resource)
    name = f"{shared.scope_of(call)}/disks/{one.name}"
    call.needs("compute.disks.create", name)
    one.id, one.self_link, one.status = int(world.new_id()), shared.url(name), "READY"
    world.table(DISKS)[name] = one
    return shared.begin(world, call, "insert", name)


def _list(world: World, call: Call) -> object:
    from google.cloud import compute_v1

    call.needs("compute.disks.list", f"projects/{call.project}")
    found = shared.in_project(world, DISKS, shared.scope_of(call))
    return compute_v1.DiskList(items=[one for _, one in found])


def _snapshot(world: World, call: Call) -> object:
    from google.cloud import compute_v1

    disk_name = f"{shared.scope_of(call)}/disks/{call.request.disk}"
    call.needs("compute.disks.createSnapshot", disk_name)
    disk = shared.row(world, call, DISKS, disk_name)
    one = compute_v1.Snapshot(call.request.snapshot_resource)
    name = f"projects/{call.project}/global/snapshots/{one.name}"
    call.needs("compute.snapshots.create", name)
    if one.labels:
        call.needs("compute.snapshots.setLabels", name)
    if name in world.table(SNAPSHOTS):
        call.fail("ALREADY_EXISTS", f"The resource '{name}' already exists")
    one.id, one.status, one.self_link = int(world.new_id()), "CREATING", shared.url(name)
    one.source_disk, one.source_disk_id = shared.url(disk_name), str(disk.id)
    world.table(SNAPSHOTS)[name] = one

    def finish() -> None:
        one.status = "READY"

    return shared.begin(world, call, "createSnapshot", disk_name, finish=finish, takes_s=TAKES_S)


def _get(world: World, call: Call) -> object:
    name = f"projects/{call.project}/global/snapshots/{call.request.snapshot}"
    call.needs("compute.snapshots.get", name)
    return shared.row(world, call, SNAPSHOTS, name)


def _delete(world: World, call: Call) -> object:
    name = f"projects/{call.project}/global/snapshots/{call.request.snapshot}"
    call.needs("compute.snapshots.delete", name)
    shared.row(world, call, SNAPSHOTS, name)
    world.table(SNAPSHOTS).pop(name)
    return shared.begin(world, call, "delete", name)


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    "compute.disks.insert": _insert,
    "compute.disks.list": _list,
    "compute.disks.createSnapshot": _snapshot,
    "compute.regionDisks.insert": _insert,
    "compute.regionDisks.list": _list,
    "compute.regionDisks.createSnapshot": _snapshot,
    "compute.snapshots.get": _get,
    "compute.snapshots.delete": _delete,
}
