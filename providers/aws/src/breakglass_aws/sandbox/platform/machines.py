"""Step Functions: executions that act until they are stopped, and the jobs that they wait for."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from breakglass_aws.sandbox.call import Call, Refusal
from breakglass_aws.sandbox.platform import backends
from breakglass_aws.sandbox.platform.acting import ACTING, act
from breakglass_aws.sandbox.platform.calls import CALLER
from breakglass_aws.sandbox.platform.sessions import SESSIONS

RUN_TASK = "ecs:runTask.sync"
START = "states:startExecution.sync"


@dataclass(frozen=True, slots=True)
class Child:
    """A job that an execution waits for: a task of a cluster, or another execution."""

    kind: str
    arn: str
    cluster: str = ""


@dataclass(slots=True)
class Children:
    """The `.sync` jobs of executions, begun once each."""

    _of: dict[str, list[Child]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def first_seen(self, execution_arn: str) -> bool:
        """Say whether an execution is new, and know it from now on."""
        with self._lock:
            if execution_arn in self._of:
                return False
            self._of[execution_arn] = []
            return True

    def add(self, execution_arn: str, child: Child) -> None:
        """Keep a job that an execution began."""
        with self._lock:
            self._of.setdefault(execution_arn, []).append(child)

    def take(self, execution_arn: str) -> list[Child]:
        """Return the jobs of an execution that ends."""
        with self._lock:
            found, self._of[execution_arn] = self._of.get(execution_arn, []), []
            return found

    def forget(self) -> None:
        """Know none."""
        with self._lock:
            self._of.clear()


CHILDREN = Children()


def tick(_now: float) -> None:
    """Let every running execution act with its state machine's role."""
    from moto.stepfunctions.models import stepfunctions_backends

    for _account, _region, backend in backends.existing(stepfunctions_backends):
        for machine in list(backend.state_machines):
            for execution in list(machine.executions):
                if execution.status == "RUNNING":
                    ACTING.submit(
                        f"execution {execution.execution_arn}",
                        lambda m=machine, e=execution: _round(m, e),  # type: ignore[misc]
                    )


def _round(machine: Any, execution: Any) -> None:  # noqa: ANN401 - moto's
    channel = f"execution/{execution.name}"
    keys = SESSIONS.of(channel, str(machine.roleArn), execution.name)
    if keys is None:
        return
    if CHILDREN.first_seen(execution.execution_arn):
        for resource, params in _sync_tasks(machine.definition):
            child = _begin(keys, resource, params)
            if child is not None:
                CHILDREN.add(execution.execution_arn, child)
    if execution.status == "RUNNING":
        act(channel, keys)


def _sync_tasks(definition: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (resource, parameters) of the tasks that wait for their job (Run a Job, `.sync`)."""
    try:
        states = json.loads(definition).get("States", {})
    except ValueError:
        return
    for state in states.values():
        resource = str(state.get("Resource", ""))
        if ".sync" in resource:
            yield resource, state.get("Parameters") or state.get("Arguments") or {}


def _begin(keys: Mapping[str, str], resource: str, params: Mapping[str, Any]) -> Child | None:
    """Begin a job as the execution's role."""
    if RUN_TASK in resource:
        given = _camel(params)
        answer = CALLER.call(keys, "ecs", "RunTask", given)
        tasks = answer.body.get("tasks") or []
        return Child("task", tasks[0]["taskArn"], str(given.get("cluster", "default"))) if tasks else None
    if START in resource:
        given = {"stateMachineArn": params["StateMachineArn"], "input": json.dumps(params.get("Input") or {})}
        answer = CALLER.call(keys, "stepfunctions", "StartExecution", given)
        arn = answer.body.get("executionArn")
        return Child("execution", str(arn)) if arn else None
    return None


def _camel(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Spell what a definition says as the service does: its keys begin in lower case."""
    if isinstance(value, Mapping):
        return {key[:1].lower() + key[1:]: _camel(one) for key, one in value.items()}
    return [_camel(one) for one in value] if isinstance(value, list) else value


def stop(call: Call) -> Mapping[str, Any]:
    """Stop an execution, keep why, and cancel its jobs *with its role*.

    Step Functions API reference, StopExecution; Developer Guide, "Run a Job (.sync)": if the role may not
    stop the job, the job runs on.
    """
    arn = str(call.params["executionArn"])
    if ":express:" in arn:
        raise Refusal("InvalidArn", f"Invalid Arn: '{arn}'")
    machine, execution = _find(call.account, call.region, arn)
    if execution is None:
        raise Refusal("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
    if str(machine.type or "STANDARD") == "EXPRESS":
        raise Refusal("StateMachineTypeNotSupported", "This operation is not supported by this type")
    if execution.status == "RUNNING":
        execution.error, execution.cause = call.params.get("error"), call.params.get("cause")
        execution.stop()
        role, name = str(machine.roleArn), str(execution.name)
        ACTING.submit(f"cancel {arn}", lambda: _cancel(arn, role, name))
    return {"stopDate": execution.stop_date}


def _cancel(arn: str, role: str, name: str) -> None:
    keys = SESSIONS.of(f"execution/{name}", role, name)
    for child in CHILDREN.take(arn) if keys is not None else ():
        if child.kind == "task":
            params = {"cluster": child.cluster, "task": child.arn, "reason": "the execution was stopped"}
            CALLER.call(keys or {}, "ecs", "StopTask", params)
        else:
            CALLER.call(keys or {}, "stepfunctions", "StopExecution", {"executionArn": child.arn})


def _find(account: str, region: str, arn: str) -> tuple[Any, Any]:
    from moto.stepfunctions.models import stepfunctions_backends

    for machine in stepfunctions_backends[account][region].state_machines:
        for execution in machine.executions:
            if execution.execution_arn == arn:
                return machine, execution
    return None, None


HANDLERS = {("stepfunctions", "StopExecution"): stop}
