"""Cloud Scheduler: jobs that fire while they are ENABLED, at an address with a token, or into a topic.

A sandbox has no patience for cron: every job is due at every tick of the platform. ``RunJob`` fires whatever
the state is, which is the worst that the reference leaves open (CloudScheduler.RunJob: "even if the job is
already running").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import delivery
from breakglass_gcp.sandbox.models import pubsub

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

_START = "/google.cloud.scheduler.v1.CloudScheduler/"
_SET_BY_UPDATE = frozenset(
    {
        "description",
        "pubsub_target",
        "app_engine_http_target",
        "http_target",
        "schedule",
        "time_zone",
        "retry_config",
        "attempt_deadline",
    }
)


def _jobs(world: World) -> dict[str, Any]:
    return world.table("scheduler.jobs")


def _job(world: World, call: Call, name: str, permission: str) -> Any:  # noqa: ANN401 - a Job
    name = world.normal(name)
    call.needs(permission, name)
    if name not in _jobs(world):
        call.fail("NOT_FOUND", "Job not found.")
    return _jobs(world)[name]


def _copy(job: Any) -> Any:  # noqa: ANN401 - a Job
    from google.cloud.scheduler_v1.types import Job

    return Job(job)


def _stamp(world: World, job: Any, field: str) -> None:  # noqa: ANN401 - a Job
    now = getattr(type(job).pb(job), field)
    now.FromMilliseconds(int(world.now_s() * 1000))


def _create(world: World, call: Call) -> object:
    parent = world.normal(call.request.parent)
    call.needs("cloudscheduler.jobs.create", parent)
    job = _copy(call.request.job)
    job.name = world.normal(job.name) or f"{parent}/jobs/{world.new_id()}"
    if job.name in _jobs(world):
        call.fail("ALREADY_EXISTS", f"Job {job.name} already exists.")
    if not job.name.startswith(f"{parent}/jobs/"):
        call.fail("INVALID_ARGUMENT", "Job.name must be in the parent.")
    if not job.schedule:
        call.fail("INVALID_ARGUMENT", "Schedule is required.")
    if not any(one in job for one in ("http_target", "pubsub_target", "app_engine_http_target")):
        call.fail("INVALID_ARGUMENT", "A target is required.")
    _may_act_as(call, job)
    job.time_zone = job.time_zone or "UTC"
    job.state = type(job).State.ENABLED
    _stamp(world, job, "user_update_time")
    _jobs(world)[job.name] = job
    return _copy(job)


def _may_act_as(call: Call, job: Any) -> None:  # noqa: ANN401 - a Job
    """Refuse who may not act as the account (Cloud Scheduler, "Use authentication with HTTP targets")."""
    if account := _account(job):
        call.needs("iam.serviceAccounts.actAs", f"projects/-/serviceAccounts/{account}")


def _account(job: Any) -> str:  # noqa: ANN401 - a Job
    target = job.http_target
    return str(target.oidc_token.service_account_email or target.oauth_token.service_account_email)


def _get(world: World, call: Call) -> object:
    return _copy(_job(world, call, call.request.name, "cloudscheduler.jobs.get"))


def _list(world: World, call: Call) -> object:
    from google.cloud.scheduler_v1.types import ListJobsResponse

    parent = world.normal(call.request.parent)
    call.needs("cloudscheduler.jobs.list", parent)
    return ListJobsResponse(
        jobs=[_copy(job) for name, job in _jobs(world).items() if name.startswith(f"{parent}/jobs/")]
    )


def _update(world: World, call: Call) -> object:
    asked = call.request.job
    job = _job(world, call, asked.name, "cloudscheduler.jobs.update")
    paths = {one.partition(".")[0] for one in call.request.update_mask.paths} or _SET_BY_UPDATE
    if unknown := paths - _SET_BY_UPDATE:
        call.fail("INVALID_ARGUMENT", f"{', '.join(sorted(unknown))} cannot be updated.")
    changed = _copy(job)
    for path in paths:
        type(changed).pb(changed).ClearField(path)
        if path in asked:
            setattr(changed, path, getattr(asked, path))
    if {"http_target"} & paths:
        _may_act_as(call, changed)
    if changed.state == type(job).State.UPDATE_FAILED:
        changed.state = type(job).State.ENABLED
    _stamp(world, changed, "user_update_time")
    _jobs(world)[job.name] = changed
    return _copy(changed)


def _delete(world: World, call: Call) -> object:
    job = _job(world, call, call.request.name, "cloudscheduler.jobs.delete")
    del _jobs(world)[job.name]
    return None


def _turn(permission: str, before: str, after: str) -> Callable[[World, Call], object]:
    def turn(world: World, call: Call) -> object:
        job = _job(world, call, call.request.name, permission)
        states = type(job).State
        if job.state != states[before]:
            call.fail("FAILED_PRECONDITION", f"The job is {states(job.state).name}; it must be {before}.")
        job.state = states[after]
        _stamp(world, job, "user_update_time")
        return _copy(job)

    return turn


def _run(world: World, call: Call) -> object:
    job = _job(world, call, call.request.name, "cloudscheduler.jobs.run")
    _fire(world, job, forced=True)
    return _copy(job)


def _fire(world: World, job: Any, *, forced: bool = False) -> None:  # noqa: ANN401 - a Job
    project, short = job.name.split("/")[1], job.name.rpartition("/")[2]
    if "pubsub_target" in job:
        target = job.pubsub_target
        sent = bool(pubsub.publish(world, target.topic_name, target.data, dict(target.attributes)))
    else:
        target = job.http_target
        message = {"kind": "schedule", "job": job.name, "body": bytes(target.body).decode("utf-8", "replace")}
        sent = delivery.deliver(world, project, target.uri, message, _account(job))
    _stamp(world, job, "last_attempt_time")
    job.status.code = 0 if sent else 7
    if sent:
        world.effects.mark(f"scheduler:{short}", project=project, forced=forced)


def _tick(world: World) -> None:
    for job in list(_jobs(world).values()):
        if job.state == type(job).State.ENABLED:
            _fire(world, job)


def _force_state(world: World, asked: Mapping[str, Any]) -> object:
    """Put a job into a state that only Google's own system can put it into."""
    job = _jobs(world)[str(asked["job"])]
    job.state = type(job).State[str(asked["state"])]
    return {}


def _state(world: World, project: str) -> object:
    from google.protobuf.json_format import MessageToDict

    told = {}
    for name, job in _jobs(world).items():
        if name.startswith(f"projects/{project}/"):
            one = MessageToDict(type(job).pb(job), preserving_proto_field_name=True)
            for moving in ("user_update_time", "last_attempt_time", "schedule_time", "status"):
                one.pop(moving, None)
            told[name] = one
    return told


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{_START}CreateJob": _create,
    f"{_START}GetJob": _get,
    f"{_START}ListJobs": _list,
    f"{_START}UpdateJob": _update,
    f"{_START}DeleteJob": _delete,
    f"{_START}PauseJob": _turn("cloudscheduler.jobs.pause", "ENABLED", "PAUSED"),
    f"{_START}ResumeJob": _turn("cloudscheduler.jobs.enable", "PAUSED", "ENABLED"),
    f"{_START}RunJob": _run,
}
TICKS = (_tick,)
CONTROLS: Mapping[str, Callable[[World, Mapping[str, Any]], object]] = {"scheduler.state": _force_state}
STATE = _state
