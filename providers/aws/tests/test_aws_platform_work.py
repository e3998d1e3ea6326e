"""Running work of the sandbox: executions, tasks, services, and what starts them again."""

from __future__ import annotations

import json
from typing import Any

from providers.aws.tests.rig_aws import Rig
from providers.aws.tests.rig_platform import (
    LIST,
    behave,
    code,
    count,
    deny,
    quiet,
    refused,
    role,
    settle,
    until,
)

RUNS = 12
PASS = {"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 999, "End": True}}}


def _machine(rig: Rig, role_arn: str, definition: dict[str, Any], kind: str = "STANDARD") -> str:
    made = rig.boto("stepfunctions").create_state_machine(
        name="loop", definition=json.dumps(definition), roleArn=role_arn, type=kind
    )
    return str(made["stateMachineArn"])


def _start(rig: Rig, machine: str) -> str:
    started = rig.boto("stepfunctions").start_execution(stateMachineArn=machine, name="run-1")
    return str(started["executionArn"])


def test_an_execution_acts_until_it_is_stopped_and_keeps_why(rig: Rig) -> None:
    """A second stop changes nothing."""
    machine = _machine(rig, role(rig, "loop", "states.amazonaws.com", LIST), PASS)
    behave(rig, "execution/run-1")
    execution = _start(rig, machine)
    until(lambda: count(rig, "execution/run-1") > 1, "the execution acts")
    states = rig.boto("stepfunctions")

    states.stop_execution(executionArn=execution, error="Contained", cause="test")

    assert quiet(rig, lambda: count(rig, "execution/run-1"))
    found = states.describe_execution(executionArn=execution)
    assert (found["status"], found["error"], found["cause"]) == ("ABORTED", "Contained", "test")
    again = states.stop_execution(executionArn=execution, error="Other")
    assert again["stopDate"] == found["stopDate"]
    assert states.describe_execution(executionArn=execution)["error"] == "Contained"


def test_nothing_that_was_under_way_acts_after_a_reset(rig: Rig) -> None:
    """What comes next has a record of its own."""
    rig.sandbox.control("platform", {"tick_s": 0.01})
    machine = _machine(rig, role(rig, "loop", "states.amazonaws.com", LIST), PASS)
    for n in range(RUNS):
        behave(rig, f"execution/run-{n}")
        rig.boto("stepfunctions").start_execution(stateMachineArn=machine, name=f"run-{n}")
    until(lambda: all(count(rig, f"execution/run-{n}") for n in range(RUNS)), "all of them act")

    rig.sandbox.control("reset")
    settle(rig)

    assert rig.sandbox.control("calls") == []


def test_an_execution_without_a_reason_shows_none(rig: Rig) -> None:
    """No error, no cause."""
    execution = _start(rig, _machine(rig, role(rig, "loop", "states.amazonaws.com"), PASS))
    states = rig.boto("stepfunctions")

    states.stop_execution(executionArn=execution)

    assert not {"error", "cause"} & set(states.describe_execution(executionArn=execution))


def test_an_express_execution_cannot_be_stopped(rig: Rig) -> None:
    """It ends by itself, within five minutes."""
    execution = _start(rig, _machine(rig, role(rig, "loop", "states.amazonaws.com"), PASS, "EXPRESS"))

    refused = code(lambda: rig.boto("stepfunctions").stop_execution(executionArn=execution))

    assert refused == "StateMachineTypeNotSupported"


def _definition(rig: Rig, role_arn: str) -> None:
    rig.boto("ecs").register_task_definition(
        family="crawler",
        taskRoleArn=role_arn,
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        containerDefinitions=[{"name": "c", "image": "i", "memory": 128}],
    )
    rig.boto("ecs").create_cluster(clusterName="farm")
    behave(rig, "task/crawler")


def _subnets(rig: Rig) -> list[str]:
    found = rig.boto("ec2").describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])
    return [str(found["Subnets"][0]["SubnetId"])]


def _sync(rig: Rig) -> tuple[str, str]:
    """Start an execution that waits for a task; return its ARN and the task's."""
    _definition(rig, role(rig, "crawler", "ecs-tasks.amazonaws.com", LIST))
    may = ("ecs:RunTask", "ecs:StopTask", "iam:PassRole")
    network = {"AwsvpcConfiguration": {"Subnets": _subnets(rig)}}
    params: dict[str, Any] = {"Cluster": "farm", "TaskDefinition": "crawler", "NetworkConfiguration": network}
    params["LaunchType"] = "FARGATE"
    job = {"Type": "Task", "Resource": "arn:aws:states:::ecs:runTask.sync", "Parameters": params, "End": True}
    machine = _machine(
        rig, role(rig, "loop", "states.amazonaws.com", *may), {"StartAt": "A", "States": {"A": job}}
    )
    execution = _start(rig, machine)
    until(lambda: count(rig, "task/crawler") > 0, "the task acts")
    return execution, str(rig.boto("ecs").list_tasks(cluster="farm")["taskArns"][0])


def _status(rig: Rig, task: str) -> str:
    return str(rig.boto("ecs").describe_tasks(cluster="farm", tasks=[task])["tasks"][0]["lastStatus"])


