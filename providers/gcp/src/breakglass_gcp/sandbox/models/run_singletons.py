"""Cloud Run instances, as google/cloud/run/v2/instance.proto describes them: one container by itself.

What stopped one is a reason of its condition (Cloud Run Admin API v2 discovery document, instanceReason); the
client's messages do not have that field, so the reasons stand in a table and REST alone tells them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.call import Raw, Refusal
from breakglass_gcp.sandbox.models import run_desired as desired
from breakglass_gcp.sandbox.models.run_workload import account_of, forget, work

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

SINGLETONS, RUNNING, REASONS = "run.singletons", "run.singletons_running", "run.singletons_reasons"
_START = "/google.cloud.run.v2.Instances/"
WRITABLE = (
    "description",
    "labels",
    "annotations",
    "client",
    "client_version",
    "launch_stage",
    "vpc_access",
    "service_account",
    "containers",
    "volumes",
    "node_selector",
    "ingress",
    "invoker_iam_disabled",
)
STOPPED, STOPPING = "INSTANCE_STOPPED", "INSTANCE_STOPPING"


def _create(world: World, call: Call) -> object:
    from google.cloud import run_v2

    name = world.normal(f"{call.request.parent}/instances/{call.request.instance_id}")
    call.needs("run.instances.create", world.normal(call.request.parent))
    if name in world.table(SINGLETONS):
        call.fail("ALREADY_EXISTS", f"Resource '{name}' already exists.")
    made = desired.merged(run_v2.Instance(name=name), call.request.instance, (), WRITABLE)
    account = account_of(world, made.service_account, name.split("/")[1])
    call.needs("iam.serviceAccounts.actAs", f"projects/-/serviceAccounts/{account}")
    world.table(SINGLETONS)[name] = made
    desired.stamp(world, made, call)
    return _moved(world, made, "create", "")


def _moved(world: World, held: Any, verb: str, during: str) -> object:  # noqa: ANN401 - Instance
    """Begin to run or to stop one; a later order of another kind takes the place of this one."""
    held.reconciling = True
    held.etag = f'"{world.new_id()}"'
    held.terminal_condition = {"type_": "Ready", "state": "CONDITION_RECONCILING"}
    world.table(REASONS)[held.name] = during
    order = held.etag

    def finish() -> None:
        there = held.name in world.table(SINGLETONS)
        if not there or order != held.etag:
            raise Refusal("ABORTED", f"Resource '{held.name}' was changed meanwhile.")
        held.reconciling, held.observed_generation = False, held.generation
        on = verb != "stop"
        held.terminal_condition = {
            "type_": "Ready",
            "state": "CONDITION_SUCCEEDED" if on else "CONDITION_FAILED",
        }
        world.table(REASONS)[held.name] = "" if on else STOPPED
        if on:
            world.table(RUNNING)[held.name] = desired.copied(held)
        else:
            _off(world, held.name)

    place = held.name.rsplit("/", 2)[0]
    return world.operation(
        verb, place, lambda: desired.copied(held), desired.copied(held), desired.TAKES_S, finish
    )


def _off(world: World, name: str) -> None:
    world.table(RUNNING).pop(name, None)
    forget(world, name)


def _get(world: World, call: Call) -> object:
    call.needs("run.instances.get", world.normal(call.request.name))
    held = desired.find(world, call, SINGLETONS, call.request.name)
    return _told(world, held) if call.transport == "rest" else desired.copied(held)


def _told(world: World, held: Any) -> Raw:  # noqa: ANN401 - Instance
    """Return one as REST gives it, with the reason that the client's messages do not have."""
    from google.protobuf import json_format

    told = json_format.MessageToDict(type(held).pb(held))
    if reason := world.table(REASONS).get(held.name):
        told["terminalCondition"]["instanceReason"] = reason
    return Raw.of_json(told)


def _list(world: World, call: Call) -> object:
    from google.cloud import run_v2

    call.needs("run.instances.list", world.normal(call.request.parent))
    items = desired.under(world, SINGLETONS, f"{call.request.parent}/instances")
    some, more = desired.page(items, call.request.page_size, call.request.page_token)
    return run_v2.ListInstancesResponse(instances=some, next_page_token=more)


def _stop(world: World, call: Call) -> object:
    held = _ordered(world, call, "run.instances.stop")
    if world.table(REASONS).get(held.name):
        call.fail("FAILED_PRECONDITION", f"Instance '{held.name}' does not run.")
    return _moved(world, held, "stop", STOPPING)


def _start(world: World, call: Call) -> object:
    held = _ordered(world, call, "run.instances.start")
    if world.table(REASONS).get(held.name) != STOPPED:
        call.fail("FAILED_PRECONDITION", f"Instance '{held.name}' is not stopped.")
    return _moved(world, held, "start", "")


def _ordered(world: World, call: Call, permission: str) -> Any:  # noqa: ANN401 - Instance
    name = world.normal(call.request.name)
    call.needs(permission, name)
    held = desired.find(world, call, SINGLETONS, name)
    desired.check_etag(call, call.request.etag, held.etag)
    return held


def _delete(world: World, call: Call) -> object:
    held = _ordered(world, call, "run.instances.delete")
    for table in (SINGLETONS, REASONS):
        world.table(table).pop(held.name, None)
    _off(world, held.name)
    return world.operation("delete", held.name.rsplit("/", 2)[0], lambda: held, held)


def _tick(world: World) -> None:
    for name, held in world.table(RUNNING).items():
        account = account_of(world, held.service_account, name.split("/")[1])
        work(world, name, f"instance:{desired.short(name)}", account)


def _tells(world: World, asked: Mapping[str, Any]) -> object:
    """Control verb: change an ``instance``: ``reason``, ``state``, ``image``, or ``age_s``."""
    name = desired.full(asked, "instances", "instance")
    held = world.table(SINGLETONS)[name]
    if "reason" in asked:
        world.table(REASONS)[name] = str(asked["reason"])
    if "state" in asked:
        held.terminal_condition.state = str(asked["state"])
    if "image" in asked:
        # The reference has a method to update one, the client of this version has none.
        held.containers = [{"image": str(asked["image"])}]
        desired.stamp(world, held, None)
    if "age_s" in asked:
        held.create_time -= timedelta(seconds=float(asked["age_s"]))
    return {}


def _state(world: World, project: str) -> object:
    return {
        name: {**desired.as_state(held), "runs": name in world.table(RUNNING)}
        for name, held in sorted(world.table(SINGLETONS).items())
        if name.startswith(f"projects/{project}/")
    }


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{_START}CreateInstance": _create,
    f"{_START}GetInstance": _get,
    f"{_START}ListInstances": _list,
    f"{_START}StopInstance": _stop,
    f"{_START}StartInstance": _start,
    f"{_START}DeleteInstance": _delete,
}
TICKS = (_tick,)
CONTROLS: Mapping[str, Callable[[World, Mapping[str, Any]], object]] = {"run.instance_tells": _tells}
STATE = _state
