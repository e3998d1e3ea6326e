"""Lambda, EventBridge, Scheduler, Pipes, Step Functions: what runs code and what sets it off."""

from __future__ import annotations

from breakglass_aws.sandbox.call import Call
from breakglass_aws.sandbox.tables.table import Table


def function_name(value: str, call: Call) -> str:
    """Return ``NAME`` or ``NAME:QUALIFIER`` of a name, a partial or a whole ARN."""
    name = value.rpartition("function:")[2] if "function:" in value else value
    account = (
        value.partition(":function:")[0] if ":function:" in value and not value.startswith("arn:") else ""
    )
    qualifier = call.params.get("Qualifier") or call.params.get("Name") or call.params.get("FunctionVersion")
    if ":" not in name and qualifier and call.operation in QUALIFIED.split():
        name = f"{name}:{qualifier}"
    where = f"{call.region}:{account or call.account}"
    if value.startswith("arn:"):
        where = ":".join(value.split(":")[3:5])
    return f"arn:aws:lambda:{where}:function:{name}"


QUALIFIED = (
    "Invoke InvokeWithResponseStream GetFunction GetFunctionConfiguration AddPermission"
    " RemovePermission GetPolicy"
    " GetFunctionUrlConfig UpdateFunctionUrlConfig CreateFunctionUrlConfig DeleteFunctionUrlConfig"
    " GetProvisionedConcurrencyConfig PutProvisionedConcurrencyConfig DeleteProvisionedConcurrencyConfig"
    " GetFunctionEventInvokeConfig PutFunctionEventInvokeConfig DeleteFunctionEventInvokeConfig"
    " UpdateFunctionEventInvokeConfig"
)
LAMBDA = Table(
    "lambda",
    {
        "{FunctionName:function}": (
            "AddPermission CreateAlias CreateFunction CreateFunctionUrlConfig DeleteAlias DeleteFunction"
            " DeleteFunctionCodeSigningConfig DeleteFunctionConcurrency DeleteFunctionEventInvokeConfig"
            " DeleteFunctionUrlConfig DeleteProvisionedConcurrencyConfig GetAlias GetFunction"
            " GetFunctionCodeSigningConfig GetFunctionConcurrency GetFunctionConfiguration"
            " GetFunctionEventInvokeConfig GetFunctionRecursionConfig GetFunctionScalingConfig"
            " GetFunctionUrlConfig"
            " GetPolicy GetProvisionedConcurrencyConfig GetRuntimeManagementConfig Invoke InvokeAsync"
            " InvokeWithResponseStream ListAliases ListDurableExecutionsByFunction"
            " ListFunctionEventInvokeConfigs"
            " ListFunctionUrlConfigs ListProvisionedConcurrencyConfigs ListVersionsByFunction PublishVersion"
            " PutFunctionCodeSigningConfig PutFunctionConcurrency PutFunctionEventInvokeConfig"
            " PutFunctionRecursionConfig PutFunctionScalingConfig PutProvisionedConcurrencyConfig"
            " PutRuntimeManagementConfig RemovePermission UpdateAlias UpdateFunctionCode"
            " UpdateFunctionConfiguration"
            " UpdateFunctionEventInvokeConfig UpdateFunctionUrlConfig"
        ),
        "event-source-mapping:{UUID}": (
            "DeleteEventSourceMapping GetEventSourceMapping UpdateEventSourceMapping"
        ),
        "{DurableExecutionArn}": (
            "GetDurableExecution GetDurableExecutionHistory GetDurableExecutionState StopDurableExecution"
            " PauseDurableExecution ResumeDurableExecution CheckpointDurableExecution DeleteDurableExecution"
        ),
        "function:{CallbackId=*}": (
            "SendDurableExecutionCallbackFailure SendDurableExecutionCallbackHeartbeat"
            " SendDurableExecutionCallbackSuccess"
        ),
        "{Resource}": "TagResource UntagResource ListTags",
        "{ResourceArn}": "GetResourcePolicy PutResourcePolicy DeleteResourcePolicy",
        "layer:{LayerName}": "ListLayerVersions PublishLayerVersion",
        "layer:{LayerName}:{VersionNumber}": (
            "AddLayerVersionPermission DeleteLayerVersion GetLayerVersion GetLayerVersionPolicy"
            " RemoveLayerVersionPermission"
        ),
        # no resource types but condition keys (lambda:FunctionArn)
        "*": (
            "CreateEventSourceMapping ListEventSourceMappings ListFunctions ListLayers GetAccountSettings"
            " CreateCodeSigningConfig ListCodeSigningConfigs ListCapacityProviders"
        ),
    },
    actions={
        "Invoke": "InvokeFunction",
        "InvokeWithResponseStream": "InvokeFunction",
    },
    changes={"function": function_name},
)


