"""What runs in Agent Engine: queries that are answered now or later, warm instances, sandbox environments.

A query goes on until it is cancelled or has ended; what runs acts as the engine's identity, and also
without Google.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.call import Refusal
from breakglass_gcp.sandbox.models.aiplatform import ENGINES, KIND, START, engine
from breakglass_gcp.sandbox.models.run_workload import work
from breakglass_gcp.sandbox.operations import as_json, settle_all

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

QUERIES, BOXES, WARM = "aiplatform.queries", "aiplatform.boxes", "aiplatform.warm"
LONGEST_S = 100_000.0
PAUSE_S = 0.1
_BOX = "aiplatform.sandboxEnvironments"
_METADATA = "type.googleapis.com/google.cloud.aiplatform.v1.AsyncQueryReasoningEngineOperationMetadata"


def _query(world: World, call: Call) -> object:
    held = engine(world, call, f"{KIND}.query")
    world.effects.mark(f"query:{_id(held['name'])}", project=call.project)
    world.table(WARM)[held["name"]] = world.now_s()
    return {"output": "done"}


def _async_query(world: World, call: Call) -> object:
    held = engine(world, call, f"{KIND}.query")
    begun: dict[str, Any] = world.operation("q", held["name"], {}, {"@type": _METADATA}, takes_s=LONGEST_S)
    world.table(QUERIES)[begun["name"]] = held["name"]
    return begun


def _cancel_query(world: World, call: Call) -> object:
    held = engine(world, call, f"{KIND}.cancelAsyncQuery")
    short = str(call.request.body.get("operationName", "")).rpartition("/")[2]
    name = f"{held['name']}/operations/{short}"
    if name not in world.table(QUERIES):
        call.fail("NOT_FOUND", f"Operation {short} was not found.")
    _end(world, name)
    return {}


def _end(world: World, name: str) -> None:
    pending = world.operations[name]
    if not pending.done:
        pending.done, pending.error = True, Refusal("CANCELLED", "The operation was cancelled.")


def _operations(world: World, call: Call) -> object:
    held = engine(world, call, f"{KIND}.get")
    settle_all(world)
    start = f"{held['name']}/operations/"
    return {"operations": [as_json(one) for name, one in world.operations.items() if name.startswith(start)]}


def _cancel_operation(world: World, call: Call) -> object:
    engine(world, call, f"{KIND}.update")
    name = world.normal(call.request.params["name"])
    if name not in world.operations:
        call.fail("NOT_FOUND", f"Operation {name} was not found.")
    _end(world, name)
    return {}


def _get_operation(world: World, call: Call) -> object:
    engine(world, call, f"{KIND}.get")
    name = world.normal(call.request.params["name"])
    if name not in world.operations:
        call.fail("NOT_FOUND", f"Operation {name} was not found.")
    world.operations[name].settle(world)
    return as_json(world.operations[name])


def _create_box(world: World, call: Call) -> object:
    held = engine(world, call, f"{_BOX}.create", call.request.params["parent"])
    name = f"{held['name']}/sandboxEnvironments/{world.new_id()}"
    world.table(BOXES)[name] = {**dict(call.request.body), "name": name, "state": "STATE_RUNNING"}
    return world.operation("box", name, {"name": name}, {}, takes_s=0)


def _list_boxes(world: World, call: Call) -> object:
    held = engine(world, call, f"{_BOX}.list", call.request.params["parent"])
    start = f"{held['name']}/sandboxEnvironments/"
    found = [one for name, one in world.table(BOXES).items() if name.startswith(start)]
    return {"sandboxEnvironments": copy.deepcopy(found)}


def _turn(begins: str, between: str, ends: str, verb: str) -> Callable[[World, Call], object]:
    def handler(world: World, call: Call) -> object:
        engine(world, call, f"{_BOX}.{verb}")
        name = world.normal(call.request.params["name"])
        box = world.table(BOXES).get(name)
        if box is None:
            call.fail("NOT_FOUND", f"The SandboxEnvironment {name} does not exist.")
        if box["state"] != begins:
            call.fail("FAILED_PRECONDITION", f"The SandboxEnvironment is {box['state']}, not {begins}.")
        box["state"] = between

        def finish() -> None:
            box["state"] = ends

        return world.operation(verb, name, {"name": name}, {}, takes_s=PAUSE_S, finish=finish)

    return handler


def _tick(world: World) -> None:
    for name, at in list(world.table(QUERIES).items()):
        held = world.table(ENGINES).get(at)
        if held is not None and not world.operations[name].done:
            _work(world, held, name, f"engine:{_id(at)}")
    for at, held in world.table(ENGINES).items():
        if held.get("displayName", "").startswith("busy") and _instances(world, held):
            _work(world, held, at, f"background:{_id(at)}")
    for name, box in world.table(BOXES).items():
        at = name.partition("/sandboxEnvironments/")[0]
        if box["state"] == "STATE_RUNNING" and at in world.table(ENGINES):
            _work(world, world.table(ENGINES)[at], name, f"box:{_id(name)}")


def _instances(world: World, held: Mapping[str, Any]) -> int:
    """Return how many instances are warm: minInstances (1 by default), or one that a query woke just now."""
    least = int(held["spec"].get("deploymentSpec", {}).get("minInstances", 1))
    return max(least, 1 if world.now_s() - world.table(WARM).get(held["name"], 0.0) < 1 else 0)


def _work(world: World, held: Mapping[str, Any], name: str, channel: str) -> None:
    identity = str(held["spec"]["effectiveIdentity"])
    work(world, name, channel, identity if "@" in identity else f"principal://{identity}")


def _id(name: str) -> str:
    return name.rpartition("/")[2]


def _boxes(world: World, project: str) -> object:
    start = f"projects/{project}/"
    return {name: one["state"] for name, one in world.table(BOXES).items() if name.startswith(start)}


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{START}query": _query,
    f"{START}asyncQuery": _async_query,
    f"{START}cancelAsyncQuery": _cancel_query,
    f"{START}operations.list": _operations,
    f"{START}operations.get": _get_operation,
    f"{START}operations.cancel": _cancel_operation,
    f"{START}sandboxEnvironments.operations.get": _get_operation,
    f"{START}sandboxEnvironments.create": _create_box,
    f"{START}sandboxEnvironments.list": _list_boxes,
    f"{START}sandboxEnvironments.pause": _turn("STATE_RUNNING", "STATE_PAUSING", "STATE_PAUSED", "pause"),
    f"{START}sandboxEnvironments.resume": _turn("STATE_PAUSED", "STATE_RESUMING", "STATE_RUNNING", "resume"),
}
TICKS = (_tick,)
STATE = _boxes
