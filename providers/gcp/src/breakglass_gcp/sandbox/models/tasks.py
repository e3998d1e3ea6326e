"""Cloud Tasks: queues and the tasks in them; `tasks_dispatch` sends them while their queue is RUNNING.

``RunTask`` dispatches also from a paused queue (CloudTasks.RunTask).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import policies
from breakglass_gcp.sandbox.models.tasks_dispatch import dispatch
from breakglass_gcp.sandbox.models.tasks_queues import (
    DEFAULT_ATTEMPTS,
    DEFAULT_CONCURRENT,
    DEFAULT_RATE,
    Queue,
    account_of,
    queues,
)

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

_START = "/google.cloud.tasks.v2.CloudTasks/"


def _queue(world: World, call: Call, name: str, permission: str) -> Queue:
    name = world.normal(name)
    call.needs(permission, name)
    if name not in queues(world):
        call.fail("NOT_FOUND", "Queue does not exist.")
    return queues(world)[name]


def _copy(message: Any) -> Any:  # noqa: ANN401 - a message
    return type(message)(message)


def _with_defaults(config: Any) -> Any:  # noqa: ANN401 - a Queue
    limits = config.rate_limits
    limits.max_dispatches_per_second = limits.max_dispatches_per_second or DEFAULT_RATE
    limits.max_concurrent_dispatches = limits.max_concurrent_dispatches or DEFAULT_CONCURRENT
    limits.max_burst_size = max(1, int(limits.max_dispatches_per_second / 5))
    config.retry_config.max_attempts = config.retry_config.max_attempts or DEFAULT_ATTEMPTS
    return config


def _create(world: World, call: Call) -> object:
    parent = world.normal(call.request.parent)
    call.needs("cloudtasks.queues.create", parent)
    config = _with_defaults(_copy(call.request.queue))
    config.name = world.normal(config.name)
    if config.name in queues(world):
        call.fail("ALREADY_EXISTS", "Queue already exists.")
    config.state = type(config).State.RUNNING
    burst = float(config.rate_limits.max_burst_size)
    queues(world)[config.name] = Queue(config, burst, world.now_s())
    return _copy(config)


def _get(world: World, call: Call) -> object:
    return _copy(_queue(world, call, call.request.name, "cloudtasks.queues.get").config)


def _list(world: World, call: Call) -> object:
    from google.cloud.tasks_v2.types import ListQueuesResponse

    parent = world.normal(call.request.parent)
    call.needs("cloudtasks.queues.list", parent)
    return ListQueuesResponse(
        queues=[one.config for name, one in queues(world).items() if name.startswith(f"{parent}/queues/")]
    )


def _update(world: World, call: Call) -> object:
    asked = call.request.queue
    queue = _queue(world, call, asked.name, "cloudtasks.queues.update")
    paths = {one.partition(".")[0] for one in call.request.update_mask.paths}
    for path in paths or {"rate_limits", "retry_config", "http_target", "stackdriver_logging_config"}:
        if path in ("name", "state", "purge_time"):
            call.fail("INVALID_ARGUMENT", f"{path} cannot be updated.")
        type(queue.config).pb(queue.config).ClearField(path)
        if path in asked:
            setattr(queue.config, path, getattr(asked, path))
    return _copy(_with_defaults(queue.config))


def _delete(world: World, call: Call) -> object:
    del queues(world)[_queue(world, call, call.request.name, "cloudtasks.queues.delete").config.name]
    return None


def _purge(world: World, call: Call) -> object:
    queue = _queue(world, call, call.request.name, "cloudtasks.queues.purge")
    queue.tasks.clear()
    type(queue.config).pb(queue.config).purge_time.FromMilliseconds(int(world.now_s() * 1000))
    return _copy(queue.config)


def _turn(permission: str, state: str) -> Callable[[World, Call], object]:
    def turn(world: World, call: Call) -> object:
        queue = _queue(world, call, call.request.name, permission)
        states = type(queue.config).State
        if state == "PAUSED" and queue.config.state == states.DISABLED:
            call.fail("FAILED_PRECONDITION", "The queue is disabled.")
        queue.config.state = states[state]
        return _copy(queue.config)

    return turn


def _create_task(world: World, call: Call) -> object:
    queue = _queue(world, call, call.request.parent, "cloudtasks.tasks.create")
    task = _copy(call.request.task)
    task.name = world.normal(task.name) or f"{queue.config.name}/tasks/{world.new_id()}"
    if task.name in queue.tasks:
        call.fail("ALREADY_EXISTS", "The task already exists.")
    if account := account_of(task):
        call.needs("iam.serviceAccounts.actAs", f"projects/-/serviceAccounts/{account}")
    type(task).pb(task).create_time.FromMilliseconds(int(world.now_s() * 1000))
    queue.tasks[task.name] = task
    return _copy(task)


def _list_tasks(world: World, call: Call) -> object:
    from google.cloud.tasks_v2.types import ListTasksResponse

    queue = _queue(world, call, call.request.parent, "cloudtasks.tasks.list")
    return ListTasksResponse(tasks=list(queue.tasks.values()))


def _task(world: World, call: Call, permission: str) -> tuple[Queue, Any]:
    name = world.normal(call.request.name)
    call.needs(permission, name)
    queue = queues(world).get(name.rpartition("/tasks/")[0])
    if queue is None or name not in queue.tasks:
        call.fail("NOT_FOUND", "The task no longer exists.")
    return queue, queue.tasks[name]


def _delete_task(world: World, call: Call) -> object:
    queue, task = _task(world, call, "cloudtasks.tasks.delete")
    del queue.tasks[task.name]
    return None


def _run_task(world: World, call: Call) -> object:
    queue, task = _task(world, call, "cloudtasks.tasks.run")
    dispatch(world, queue, task, forced=True)
    return _copy(task)


def _state(world: World, project: str) -> object:
    from google.protobuf.json_format import MessageToDict

    start = f"projects/{project}/"
    return {
        name: {
            "queue": MessageToDict(type(one.config).pb(one.config), preserving_proto_field_name=True),
            "bindings": MessageToDict(world.policy(name)).get("bindings", []),
        }
        for name, one in queues(world).items()
        if name.startswith(start)
    }


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{_START}CreateQueue": _create,
    f"{_START}GetQueue": _get,
    f"{_START}ListQueues": _list,
    f"{_START}UpdateQueue": _update,
    f"{_START}DeleteQueue": _delete,
    f"{_START}PurgeQueue": _purge,
    f"{_START}PauseQueue": _turn("cloudtasks.queues.pause", "PAUSED"),
    f"{_START}ResumeQueue": _turn("cloudtasks.queues.resume", "RUNNING"),
    f"{_START}CreateTask": _create_task,
    f"{_START}ListTasks": _list_tasks,
    f"{_START}DeleteTask": _delete_task,
    f"{_START}RunTask": _run_task,
    **policies.handlers(_START, "cloudtasks.queues", lambda world, name: name in queues(world)),
}
STATE = _state
