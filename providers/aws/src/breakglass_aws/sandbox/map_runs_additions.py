"""What moto lacks of Step Functions: map runs and their children, pages of executions.

A map run is made by the control verb `map_run`; the children of a parent that is stopped run on until they
are stopped themselves, which is the worst that can be.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from breakglass_aws.sandbox.call import Call, Handler, Refusal
from breakglass_aws.sandbox.platform import machines

PAGE = 100
MOST = 1000
_RUNS: dict[str, dict[str, Any]] = {}
"""Map run ARN -> its execution's ARN and its children."""
_CHILDREN: dict[str, dict[str, Any]] = {}
"""Child's ARN -> child."""


def list_executions(call: Call) -> Mapping[str, Any]:
    """Tell a page of the executions of a state machine, or of the children of a map run."""
    run = call.params.get("mapRunArn")
    found = list(_RUNS.get(run, {}).get("children", ())) if run else _executions(call)
    wanted = call.params.get("statusFilter")
    listed = [one for one in found if not wanted or one["status"] == wanted]
    start, size = int(call.params.get("nextToken") or 0), int(call.params.get("maxResults") or PAGE)
    end = start + min(size, MOST)
    more = {"nextToken": str(end)} if end < len(listed) else {}
    return {"executions": [dict(one) for one in listed[start:end]], **more}


def list_map_runs(call: Call) -> Mapping[str, Any]:
    """Tell the map runs of an execution."""
    execution = call.params["executionArn"]
    return {
        "mapRuns": [
            {
                "mapRunArn": arn,
                "executionArn": execution,
                "stateMachineArn": run["machine"],
                "startDate": run["startDate"],
            }
            for arn, run in _RUNS.items()
            if run["execution"] == execution
        ]
    }


def stop(call: Call) -> Mapping[str, Any]:
    """Stop a child; every other execution is the platform's."""
    child = _CHILDREN.get(str(call.params["executionArn"]))
    if child is None:
        return machines.stop(call)
    child["status"], child["stopDate"] = "ABORTED", dt.datetime.now(dt.UTC)
    return {"stopDate": child["stopDate"]}


def begin(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Make a map run: {"execution": ARN, "children": 3}."""
    execution, now = str(body["execution"]), dt.datetime.now(dt.UTC)
    machine = execution.rpartition(":")[0].replace(":execution:", ":stateMachine:")
    arn = f"{machine.replace(':stateMachine:', ':mapRun:')}/Map:{len(_RUNS)}"
    children = [
        {
            "executionArn": f"{execution.rpartition(':')[0]}/Map:{len(_RUNS)}-{n}",
            "stateMachineArn": f"{machine}/Map",
            "name": f"child-{n}",
            "status": "RUNNING",
            "startDate": now,
            "mapRunArn": arn,
        }
        for n in range(int(body["children"]))
    ]
    _RUNS[arn] = {"execution": execution, "machine": machine, "startDate": now, "children": children}
    _CHILDREN.update({str(one["executionArn"]): one for one in children})
    return {"arn": arn}


def _executions(call: Call) -> list[dict[str, Any]]:
    from moto.stepfunctions.models import stepfunctions_backends

    arn = str(call.params["stateMachineArn"])
    for machine in stepfunctions_backends[call.account][call.region].state_machines:
        if machine.arn == arn:
            if str(machine.type or "STANDARD") == "EXPRESS":
                raise Refusal("StateMachineTypeNotSupported", "not supported by this type")
            return [_told(arn, one) for one in reversed(machine.executions)]
    raise Refusal("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")


def _told(machine: str, one: Any) -> dict[str, Any]:  # noqa: ANN401 - moto's
    told = {
        "executionArn": one.execution_arn,
        "stateMachineArn": machine,
        "name": one.name,
        "status": one.status,
        "startDate": one.start_date,
    }
    return told if one.status == "RUNNING" else {**told, "stopDate": one.stop_date}


def _forget() -> None:
    _RUNS.clear()
    _CHILDREN.clear()


HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("stepfunctions", "ListExecutions"): list_executions,
    ("stepfunctions", "ListMapRuns"): list_map_runs,
    ("stepfunctions", "StopExecution"): stop,
}
RESETS = (_forget,)
CONTROLS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {"map_run": begin}
STATES: Mapping[str, Callable[[], Any]] = {
    "map run children": lambda: {arn: one["status"] for arn, one in _CHILDREN.items()}
}
