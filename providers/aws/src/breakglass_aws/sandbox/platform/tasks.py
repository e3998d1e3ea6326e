"""ECS: services that keep their tasks running, and tasks that act with their task role."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from breakglass_aws.sandbox.call import Call
from breakglass_aws.sandbox.platform import backends
from breakglass_aws.sandbox.platform.acting import ACTING, act
from breakglass_aws.sandbox.platform.sessions import SESSIONS

NEVER = 10**12
ALIVE = frozenset({"RUNNING", "DEACTIVATING"})
"""A task that is being stopped still runs until stopTimeout (ECS Developer Guide, "Task lifecycle")."""


def correct() -> None:
    """Keep states from moving because somebody looks, and list tasks as ECS does."""
    frozen()
    _listing()
    _networks()


def frozen() -> None:
    """Let only the platform move a task from state to state."""
    from moto.moto_api import state_manager

    state_manager.set_transition("ecs::task", {"progression": "manual", "times": NEVER})


def _listing() -> None:
    """List tasks by service, and those that shall run unless asked otherwise.

    ECS API reference, ListTasks: desiredStatus, "The default status filter is RUNNING".
    """
    from moto.ecs.models import EC2ContainerServiceBackend

    told = EC2ContainerServiceBackend.list_tasks

    def list_tasks(self: Any, *given: Any, **named: Any) -> list[Any]:  # noqa: ANN401 - moto's
        fields = (
            "cluster_str",
            "container_instance",
            "family",
            "started_by",
            "service_name",
            "desiredStatus",
        )
        asked = {**dict(zip(fields, given, strict=False)), **named}
        service = asked.pop("service_name", None)
        asked["desiredStatus"] = asked.get("desiredStatus") or "RUNNING"
        group = f"service:{backends.name_of(service)}" if service else None
        return [one for one in told(self, **asked) if group is None or one.group == group]

    EC2ContainerServiceBackend.list_tasks = list_tasks


def _networks() -> None:
    """Let a task leave out its groups: it gets the default one (ECS API reference, AwsVpcConfiguration)."""
    from moto.ecs.models import EC2ContainerServiceBackend

    told = EC2ContainerServiceBackend.run_task

    def run_task(self: Any, *given: Any, **named: Any) -> Any:  # noqa: ANN401 - moto's
        for one in (*given, *named.values()):
            if isinstance(one, dict) and "awsvpcConfiguration" in one:
                one["awsvpcConfiguration"].setdefault("securityGroups", [])
        return told(self, *given, **named)

    EC2ContainerServiceBackend.run_task = run_task


def existing() -> Iterator[Any]:
    """Yield moto's backends."""
    from moto.ecs.models import ecs_backends

    for _account, _region, backend in backends.existing(ecs_backends):
        yield backend


def tick(_now: float) -> None:
    """Move tasks on, fill and drain services, and let what runs act."""
    for backend in existing():
        for task in _tasks(backend):
            _move_on(task)
        for service in list(backend.services.values()):
            _keep(backend, service)
            count(backend, service)
        for task in _tasks(backend):
            if task.last_status in ALIVE:
                ACTING.submit(f"task {task.id}", lambda b=backend, t=task: _round(b, t))  # type: ignore[misc]


def _tasks(backend: Any) -> list[Any]:  # noqa: ANN401 - moto's
    return [task for tasks in list(backend.tasks.values()) for task in list(tasks.values())]


def _move_on(task: Any) -> None:  # noqa: ANN401 - moto's
    if task.last_status == "DEACTIVATING":
        task.last_status = "STOPPED"
    if task.last_status == "STOPPED":
        task.tags = []
        SESSIONS.drop(_channel(task), task.id)


def _keep(backend: Any, service: Any) -> None:  # noqa: ANN401 - moto's
    """Start what a service lacks and stop what it has too much of."""
    wanted = int(service.desired_count or 0) if service.status == "ACTIVE" else 0
    own = [one for one in _tasks(backend) if one.group == f"service:{service.name}"]
    own = [one for one in own if one.cluster_arn == service.cluster_arn]
    running = [one for one in own if one.last_status == "RUNNING"]
    for task in running[wanted:]:
        task.last_status, task.desired_status = "DEACTIVATING", "STOPPED"
        task.stopped_reason = f"Scaling activity initiated by deployment of service {service.name}"
    if len(running) < wanted and service.task_definition:
        _start(backend, service, wanted - len(running))


def _start(backend: Any, service: Any, missing: int) -> None:  # noqa: ANN401 - moto's
    definition = backend.describe_task_definition(service.task_definition)
    network = dict(service.network_configuration or {})
    if not network and definition.network_mode == "awsvpc":
        network = {"awsvpcConfiguration": {"subnets": [_some_subnet(backend)]}}
    backend.run_task(
        service.cluster_name,
        service.task_definition,
        missing,
        None,
        f"ecs-svc/{service.name}",
        list(service.tags) if service.propagate_tags == "SERVICE" else [],
        "FARGATE",
        network or None,
        f"service:{service.name}",
    )


def _some_subnet(backend: Any) -> str:  # noqa: ANN401 - moto's
    """Return a default subnet, for a service that was made without one."""
    from moto.ec2.models import ec2_backends

    subnets = ec2_backends[backend.account_id][backend.region_name].get_default_subnets()
    return str(next(iter(subnets.values())).id)


def count(backend: Any, service: Any) -> None:  # noqa: ANN401 - moto's
    """Make a service say how many of its tasks run."""
    own = [one for one in _tasks(backend) if one.group == f"service:{service.name}"]
    running = sum(one.last_status in ALIVE for one in own if one.cluster_arn == service.cluster_arn)
    service.running_count = running
    service.pending_count = max(int(service.desired_count or 0) - running, 0)
    for deployment in service.deployments or []:
        deployment["runningCount"], deployment["pendingCount"] = running, service.pending_count
        deployment["desiredCount"] = service.desired_count


def guard_count(call: Call) -> None:
    """Count before a service is described: moto takes the desired number for the running one."""
    from moto.ecs.models import ecs_backends

    backend = ecs_backends[call.account][call.region]
    for service in list(backend.services.values()):
        count(backend, service)


def guard_stop(call: Call) -> None:
    """Take the tags of a task that stops (ECS API reference, StopTask: the tags are deleted)."""
    from moto.ecs.models import ecs_backends

    wanted = str(call.params["task"]).rsplit("/", 1)[-1]
    for task in _tasks(ecs_backends[call.account][call.region]):
        if task.id == wanted:
            task.tags = []


def _channel(task: Any) -> str:  # noqa: ANN401 - moto's
    return f"task/{backends.name_of(task.task_definition_arn.rsplit(':', 1)[0])}"


def _round(backend: Any, task: Any) -> None:  # noqa: ANN401 - moto's
    definition = backend.describe_task_definition(task.task_definition_arn)
    role = (task.overrides or {}).get("taskRoleArn") or getattr(definition, "task_role_arn", None)
    channel = _channel(task)
    keys = SESSIONS.of(channel, str(role) if role else None, task.id)
    if keys is not None and task.last_status in ALIVE:
        act(channel, keys)


GUARDS = {
    ("ecs", "DescribeServices"): (guard_count,),
    ("ecs", "StopTask"): (guard_stop,),
}
