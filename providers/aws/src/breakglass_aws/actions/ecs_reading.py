"""Reads the tasks of a cluster that have not ended, with the facts that are lost once they stop.

A task that is to stop is listed under the desired status STOPPED while it still runs (Amazon ECS API
reference, ListTasks; Developer Guide, "Task lifecycle"): both listings are read, and a task counts as ended
only at the last status STOPPED.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Gone, ProviderError
from breakglass_aws.account import Account

ENDED = frozenset({"STOPPED", "DELETED"})
PER_CALL = 100
"""DescribeTasks takes so many (Amazon ECS API reference)."""
TASK = "task:"


def described(account: Account, cluster: str, **by: str) -> list[Mapping[str, Any]]:
    """Return all that DescribeTasks says of the tasks that a listing by `by` names.

    Raises:
        ProviderError: a listing failed, or a task that was listed could not be described.
    """
    arns: dict[str, None] = {}
    for wanted in ("RUNNING", "STOPPED"):
        try:
            pages = account.pages(
                "ecs", "list_tasks", "taskArns", cluster=cluster, desiredStatus=wanted, **by
            )
            arns.update(dict.fromkeys(pages))
        except Gone:
            return []
    return list(_each(account, cluster, list(arns)))


def _each(account: Account, cluster: str, arns: list[str]) -> Iterator[Mapping[str, Any]]:
    for start in range(0, len(arns), PER_CALL):
        some = arns[start : start + PER_CALL]
        answer = account.call("ecs", "describe_tasks", cluster=cluster, tasks=some, include=["TAGS"])
        for failure in answer.get("failures", ()):
            if failure.get("reason") != "MISSING":
                raise ProviderError(
                    f"a task cannot be read: {failure.get('reason')}", where=str(failure.get("arn"))
                )
        yield from answer["tasks"]


def alive(tasks: list[Mapping[str, Any]]) -> dict[str, Json]:
    """Return the facts of those tasks that have not ended, by ``task:ARN``."""
    return {f"{TASK}{task['taskArn']}": _facts(task) for task in tasks if task["lastStatus"] not in ENDED}


def _facts(task: Mapping[str, Any]) -> Json:
    """Return what is lost when the task stops; not its overrides, which may hold secrets."""
    return {
        "last_status": task["lastStatus"],
        "desired_status": task.get("desiredStatus", ""),
        "definition": task["taskDefinitionArn"],
        "group": task.get("group", ""),
        "started_by": task.get("startedBy", ""),
        "launch_type": task.get("launchType", ""),
        "host": task.get("containerInstanceArn", ""),
        "execute_command": bool(task.get("enableExecuteCommand", False)),
        "tags": [{"key": tag["key"], "value": tag.get("value", "")} for tag in task.get("tags", ())],
    }


def stop_each(account: Account, cluster: str, tasks: Mapping[str, Json]) -> None:
    """Stop every task that has not been told to stop; one that is gone has ended."""
    for key, facts in tasks.items():
        if not key.startswith(TASK) or not isinstance(facts, Mapping) or facts["desired_status"] == "STOPPED":
            continue
        arn = key.removeprefix(TASK)
        try:
            account.call("ecs", "stop_task", cluster=cluster, task=arn, reason=_reason(account))
        except Gone:
            continue


def _reason(account: Account) -> str:
    return f"breakglass {account.connection.incident}"[:255]


def service(account: Account, cluster: str, name: str) -> Mapping[str, Any] | None:
    """Return a service; None where it is not there any more.

    Raises:
        ProviderError: it cannot be read.
    """
    try:
        answer = account.call("ecs", "describe_services", cluster=cluster, services=[name])
    except Gone:
        return None
    for found in answer["services"]:
        if found["status"] != "INACTIVE":
            return dict(found)
    odd = [one.get("reason") for one in answer.get("failures", ()) if one.get("reason") != "MISSING"]
    if odd:
        raise ProviderError(f"the service cannot be read: {odd[0]}", where=f"service/{cluster}/{name}")
    return None


def task_role(account: Account, definition: str) -> str:
    """Return the ARN of the role that tasks of a definition act as; empty: none, or no such definition."""
    try:
        found = account.call("ecs", "describe_task_definition", taskDefinition=definition)["taskDefinition"]
    except ProviderError:
        return ""
    return str(found.get("taskRoleArn") or "")