def test_a_stopped_execution_stops_the_task_that_it_waits_for(rig: Rig) -> None:
    """With its own role."""
    execution, task = _sync(rig)

    rig.boto("stepfunctions").stop_execution(executionArn=execution)

    until(lambda: _status(rig, task) == "STOPPED", "the task stops")


def test_a_role_that_is_denied_before_the_stop_leaves_the_task_running(rig: Rig) -> None:
    """The order trap: the child is orphaned."""
    execution, task = _sync(rig)
    deny(rig, "loop")

    rig.boto("stepfunctions").stop_execution(executionArn=execution)
    until(lambda: refused(rig, "StopTask", "loop"), "it may not stop the task")

    assert _status(rig, task) == "RUNNING"
    before = count(rig, "task/crawler")
    until(lambda: count(rig, "task/crawler") > before, "the orphan acts on")


def _service(rig: Rig, desired: int) -> None:
    _definition(rig, role(rig, "crawler", "ecs-tasks.amazonaws.com", LIST))
    rig.boto("ecs").create_service(
        cluster="farm",
        serviceName="web",
        taskDefinition="crawler",
        desiredCount=desired,
        launchType="FARGATE",
        tags=[{"key": "team", "value": "a"}],
        propagateTags="SERVICE",
    )


def _running(rig: Rig) -> list[str]:
    return list(rig.boto("ecs").list_tasks(cluster="farm", serviceName="web")["taskArns"])


def _told(rig: Rig) -> tuple[int, int]:
    found = rig.boto("ecs").describe_services(cluster="farm", services=["web"])["services"][0]
    return found["desiredCount"], found["runningCount"]


def test_a_service_starts_its_tasks_and_replaces_one_that_is_stopped(rig: Rig) -> None:
    """Stopping a service's task is no stop; its tags are gone."""
    _service(rig, 2)
    until(lambda: len(_running(rig)) == 2, "two tasks")
    victim = _running(rig)[0]

    rig.boto("ecs").stop_task(cluster="farm", task=victim)

    until(lambda: len(_running(rig)) == 2 and victim not in _running(rig), "a replacement")
    found = rig.boto("ecs").describe_tasks(cluster="farm", tasks=[victim], include=["TAGS"])["tasks"][0]
    assert (found["lastStatus"], found.get("tags", [])) == ("STOPPED", [])


def test_a_service_of_0_drains_and_its_tasks_act_no_more(rig: Rig) -> None:
    """What is draining is counted as running until it has stopped."""
    _service(rig, 1)
    until(lambda: count(rig, "task/crawler") > 0, "the task acts")
    task = _running(rig)[0]
    rig.sandbox.control("platform", {"on": False})
    ecs = rig.boto("ecs")

    ecs.update_service(cluster="farm", service="web", desiredCount=0)
    assert _told(rig) == (0, 1)
    rig.sandbox.control("platform", {"ticks": 1})
    assert [_status(rig, task) for _ in range(3)] == ["DEACTIVATING"] * 3
    assert (_running(rig), _told(rig)) == ([], (0, 1))
    assert ecs.list_tasks(cluster="farm", serviceName="web", desiredStatus="STOPPED")["taskArns"] == [task]
    rig.sandbox.control("platform", {"ticks": 1, "on": True})

    assert (_status(rig, task), _told(rig)) == ("STOPPED", (0, 0))
    assert quiet(rig, lambda: count(rig, "task/crawler"))


def test_application_auto_scaling_raises_a_service_again_unless_it_is_suspended(rig: Rig) -> None:
    """Desired 0 alone does not hold."""
    _service(rig, 1)
    target = {
        "ServiceNamespace": "ecs",
        "ResourceId": "service/farm/web",
        "ScalableDimension": "ecs:service:DesiredCount",
    }
    scaling, ecs = rig.boto("application-autoscaling"), rig.boto("ecs")
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=3)
    ecs.update_service(cluster="farm", service="web", desiredCount=0)
    until(lambda: _told(rig) == (1, 1), "raised again")

    held = dict.fromkeys(
        ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended"), True
    )
    scaling.register_scalable_target(**target, SuspendedState=held)
    ecs.update_service(cluster="farm", service="web", desiredCount=0)

    until(lambda: _told(rig) == (0, 0), "drained")
    assert quiet(rig, lambda: _told(rig))
    assert _told(rig) == (0, 0)


def test_a_task_of_its_own_runs_until_it_is_stopped(rig: Rig) -> None:
    """Nobody replaces it."""
    _definition(rig, role(rig, "crawler", "ecs-tasks.amazonaws.com", LIST))
    ecs = rig.boto("ecs")
    task = ecs.run_task(
        cluster="farm",
        taskDefinition="crawler",
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": {"subnets": _subnets(rig)}},
    )["tasks"][0]["taskArn"]
    until(lambda: count(rig, "task/crawler") > 1, "the task acts")

    ecs.stop_task(cluster="farm", task=task)

    assert quiet(rig, lambda: count(rig, "task/crawler"))
    assert ecs.list_tasks(cluster="farm")["taskArns"] == []
