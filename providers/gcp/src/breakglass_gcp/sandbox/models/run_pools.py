"""Cloud Run worker pools, as google/cloud/run/v2/worker_pool.proto describes them: so many workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.models import run_desired as desired
from breakglass_gcp.sandbox.models.run_workload import account_of, work

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

POOLS, IN_FORCE = "run.pools", "run.pools_in_force"
_START = "/google.cloud.run.v2.WorkerPools/"
WRITABLE = (
    "description",
    "labels",
    "annotations",
    "client",
    "client_version",
    "launch_stage",
    "template",
    "instance_splits",
    "scaling",
)
USUAL = 1
"""How many workers a pool has that names no number."""


def _create(world: World, call: Call) -> object:
    name = world.normal(f"{call.request.parent}/workerPools/{call.request.worker_pool_id}")
    call.needs("run.workerpools.create", world.normal(call.request.parent))
    if name in world.table(POOLS):
        call.fail("ALREADY_EXISTS", f"Resource '{name}' already exists.")
    return _put(world, name, call.request.worker_pool, call)


def _put(world: World, name: str, wanted: Any, call: Call) -> object:  # noqa: ANN401 - WorkerPool
    from google.cloud import run_v2

    held = world.table(POOLS).get(name) or run_v2.WorkerPool(name=name)
    made = desired.merged(held, wanted, (), WRITABLE)
    account = account_of(world, made.template.service_account, name.split("/")[1])
    call.needs("iam.serviceAccounts.actAs", f"projects/-/serviceAccounts/{account}")
    world.table(POOLS)[name] = held
    deployed = not held.latest_created_revision or made.template != held.template
    type(held).pb(held).CopyFrom(type(made).pb(made))
    desired.stamp(world, held, call)
    if deployed:
        held.latest_created_revision = f"{name}/revisions/{name.rpartition('/')[2]}-{held.generation:05d}"

    def in_force(now: Any) -> None:  # noqa: ANN401 - WorkerPool
        world.table(IN_FORCE)[name] = now

    return desired.reconcile(world, held, "update", in_force)


def _update(world: World, call: Call) -> object:
    asked = call.request.worker_pool
    name = world.normal(asked.name)
    call.needs("run.workerpools.update", name)
    held = desired.find(world, call, POOLS, name)
    desired.check_etag(call, asked.etag, held.etag)
    wanted = desired.merged(held, asked, list(call.request.update_mask.paths), WRITABLE)
    return _put(world, name, wanted, call)


def _get(world: World, call: Call) -> object:
    call.needs("run.workerpools.get", world.normal(call.request.name))
    return desired.copied(desired.find(world, call, POOLS, call.request.name))


def _list(world: World, call: Call) -> object:
    from google.cloud import run_v2

    call.needs("run.workerpools.list", world.normal(call.request.parent))
    items = desired.under(world, POOLS, f"{call.request.parent}/workerPools")
    some, more = desired.page(items, call.request.page_size, call.request.page_token)
    return run_v2.ListWorkerPoolsResponse(worker_pools=some, next_page_token=more)


def _delete(world: World, call: Call) -> object:
    name = world.normal(call.request.name)
    call.needs("run.workerpools.delete", name)
    held = desired.find(world, call, POOLS, name)
    for table in (POOLS, IN_FORCE):
        world.table(table).pop(name, None)
    return world.operation("delete", name.rsplit("/", 2)[0], lambda: held, held)


def _tick(world: World) -> None:
    for name, held in world.table(IN_FORCE).items():
        scaling = held.scaling
        count = scaling.manual_instance_count if "manual_instance_count" in scaling else USUAL
        account = account_of(world, held.template.service_account, name.split("/")[1])
        for n in range(count):
            work(world, f"{name}/{n}", f"pool:{desired.short(name)}", account)


def _state(world: World, project: str) -> object:
    return {
        name: desired.as_state(held)
        for name, held in sorted(world.table(POOLS).items())
        if name.startswith(f"projects/{project}/")
    }


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{_START}CreateWorkerPool": _create,
    f"{_START}UpdateWorkerPool": _update,
    f"{_START}GetWorkerPool": _get,
    f"{_START}ListWorkerPools": _list,
    f"{_START}DeleteWorkerPool": _delete,
}
TICKS = (_tick,)
STATE = _state