def _rule(value: str, call: Call) -> str:
    """``rule/NAME`` on the default bus, else ``rule/BUS/NAME``."""
    bus = str(call.params.get("EventBusName") or "default")
    bus = bus.rpartition("/")[2]
    return value if bus == "default" else f"{bus}/{value}"


EVENTS = Table(
    "events",
    {
        "rule/{Name|Rule:rule}": (
            "DeleteRule DescribeRule DisableRule EnableRule PutRule PutTargets RemoveTargets"
            " ListTargetsByRule"
        ),
        "event-bus/{Name=default}": "CreateEventBus DeleteEventBus DescribeEventBus UpdateEventBus",
        "event-bus/{EventBusName=default}": "PutPermission RemovePermission",
        "event-bus/{Entries.EventBusName=default}": "PutEvents",
        "archive/{ArchiveName}": "CreateArchive DeleteArchive DescribeArchive UpdateArchive",
        "replay/{ReplayName}": "CancelReplay DescribeReplay StartReplay",
        "connection/{Name}": (
            "CreateConnection DeauthorizeConnection DeleteConnection DescribeConnection UpdateConnection"
        ),
        "api-destination/{Name}": (
            "CreateApiDestination DeleteApiDestination DescribeApiDestination UpdateApiDestination"
        ),
        "{ResourceARN}": "TagResource UntagResource ListTagsForResource",
        "*": (
            "ListRules ListRuleNamesByTarget ListEventBuses ListArchives ListReplays ListConnections"
            " ListApiDestinations TestEventPattern ListEventSources ListEndpoints"
        ),
    },
    changes={"rule": _rule},
)
SCHEDULER = Table(
    "scheduler",
    {
        "schedule/{GroupName=default}/{Name}": "CreateSchedule UpdateSchedule GetSchedule DeleteSchedule",
        "schedule-group/{Name}": "CreateScheduleGroup DeleteScheduleGroup GetScheduleGroup",
        "{ResourceArn}": "TagResource UntagResource ListTagsForResource",
        "*": "ListSchedules ListScheduleGroups",
    },
)
PIPES = Table(
    "pipes",
    {
        "pipe/{Name}": "CreatePipe DeletePipe DescribePipe StartPipe StopPipe UpdatePipe",
        "{resourceArn}": "TagResource UntagResource ListTagsForResource",
        "*": "ListPipes",
    },
)
STATES = Table(
    "states",
    {
        "{stateMachineArn}": (
            "DeleteStateMachine DescribeStateMachine ListExecutions StartExecution"
            " StartSyncExecution UpdateStateMachine"
            " ListStateMachineVersions ListStateMachineAliases PublishStateMachineVersion"
        ),
        "stateMachine:{name}": "CreateStateMachine",
        "{executionArn}": (
            "DescribeExecution DescribeStateMachineForExecution GetExecutionHistory StopExecution"
            " RedriveExecution"
            " ListMapRuns"
        ),
        "{mapRunArn}": "DescribeMapRun UpdateMapRun ListExecutions",
        "{activityArn}": "DescribeActivity DeleteActivity GetActivityTask",
        "activity:{name}": "CreateActivity",
        "{stateMachineAliasArn}": "DescribeStateMachineAlias UpdateStateMachineAlias DeleteStateMachineAlias",
        "{stateMachineVersionArn}": "DeleteStateMachineVersion",
        "{resourceArn}": "TagResource UntagResource ListTagsForResource",
        "*": (
            "ListStateMachines ListActivities SendTaskSuccess SendTaskFailure SendTaskHeartbeat TestState"
            " ValidateStateMachineDefinition CreateStateMachineAlias"
        ),
    },
)
TABLES = {
    "lambda": LAMBDA,
    "events": EVENTS,
    "scheduler": SCHEDULER,
    "pipes": PIPES,
    "stepfunctions": STATES,
}
