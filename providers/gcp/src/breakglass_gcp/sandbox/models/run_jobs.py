"""Cloud Run jobs and their executions, as google/cloud/run/v2/{job,execution}.proto describe them.

Cloud Run documentation, "IAM permissions": an execution is cancelled with ``run.executions.cancel``, a job
is run with ``run.jobs.run`` (with overrides: ``run.jobs.runWithOverrides``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import authorise, policies, tokens
from breakglass_gcp.sandbox.delivery import Delivery, serve
from breakglass_gcp.sandbox.models import run_desired as desired
from breakglass_gcp.sandbox.models.run_workload import account_of, caller_named, forget, work

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call, Caller
    from breakglass_gcp.sandbox.world import World

JOBS, EXECUTIONS = "run.jobs", "run.executions"
_START = "/google.cloud.run.v2."
WRITABLE = ("labels", "annotations", "client", "client_version", "launch_stage", "template")
RUN = "run.jobs.run"
LONGEST_S = 600.0
_URL = re.compile(
    r"https://run\.googleapis\.com/v2/(projects/[^/]+/locations/[^/]+/jobs/[^/:]+):run"
    r"|https://([a-z0-9-]+)-run\.googleapis\.com/apis/run\.googleapis\.com/v1/namespaces/([^/]+)/jobs/([^/:]+):run"
)


def execute(world: World, name: str, caller: Caller | None) -> Any:  # noqa: ANN401 - Execution
    """Start an execution of a job; the caller's rights were checked."""
    from google.cloud import run_v2

    job = world.table(JOBS)[name]
    tasks = max(1, job.template.task_count)
    execution = run_v2.Execution(
        name=f"{name}/executions/{desired.short(name)}-{world.new_id(5)}",
        uid=world.new_id(),
        job=desired.short(name),
        generation=1,
        task_count=tasks,
        parallelism=job.template.parallelism,
        template=job.template.template,
        running_count=tasks,
        create_time=desired.at(world),
        start_time=desired.at(world),
        creator=caller.principal if caller else "sandbox",
        etag=f'"{world.new_id()}"',
    )
    world.table(EXECUTIONS)[execution.name] = execution
    job.execution_count += 1
    return execution


def _create(world: World, call: Call) -> object:
    name = world.normal(f"{call.request.parent}/jobs/{call.request.job_id}")
    call.needs("run.jobs.create", world.normal(call.request.parent))
    if name in world.table(JOBS):
        call.fail("ALREADY_EXISTS", f"Resource '{name}' already exists.")
    return _put(world, name, call.request.job, call)


def _put(world: World, name: str, wanted: Any, call: Call) -> object:  # noqa: ANN401 - Job
    from google.cloud import run_v2

    held = world.table(JOBS).setdefault(name, run_v2.Job(name=name))
    made = desired.merged(held, wanted, (), WRITABLE)
    account = account_of(world, made.template.template.service_account, name.split("/")[1])
    call.needs("iam.serviceAccounts.actAs", f"projects/-/serviceAccounts/{account}")
    type(held).pb(held).CopyFrom(type(made).pb(made))
    desired.stamp(world, held, call)
    return desired.reconcile(world, held, "update", lambda _: None)


def _update(world: World, call: Call) -> object:
    asked = call.request.job
    name = world.normal(asked.name)
    call.needs("run.jobs.update", name)
    held = desired.find(world, call, JOBS, name)
    desired.check_etag(call, asked.etag, held.etag)
    return _put(world, name, asked, call)


def _get(world: World, call: Call) -> object:
    call.needs("run.jobs.get", world.normal(call.request.name))
    return desired.copied(desired.find(world, call, JOBS, call.request.name))


def _list(world: World, call: Call) -> object:
    from google.cloud import run_v2

    call.needs("run.jobs.list", world.normal(call.request.parent))
    items = desired.under(world, JOBS, f"{call.request.parent}/jobs")
    some, more = desired.page(items, call.request.page_size, call.request.page_token)
    return run_v2.ListJobsResponse(jobs=some, next_page_token=more)


def _run(world: World, call: Call) -> object:
    name = world.normal(call.request.name)
    call.needs(RUN, name)
    if "overrides" in call.request:
        call.needs("run.jobs.runWithOverrides", name)
    desired.find(world, call, JOBS, name)
    execution = execute(world, name, call.caller)
    return world.operation("run", name.rsplit("/", 2)[0], lambda: desired.copied(execution), execution)


