"""Cloud Deploy: targets, pipelines that may be suspended, rollouts that complete or are cancelled.

cloud_deploy.proto, DeliveryPipeline.suspended: no new releases or rollouts can be created, in-progress ones
complete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.models.build import redeploy
from breakglass_gcp.sandbox.models.logging_filter import compiled

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

START = "/google.cloud.deploy.v1.CloudDeploy/"
PIPELINES, TARGETS, ROLLOUTS = "clouddeploy.pipelines", "clouddeploy.targets", "clouddeploy.rollouts"
AGES = "clouddeploy.ages"
TICKS_A_ROLLOUT = 4
TAKES_S = 0.1
GOING = ("IN_PROGRESS", "PENDING", "PENDING_APPROVAL", "PENDING_RELEASE")


def _stamp(world: World, made: Any) -> Any:  # noqa: ANN401 - a message
    made.etag = f"d{world.new_id(9)}"
    return made


def _put(table: str, kind: str, field: str) -> Callable[[World, Call], object]:
    def handler(world: World, call: Call) -> object:
        parent = world.normal(call.request.parent)
        call.needs(f"clouddeploy.{kind}.create", parent)
        asked = getattr(call.request, field)
        made = type(asked)(asked)
        made.name = f"{parent}/{kind}/{getattr(call.request, f'{field}_id')}"
        made.uid = world.new_id(12)
        world.table(table)[made.name] = _stamp(world, made)
        return world.operation("create", parent, made, takes_s=0)

    return handler


def _pipeline(world: World, call: Call, permission: str, name: str) -> Any:  # noqa: ANN401 - DeliveryPipeline
    name = world.normal(name)
    call.needs(f"clouddeploy.deliveryPipelines.{permission}", name)
    if name not in world.table(PIPELINES):
        call.fail("NOT_FOUND", f"Delivery pipeline {name} was not found.")
    return world.table(PIPELINES)[name]


def _get_pipeline(world: World, call: Call) -> object:
    return _pipeline(world, call, "get", call.request.name)


def _list_pipelines(world: World, call: Call) -> object:
    from google.cloud.deploy_v1 import ListDeliveryPipelinesResponse

    parent = world.normal(call.request.parent)
    call.needs("clouddeploy.deliveryPipelines.list", parent)
    return ListDeliveryPipelinesResponse(delivery_pipelines=_under(world, PIPELINES, parent))


def _list_targets(world: World, call: Call) -> object:
    from google.cloud.deploy_v1 import ListTargetsResponse

    parent = world.normal(call.request.parent)
    call.needs("clouddeploy.targets.list", parent)
    return ListTargetsResponse(targets=_under(world, TARGETS, parent))


def _under(world: World, table: str, parent: str) -> list[Any]:
    return [one for name, one in world.table(table).items() if name.startswith(f"{parent}/")]


def _update_pipeline(world: World, call: Call) -> object:
    asked = call.request.delivery_pipeline
    held = _pipeline(world, call, "update", asked.name)
    if asked.etag and asked.etag != held.etag:
        call.fail("ABORTED", "The etag does not match the delivery pipeline's.")
    if not call.request.update_mask.paths:
        call.fail("INVALID_ARGUMENT", "The update mask is required.")
    wanted = {path: getattr(asked, path) for path in call.request.update_mask.paths}

    def finish() -> None:
        for path, value in wanted.items():
            setattr(held, path, value)
        _stamp(world, held)

    place = held.name.partition("/deliveryPipelines/")[0]
    return world.operation("update", place, lambda: held, takes_s=TAKES_S, finish=finish)


def _create_rollout(world: World, call: Call) -> object:
    from google.cloud.deploy_v1 import Rollout

    parent = world.normal(call.request.parent)
    pipeline = _pipeline(world, call, "get", parent.partition("/releases/")[0])
    call.needs("clouddeploy.rollouts.create", parent)
    if pipeline.suspended:
        call.fail("FAILED_PRECONDITION", "The delivery pipeline is suspended.")
    made = Rollout(call.request.rollout)
    made.name = f"{parent}/rollouts/{call.request.rollout_id}"
    made.state = Rollout.State.IN_PROGRESS
    world.table(ROLLOUTS)[made.name] = made
    place = parent.partition("/deliveryPipelines/")[0]
    return world.operation("rollout", place, made, takes_s=0)


def _list_rollouts(world: World, call: Call) -> object:
    from google.cloud.deploy_v1 import ListRolloutsResponse

    parent = world.normal(call.request.parent)
    call.needs("clouddeploy.rollouts.list", parent)
    start = parent.removesuffix("-")
    try:
        test = compiled(call.request.filter)
    except ValueError as error:
        call.fail("INVALID_ARGUMENT", f"invalid filter: {error}")
    found = [
        one
        for name, one in world.table(ROLLOUTS).items()
        if name.startswith(start) and test({"state": one.state.name, "targetId": one.target_id})
    ]
    return ListRolloutsResponse(rollouts=found)


def _cancel_rollout(world: World, call: Call) -> object:
    from google.cloud.deploy_v1 import CancelRolloutResponse, Rollout

    name = world.normal(call.request.name)
    call.needs("clouddeploy.rollouts.cancel", name)
    if name not in world.table(ROLLOUTS):
        call.fail("NOT_FOUND", f"Rollout {name} was not found.")
    held = world.table(ROLLOUTS)[name]
    if held.state.name not in GOING:
        call.fail("FAILED_PRECONDITION", f"The rollout is {held.state.name}.")
    held.state = Rollout.State.CANCELLED
    return CancelRolloutResponse()


def _tick(world: World) -> None:
    from google.cloud.deploy_v1 import Rollout

    ages = world.table(AGES)
    for name, one in world.table(ROLLOUTS).items():
        if one.state != Rollout.State.IN_PROGRESS:
            continue
        project = name.split("/")[1]
        pipeline = name.partition("/deliveryPipelines/")[2].partition("/")[0]
        world.effects.mark(f"deployer:{pipeline}", project=project)
        ages[name] = ages.get(name, 0) + 1
        if ages[name] >= TICKS_A_ROLLOUT:
            one.state = Rollout.State.SUCCEEDED
            redeploy(world, project, dict(one.annotations).get("service", ""))


def _state(world: World, project: str) -> object:
    return {one.name: one.suspended for one in _under(world, PIPELINES, f"projects/{project}")}


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{START}CreateDeliveryPipeline": _put(PIPELINES, "deliveryPipelines", "delivery_pipeline"),
    f"{START}GetDeliveryPipeline": _get_pipeline,
    f"{START}ListDeliveryPipelines": _list_pipelines,
    f"{START}UpdateDeliveryPipeline": _update_pipeline,
    f"{START}CreateTarget": _put(TARGETS, "targets", "target"),
    f"{START}ListTargets": _list_targets,
    f"{START}CreateRollout": _create_rollout,
    f"{START}ListRollouts": _list_rollouts,
    f"{START}CancelRollout": _cancel_rollout,
}
TICKS = (_tick,)
STATE = _state
