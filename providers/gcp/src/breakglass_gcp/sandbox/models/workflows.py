"""Workflows and their executions, as google/cloud/workflows/{v1,executions/v1} describe them.

An execution acts as the account of the workflow's revision that it was started with; a patch of the workflow
does not touch those that run. What it started elsewhere goes on when it is cancelled. In place of a language
of its own the sandbox reads the argument: ``{"starts": "LOCATION/WORKFLOW"}`` starts an execution there,
``{"waits": true}`` begins QUEUED and runs when no other of its workflow is ACTIVE.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import authorise, tokens
from breakglass_gcp.sandbox.delivery import Delivery, serve
from breakglass_gcp.sandbox.models import run_desired as desired
from breakglass_gcp.sandbox.models.run_workload import account_of, caller_named, forget, work

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

WORKFLOWS, EXECUTIONS, ACCOUNTS = "workflows", "workflows.executions", "workflows.accounts"
_START = "/google.cloud.workflows.v1.Workflows/"
_RUNS = "/google.cloud.workflows.executions.v1.Executions/"
_FILTER = re.compile(r'\s*state\s*=\s*"?([A-Z_]+)"?\s*')
_FULL = ("argument", "result", "error", "call_log_level", "status", "labels", "state_error")
LONGEST_PAGE = 1000
RUN = "workflows.executions.create"
_URL = re.compile(
    r"https://workflowexecutions\.googleapis\.com/v1/(projects/[^/]+/locations/[^/]+/workflows/[^/]+)/executions"
)


def execute(world: World, name: str, argument: str = "") -> Any:  # noqa: ANN401 - Execution
    """Start an execution of a workflow; the caller's rights were checked."""
    from google.cloud.workflows import executions_v1

    workflow = world.table(WORKFLOWS)[name]
    told = json.loads(argument) if argument else {}
    state = executions_v1.Execution.State
    made = executions_v1.Execution(
        name=f"{name}/executions/{world.new_id(12)}",
        start_time=desired.at(world),
        state=state.QUEUED if told.get("waits") else state.ACTIVE,
        argument=argument,
        workflow_revision_id=workflow.revision_id,
    )
    world.table(EXECUTIONS)[made.name] = made
    account = account_of(world, workflow.service_account, name.split("/")[1])
    world.table(ACCOUNTS)[made.name] = account
    if told.get("starts"):
        execute(world, desired.full({"project": name.split("/")[1], **told}, "workflows", "starts"))
    return made


def _create(world: World, call: Call) -> object:
    name = world.normal(f"{call.request.parent}/workflows/{call.request.workflow_id}")
    call.needs("workflows.workflows.create", world.normal(call.request.parent))
    if name in world.table(WORKFLOWS):
        call.fail("ALREADY_EXISTS", f"Resource '{name}' already exists.")
    return _put(world, call, name, call.request.workflow, ())


def _update(world: World, call: Call) -> object:
    name = world.normal(call.request.workflow.name)
    call.needs("workflows.workflows.update", name)
    desired.find(world, call, WORKFLOWS, name)
    return _put(world, call, name, call.request.workflow, list(call.request.update_mask.paths))


def _put(world: World, call: Call, name: str, asked: Any, mask: Any) -> object:  # noqa: ANN401 - Workflow
    from google.cloud import workflows_v1

    held = world.table(WORKFLOWS).get(name) or workflows_v1.Workflow(name=name)
    made = desired.merged(
        held, asked, mask, ("description", "labels", "service_account", "source_contents", "call_log_level")
    )
    account = account_of(world, made.service_account, name.split("/")[1])
    call.needs("iam.serviceAccounts.actAs", f"projects/-/serviceAccounts/{account}")
    number = int((held.revision_id or "000000-000").partition("-")[0]) + 1
    made.revision_id = f"{number:06d}-{world.new_id()[-3:]}"
    made.state = workflows_v1.Workflow.State.ACTIVE
    world.table(WORKFLOWS)[name] = made
    return world.operation("deploy", name.rsplit("/", 2)[0], lambda: desired.copied(made), None)


def _get(world: World, call: Call) -> object:
    call.needs("workflows.workflows.get", world.normal(call.request.name))
    return desired.copied(desired.find(world, call, WORKFLOWS, call.request.name))


def _list(world: World, call: Call) -> object:
    from google.cloud import workflows_v1

    call.needs("workflows.workflows.list", world.normal(call.request.parent))
    items = desired.under(world, WORKFLOWS, f"{call.request.parent}/workflows")
    some, more = desired.page(items, call.request.page_size, call.request.page_token)
    return workflows_v1.ListWorkflowsResponse(workflows=some, next_page_token=more)


