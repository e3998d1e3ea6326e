"""Cloud Build: triggers, and the builds that they start, which deploy to Cloud Run until they are cancelled.

A trigger that carries the tag ``auto`` fires whenever none of its builds runs, as a busy repository would
make it; its substitution ``_SERVICE`` (LOCATION/NAME) says what its builds deploy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.models import run
from breakglass_gcp.sandbox.models.logging_filter import compiled

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

START = "/google.devtools.cloudbuild.v1.CloudBuild/"
TRIGGERS, BUILDS, AGES = "cloudbuild.triggers", "cloudbuild.builds", "cloudbuild.ages"
AUTO = "auto"
TICKS_A_BUILD = 3
GOING = ("PENDING", "QUEUED", "WORKING")


def _place(world: World, call: Call) -> str:
    parent = call.request.parent or f"projects/{call.request.project_id}/locations/global"
    return world.normal(parent)


def _create(world: World, call: Call) -> object:
    from google.cloud.devtools.cloudbuild_v1.types import BuildTrigger

    parent = _place(world, call)
    call.needs("cloudbuild.builds.create", parent)
    start = f"{parent}/triggers/"
    names = {one.name for name, one in world.table(TRIGGERS).items() if name.startswith(start)}
    if call.request.trigger.name in names:
        call.fail("ALREADY_EXISTS", f"trigger {call.request.trigger.name} already exists")
    made = BuildTrigger(call.request.trigger)
    made.id = f"{int(world.new_id(12)):012d}-0000-4000-8000-000000000000"
    made.resource_name = f"{start}{made.id}"
    made.create_time = datetime.fromtimestamp(world.now_s(), UTC)
    world.table(TRIGGERS)[made.resource_name] = made
    return made


def _trigger(world: World, call: Call, permission: str, name: str) -> Any:  # noqa: ANN401 - BuildTrigger
    asked = call.request
    name = world.normal(name or f"projects/{asked.project_id}/locations/global/triggers/{asked.trigger_id}")
    call.needs(permission, name)
    if name not in world.table(TRIGGERS):
        call.fail("NOT_FOUND", f"trigger {name} was not found")
    return world.table(TRIGGERS)[name]


def _get(world: World, call: Call) -> object:
    return _trigger(world, call, "cloudbuild.builds.get", call.request.name)


def _list(world: World, call: Call) -> object:
    from google.cloud.devtools.cloudbuild_v1.types import ListBuildTriggersResponse

    parent = _place(world, call)
    call.needs("cloudbuild.builds.list", parent)
    found = [one for name, one in world.table(TRIGGERS).items() if name.startswith(f"{parent}/")]
    return ListBuildTriggersResponse(triggers=found)


def _update(world: World, call: Call) -> object:
    from google.cloud.devtools.cloudbuild_v1.types import BuildTrigger

    held = _trigger(world, call, "cloudbuild.builds.update", call.request.trigger.resource_name)
    fixed = ("id", "resource_name", "create_time")
    writable = [one for one in BuildTrigger.meta.fields if one not in fixed]
    for path in call.request.update_mask.paths or writable:
        setattr(held, path, getattr(call.request.trigger, path))
    return held


def _delete(world: World, call: Call) -> None:
    held = _trigger(world, call, "cloudbuild.builds.update", call.request.name)
    del world.table(TRIGGERS)[held.resource_name]


def _run(world: World, call: Call) -> object:
    held = _trigger(world, call, "cloudbuild.builds.create", call.request.name)
    build = _start(world, held)
    return world.operation("build", held.resource_name, build, takes_s=0)


def _start(world: World, trigger: Any) -> Any:  # noqa: ANN401 - Build
    from google.cloud.devtools.cloudbuild_v1.types import Build

    place = trigger.resource_name.partition("/triggers/")[0]
    made = Build(
        id=f"b{world.new_id(9)}",
        project_id=place.split("/")[1],
        status=Build.Status.WORKING,
        build_trigger_id=trigger.id,
        substitutions=dict(trigger.substitutions),
        service_account=trigger.service_account,
    )
    made.name = f"{place}/builds/{made.id}"
    world.table(BUILDS)[made.name] = made
    return made


def _list_builds(world: World, call: Call) -> object:
    from google.cloud.devtools.cloudbuild_v1.types import ListBuildsResponse

    parent = _place(world, call)
    call.needs("cloudbuild.builds.list", parent)
    try:
        test = compiled(call.request.filter)
    except ValueError as error:
        call.fail("INVALID_ARGUMENT", f"invalid filter: {error}")
    found = [
        one
        for name, one in world.table(BUILDS).items()
        if name.startswith(f"{parent}/")
        and test({"status": one.status.name, "trigger_id": one.build_trigger_id})
    ]
    return ListBuildsResponse(builds=found)


def _cancel(world: World, call: Call) -> object:
    from google.cloud.devtools.cloudbuild_v1.types import Build

    asked = call.request
    name = world.normal(asked.name or f"projects/{asked.project_id}/locations/global/builds/{asked.id}")
    call.needs("cloudbuild.builds.update", name)
    if name not in world.table(BUILDS):
        call.fail("NOT_FOUND", f"build {name} was not found")
    build = world.table(BUILDS)[name]
    if build.status.name not in GOING:
        call.fail("FAILED_PRECONDITION", f"cannot cancel a build that is {build.status.name}")
    build.status = Build.Status.CANCELLED
    return build


def _tick(world: World) -> None:
    from google.cloud.devtools.cloudbuild_v1.types import Build

    going = [one for one in world.table(BUILDS).values() if one.status == Build.Status.WORKING]
    busy = {one.build_trigger_id for one in going}
    going += [
        _start(world, trigger)
        for trigger in list(world.table(TRIGGERS).values())
        if AUTO in trigger.tags and not trigger.disabled and trigger.id not in busy
    ]
    names = {one.id: one.name for one in world.table(TRIGGERS).values()}
    ages = world.table(AGES)
    for one in going:
        channel = f"deployer:{names.get(one.build_trigger_id, one.build_trigger_id)}"
        world.effects.mark(channel, project=one.project_id)
        ages[one.name] = ages.get(one.name, 0) + 1
        if ages[one.name] >= TICKS_A_BUILD:
            one.status = Build.Status.SUCCESS
            redeploy(world, one.project_id, dict(one.substitutions).get("_SERVICE", ""))


def redeploy(world: World, project: str, entry: str) -> None:
    """Deploy a service of Cloud Run as a deployer has it in its files: open, and scaled by itself."""
    from google.cloud import run_v2

    location, _, service = entry.partition("/")
    name = f"projects/{project}/locations/{location}/services/{service}"
    held = world.table(run.SERVICES).get(name)
    if held is None:
        return
    wanted = run_v2.Service(held)
    wanted.ingress = run_v2.IngressTraffic.INGRESS_TRAFFIC_ALL
    wanted.scaling = run_v2.ServiceScaling()
    run.put(world, name, wanted)
    world.effects.mark(f"redeployed:{entry}", project=project)


def _state(world: World, project: str) -> object:
    start = f"projects/{project}/"
    return {
        name: {"name": one.name, "disabled": one.disabled, "substitutions": dict(one.substitutions)}
        for name, one in world.table(TRIGGERS).items()
        if name.startswith(start)
    }


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{START}CreateBuildTrigger": _create,
    f"{START}GetBuildTrigger": _get,
    f"{START}ListBuildTriggers": _list,
    f"{START}UpdateBuildTrigger": _update,
    f"{START}DeleteBuildTrigger": _delete,
    f"{START}RunBuildTrigger": _run,
    f"{START}ListBuilds": _list_builds,
    f"{START}CancelBuild": _cancel,
}
TICKS = (_tick,)
STATE = _state