def _get_execution(world: World, call: Call) -> object:
    call.needs("run.executions.get", world.normal(call.request.name))
    return desired.copied(desired.find(world, call, EXECUTIONS, call.request.name))


def _list_executions(world: World, call: Call) -> object:
    from google.cloud import run_v2

    call.needs("run.executions.list", world.normal(call.request.parent))
    items = desired.under(world, EXECUTIONS, f"{call.request.parent}/executions")
    some, more = desired.page(items[::-1], call.request.page_size, call.request.page_token)
    return run_v2.ListExecutionsResponse(executions=some, next_page_token=more)


def _cancel(world: World, call: Call) -> object:
    name = world.normal(call.request.name)
    call.needs("run.executions.cancel", name)
    held = desired.find(world, call, EXECUTIONS, name)
    if held.completion_time:
        call.fail("FAILED_PRECONDITION", f"Execution '{name}' has completed.")

    def finish() -> None:
        _end(world, held)

    place = name.split("/jobs/")[0]
    return world.operation("cancel", place, lambda: desired.copied(held), desired.copied(held), finish=finish)


def _end(world: World, held: Any) -> None:  # noqa: ANN401 - Execution
    if not held.completion_time:
        held.cancelled_count, held.running_count = held.running_count, 0
        held.completion_time = desired.at(world)
        held.conditions = [
            {"type_": "Completed", "state": "CONDITION_FAILED", "execution_reason": "CANCELLED"}
        ]
        forget(world, held.name)


def _tick(world: World) -> None:
    for held in world.table(EXECUTIONS).values():
        if held.completion_time or not held.running_count:
            continue
        timeout_s = held.template.timeout.total_seconds() if held.template.timeout else LONGEST_S
        if held.start_time and world.now_s() - held.start_time.timestamp() > timeout_s + 1:
            held.failed_count, held.running_count = held.running_count, 0
            held.completion_time = desired.at(world)
            continue
        account = account_of(world, held.template.service_account, held.name.split("/")[1])
        for _ in range(held.running_count):
            work(world, held.name, f"run-job:{held.job}", account)


def _execute(world: World, asked: Mapping[str, Any]) -> object:
    """Control verb: run a ``job`` LOCATION/NAME with a ``token`` (as anybody), or as the sandbox."""
    name = desired.full(asked, "jobs", "job")
    caller = None
    if asked.get("token"):
        caller = tokens.caller_of(world, f"Bearer {asked['token']}")
        authorise.require(world, caller, RUN, name)
    return {"execution": execute(world, name, caller).name}


@serve
def delivered(world: World, one: Delivery) -> bool | None:
    """Answer the URL that schedules run a job by."""
    found = _URL.fullmatch(one.url)
    if found is None:
        return None
    name = world.normal(found[1] or f"projects/{found[3]}/locations/{found[2]}/jobs/{found[4]}")
    caller = caller_named(world, one.account)
    if name not in world.table(JOBS) or not authorise.allowed(world, caller, RUN, name):
        return False
    execute(world, name, caller)
    return True


def _exists(world: World, name: str) -> bool:
    return name in world.table(JOBS)


def _state(world: World, project: str) -> object:
    from google.protobuf import json_format

    return {
        name: {
            **desired.as_state(held, desired.VOLATILE | {"execution_count", "latest_created_execution"}),
            "policy": json_format.MessageToDict(world.policy(name)).get("bindings", []),
        }
        for name, held in sorted(world.table(JOBS).items())
        if name.startswith(f"projects/{project}/")
    }


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{_START}Jobs/CreateJob": _create,
    f"{_START}Jobs/UpdateJob": _update,
    f"{_START}Jobs/GetJob": _get,
    f"{_START}Jobs/ListJobs": _list,
    f"{_START}Jobs/RunJob": _run,
    **policies.handlers(f"{_START}Jobs/", "run.jobs", _exists),
    f"{_START}Executions/GetExecution": _get_execution,
    f"{_START}Executions/ListExecutions": _list_executions,
    f"{_START}Executions/CancelExecution": _cancel,
}
TICKS = (_tick,)
CONTROLS: Mapping[str, Callable[[World, Mapping[str, Any]], object]] = {"run.execute_job": _execute}
STATE = _state