def _create_execution(world: World, call: Call) -> object:
    name = world.normal(call.request.parent)
    call.needs("workflows.executions.create", name)
    desired.find(world, call, WORKFLOWS, name)
    return desired.copied(execute(world, name, call.request.execution.argument))


def _get_execution(world: World, call: Call) -> object:
    call.needs("workflows.executions.get", world.normal(call.request.name))
    return desired.copied(desired.find(world, call, EXECUTIONS, call.request.name))


def _list_executions(world: World, call: Call) -> object:
    from google.cloud.workflows import executions_v1

    asked = call.request
    call.needs("workflows.executions.list", world.normal(asked.parent))
    desired.find(world, call, WORKFLOWS, asked.parent)
    items = desired.under(world, EXECUTIONS, f"{asked.parent}/executions")[::-1]
    if asked.filter:
        wanted = _FILTER.fullmatch(asked.filter)
        if wanted is None:
            call.fail("INVALID_ARGUMENT", f"Filter not supported: {asked.filter}")
        items = [one for one in items if one.state.name == wanted[1]]
    some, more = desired.page(items, asked.page_size, asked.page_token, LONGEST_PAGE)
    shown = [desired.copied(one) for one in some]
    if asked.view != executions_v1.ExecutionView.FULL:
        for one in shown:
            for part in _FULL:
                type(one).pb(one).ClearField(part)
    return executions_v1.ListExecutionsResponse(executions=shown, next_page_token=more)


def _cancel(world: World, call: Call) -> object:
    from google.cloud.workflows import executions_v1

    name = world.normal(call.request.name)
    call.needs("workflows.executions.cancel", name)
    held = desired.find(world, call, EXECUTIONS, name)
    state = executions_v1.Execution.State
    if held.state not in (state.ACTIVE, state.QUEUED):
        call.fail("FAILED_PRECONDITION", f"Execution is in state {held.state.name}.")
    held.state, held.end_time = state.CANCELLED, desired.at(world)
    forget(world, name)
    return desired.copied(held)


def _tick(world: World) -> None:
    from google.cloud.workflows import executions_v1

    state = executions_v1.Execution.State
    runs = world.table(EXECUTIONS)
    busy = {name.rsplit("/", 2)[0] for name, one in runs.items() if one.state == state.ACTIVE}
    for name, held in runs.items():
        workflow = name.rsplit("/", 2)[0]
        if held.state == state.QUEUED and workflow not in busy:
            held.state = state.ACTIVE
            busy.add(workflow)
        if held.state in (state.ACTIVE, state.UNAVAILABLE) and not held.end_time:
            work(world, name, f"workflow:{desired.short(workflow)}", world.table(ACCOUNTS)[name])


def _execute(world: World, asked: Mapping[str, Any]) -> object:
    """Control verb: execute a ``workflow`` LOCATION/NAME with a ``token`` (as anybody), or as the sandbox."""
    name = desired.full(asked, "workflows", "workflow")
    if asked.get("token"):
        caller = tokens.caller_of(world, f"Bearer {asked['token']}")
        authorise.require(world, caller, RUN, name)
    return {"execution": execute(world, name, str(asked.get("argument") or "")).name}


@serve
def delivered(world: World, one: Delivery) -> bool | None:
    """Answer the URL that schedules and events execute a workflow by."""
    found = _URL.fullmatch(one.url)
    if found is None:
        return None
    name = world.normal(found[1])
    caller = caller_named(world, one.account)
    if name not in world.table(WORKFLOWS) or not authorise.allowed(world, caller, RUN, name):
        return False
    execute(world, name)
    return True


def _hide(world: World, asked: Mapping[str, Any]) -> object:
    """Control verb: the key of an ``execution`` is gone: nobody can read it, and it goes on."""
    from google.cloud.workflows import executions_v1

    world.table(EXECUTIONS)[asked["execution"]].state = executions_v1.Execution.State.UNAVAILABLE
    return {}


def _state(world: World, project: str) -> object:
    return {
        name: desired.as_state(held)
        for name, held in sorted(world.table(WORKFLOWS).items())
        if name.startswith(f"projects/{project}/")
    }


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{_START}CreateWorkflow": _create,
    f"{_START}UpdateWorkflow": _update,
    f"{_START}GetWorkflow": _get,
    f"{_START}ListWorkflows": _list,
    f"{_RUNS}CreateExecution": _create_execution,
    f"{_RUNS}GetExecution": _get_execution,
    f"{_RUNS}ListExecutions": _list_executions,
    f"{_RUNS}CancelExecution": _cancel,
}
TICKS = (_tick,)
CONTROLS: Mapping[str, Callable[[World, Mapping[str, Any]], object]] = {
    "workflows.execute": _execute,
    "workflows.hide": _hide,
}
STATE = _state
