"""What deployers need and moto lacks: the stages of a pipeline and their transitions, a stopped deployment.

Sources: CodePipeline API reference, GetPipelineState (the first stage has no inbound transition),
DisableStageTransition, EnableStageTransition; CodeDeploy API reference, StopDeployment, ListDeployments.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from breakglass_aws.sandbox.call import Call, Guard, Handler, Refusal

_Stage = tuple[str, str, str, str]
_DISABLED: dict[_Stage, dict[str, Any]] = {}
_RUNNING: dict[str, str] = {}
_GATE = threading.Lock()
_OVER = frozenset({"Succeeded", "Failed", "Stopped"})


def running(asked: Mapping[str, Any]) -> None:
    """Take ``pipeline_running`` of the control verb `settings`: ``{"NAME/STAGE": execution id}``."""
    with _GATE:
        _RUNNING.clear()
        _RUNNING.update({str(name): str(one) for name, one in asked["pipeline_running"].items()})


def pipeline_state(call: Call) -> Mapping[str, Any]:
    """Tell each stage, its transition and what runs in it."""
    pipeline = _pipeline(call, str(call.params["name"]))
    stages = [_stage(call, n, stage["name"]) for n, stage in enumerate(pipeline.pipeline["stages"])]
    return {
        "pipelineName": call.params["name"],
        "pipelineVersion": pipeline.pipeline["version"],
        "stageStates": stages,
        "created": pipeline._created,  # noqa: SLF001 - moto has no other name for it
        "updated": pipeline._updated,  # noqa: SLF001 - as above
    }


def disable(call: Call) -> Mapping[str, Any]:
    """Disable a transition."""
    with _GATE:
        _DISABLED[_key(call)] = {
            "reason": str(call.params["reason"]),
            "by": call.caller,
            "at": datetime.now(UTC),
        }
    return {}


def enable(call: Call) -> Mapping[str, Any]:
    """Enable it again."""
    with _GATE:
        _DISABLED.pop(_key(call), None)
    return {}


def stop_deployment(call: Call) -> Mapping[str, Any]:
    """Stop one that is under way."""
    deployment = _deployments(call).get(str(call.params["deploymentId"]))
    if deployment is None:
        raise Refusal("DeploymentDoesNotExistException", "The deployment does not exist.")
    if deployment.status in _OVER:
        raise Refusal("DeploymentAlreadyCompletedException", "The deployment has already completed.")
    deployment.status = "Stopped"
    return {"status": "Succeeded", "statusMessage": "No more commands will be scheduled for execution"}


def known_group(call: Call) -> None:
    """Refuse to list the deployments of a group that is not there."""
    from moto.codedeploy.models import codedeploy_backends

    backend = codedeploy_backends[call.account][call.region]
    application, group = call.params.get("applicationName"), call.params.get("deploymentGroupName")
    if application and application not in backend.applications:
        raise Refusal("ApplicationDoesNotExistException", f"No application found for name: {application}")
    if application and group and group not in backend.deployment_groups.get(application, {}):
        raise Refusal("DeploymentGroupDoesNotExistException", f"No Deployment Group found for name: {group}")


def state() -> list[list[str]]:
    """Return the transitions that are disabled."""
    with _GATE:
        return [[*key, str(value["reason"])] for key, value in sorted(_DISABLED.items())]


def _stage(call: Call, n: int, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"stageName": name, "actionStates": []}
    pipeline = str(call.params["name"])
    with _GATE:
        held = _DISABLED.get((call.account, call.region, pipeline, name))
        execution = _RUNNING.get(f"{pipeline}/{name}")
    if n:
        found["inboundTransitionState"] = {"enabled": held is None}
        if held:
            found["inboundTransitionState"] |= {
                "disabledReason": held["reason"],
                "lastChangedBy": held["by"],
                "lastChangedAt": held["at"],
            }
    if execution:
        found["latestExecution"] = {"pipelineExecutionId": execution, "status": "InProgress"}
    return found


def _key(call: Call) -> _Stage:
    name, stage = str(call.params["pipelineName"]), str(call.params["stageName"])
    pipeline = _pipeline(call, name)
    if stage not in {one["name"] for one in pipeline.pipeline["stages"]}:
        raise Refusal("StageNotFoundException", f"Pipeline {name} does not have a stage with name {stage}")
    return call.account, call.region, name, stage


def _pipeline(call: Call, name: str) -> Any:  # noqa: ANN401 - moto's own
    from moto.codepipeline.models import codepipeline_backends

    pipeline = codepipeline_backends[call.account][call.region].pipelines.get(name)
    if pipeline is None:
        words = f"Account '{call.account}' does not have a pipeline with name '{name}'"
        raise Refusal("PipelineNotFoundException", words)
    return pipeline


def _deployments(call: Call) -> Mapping[str, Any]:
    from moto.codedeploy.models import codedeploy_backends

    found: Mapping[str, Any] = codedeploy_backends[call.account][call.region].deployments
    return found


def _forget() -> None:
    with _GATE:
        _DISABLED.clear()
        _RUNNING.clear()


HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("codepipeline", "GetPipelineState"): pipeline_state,
    ("codepipeline", "DisableStageTransition"): disable,
    ("codepipeline", "EnableStageTransition"): enable,
    ("codedeploy", "StopDeployment"): stop_deployment,
}
GUARDS: Mapping[tuple[str, str], tuple[Guard, ...]] = {("codedeploy", "ListDeployments"): (known_group,)}
RESETS: tuple[Callable[[], None], ...] = (_forget,)
STATES: Mapping[str, Callable[[], Any]] = {"pipeline_transitions": state}
SETTINGS: Mapping[str, Callable[[Mapping[str, Any]], None]] = {"pipeline_running": running}
