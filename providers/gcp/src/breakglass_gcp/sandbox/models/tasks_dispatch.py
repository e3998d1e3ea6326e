"""Cloud Tasks: dispatches the tasks of running queues at their rate, and what tests ask of queues."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import delivery
from breakglass_gcp.sandbox.models.tasks_queues import LONGEST_S, Queue, account_of, queues

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.world import World


def dispatch(world: World, queue: Queue, task: Any, *, forced: bool = False) -> None:  # noqa: ANN401 - a Task
    """Attempt a task once; it is deleted when it is accepted, or when it was attempted too often."""
    parts = queue.config.name.split("/")
    request = task.http_request
    task.dispatch_count += 1
    message = {"kind": "task", "task": task.name, "body": bytes(request.body).decode("utf-8", "replace")}
    accepted = delivery.deliver(world, parts[1], request.url, message, account_of(task))
    task.response_count += 1
    if accepted:
        world.effects.mark(f"tasks:{parts[5]}", project=parts[1], task=task.name, forced=forced)
        if queue.attempt_s:
            queue.running.append(world.now_s() + queue.attempt_s)
    if accepted or 0 < queue.config.retry_config.max_attempts <= task.dispatch_count:
        queue.tasks.pop(task.name, None)


def _tick(world: World) -> None:
    now_s = world.now_s()
    for name, queue in list(queues(world).items()):
        _, project, _, _, _, short = name.split("/")
        queue.running = [one for one in queue.running if one > now_s]
        if queue.running:
            world.effects.mark(f"attempt:{short}", project=project)
        for task in list(queue.tasks.values()):
            if now_s - task.create_time.timestamp() > LONGEST_S:
                del queue.tasks[task.name]
        queue.refill(now_s)
        if queue.config.state == type(queue.config).State.RUNNING:
            for task in list(queue.tasks.values())[: int(queue.tokens)]:
                queue.tokens -= 1
                dispatch(world, queue, task)


def _named(asked: Mapping[str, Any]) -> str:
    location, _, queue = str(asked["queue"]).partition("/")
    return f"projects/{asked['project']}/locations/{location}/queues/{queue}"


def _enqueue(world: World, asked: Mapping[str, Any]) -> object:
    """Add tasks from outside, each a POST with a body."""
    from google.cloud.tasks_v2.types import HttpRequest, OidcToken, Task

    queue = queues(world)[_named(asked)]
    made = []
    for body in asked["bodies"]:
        request = HttpRequest(url=str(asked["url"]), body=str(body).encode())
        if asked.get("account"):
            request.oidc_token = OidcToken(service_account_email=str(asked["account"]))
        task = Task(name=f"{queue.config.name}/tasks/{world.new_id()}", http_request=request)
        type(task).pb(task).create_time.FromMilliseconds(int(world.now_s() * 1000))
        queue.tasks[task.name] = task
        made.append(task.name)
    return {"tasks": made}


def _waiting(world: World, asked: Mapping[str, Any]) -> object:
    return [bytes(one.http_request.body).decode() for one in queues(world)[_named(asked)].tasks.values()]


def _attempt_s(world: World, asked: Mapping[str, Any]) -> object:
    queues(world)[_named(asked)].attempt_s = float(asked["seconds"])
    return {}


def _force_state(world: World, asked: Mapping[str, Any]) -> object:
    """Put a queue into a state that only an upload of queue.yaml can put it into."""
    config = queues(world)[_named(asked)].config
    config.state = type(config).State[str(asked["state"])]
    return {}


TICKS = (_tick,)
CONTROLS: Mapping[str, Callable[[World, Mapping[str, Any]], object]] = {
    "tasks.enqueue": _enqueue,
    "tasks.waiting": _waiting,
    "tasks.attempt_s": _attempt_s,
    "tasks.state": _force_state,
}
