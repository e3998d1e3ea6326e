"""Bedrock agents and AgentCore, and what deploys: API Gateway, pipelines, stacks, deployments, tags."""

from __future__ import annotations

from typing import Any

from breakglass_aws.sandbox.call import Call
from breakglass_aws.sandbox.tables.table import NoRule, Table

BEDROCK_AGENT = Table(
    "bedrock",
    {
        "agent/{agentId}": (
            "AssociateAgentCollaborator AssociateAgentKnowledgeBase CreateAgentActionGroup"
            " CreateAgentAlias DeleteAgent"
            " DeleteAgentActionGroup DeleteAgentVersion DisassociateAgentKnowledgeBase GetAgent"
            " GetAgentActionGroup"
            " GetAgentKnowledgeBase GetAgentVersion ListAgentActionGroups ListAgentAliases"
            " ListAgentKnowledgeBases"
            " ListAgentVersions PrepareAgent UpdateAgent UpdateAgentActionGroup UpdateAgentKnowledgeBase"
            " ListAgentCollaborators GetAgentCollaborator UpdateAgentCollaborator"
        ),
        "agent-alias/{agentId}/{agentAliasId}": "GetAgentAlias UpdateAgentAlias DeleteAgentAlias",
        "knowledge-base/{knowledgeBaseId}": (
            "GetKnowledgeBase UpdateKnowledgeBase DeleteKnowledgeBase ListDataSources GetDataSource"
            " StartIngestionJob"
            " StopIngestionJob GetIngestionJob ListIngestionJobs"
        ),
        "flow/{flowIdentifier}": (
            "GetFlow UpdateFlow DeleteFlow ListFlowAliases ListFlowVersions CreateFlowAlias"
        ),
        "flow/{flowIdentifier}/alias/{aliasIdentifier}": "GetFlowAlias UpdateFlowAlias DeleteFlowAlias",
        "{resourceArn}": (
            "TagResource UntagResource ListTagsForResource GetResourcePolicy PutResourcePolicy"
            " DeleteResourcePolicy"
        ),
        "*": "CreateAgent ListAgents ListKnowledgeBases CreateKnowledgeBase ListFlows CreateFlow ListPrompts",
    },
)
BEDROCK_AGENT_RUNTIME = Table(
    "bedrock",
    {
        "agent-alias/{agentId}/{agentAliasId}": "InvokeAgent GetAgentMemory DeleteAgentMemory",
        "knowledge-base/{knowledgeBaseId}": "Retrieve",
        "flow/{flowIdentifier}/alias/{flowAliasIdentifier}": "InvokeFlow",
        "session/{sessionIdentifier}": "EndSession GetSession DeleteSession UpdateSession",
        "*": "CreateSession ListSessions RetrieveAndGenerate InvokeInlineAgent",
    },
)


def _model(value: str, call: Call) -> str:
    return value if value.startswith("arn:") else f"arn:aws:bedrock:{call.region}::foundation-model/{value}"


BEDROCK_RUNTIME = Table(
    "bedrock",
    {
        "{modelId:model}": "InvokeModel InvokeModelWithResponseStream Converse ConverseStream CountTokens",
        "guardrail/{guardrailIdentifier}": "ApplyGuardrail",
    },
    actions={"Converse": "InvokeModel", "ConverseStream": "InvokeModelWithResponseStream"},
    changes={"model": _model},
)
_ENDPOINT = "runtime/{agentRuntimeId}/runtime-endpoint/{endpointName}"
AGENTCORE_CONTROL = Table(
    "bedrock-agentcore",
    {
        "runtime/{agentRuntimeId}": (
            "GetAgentRuntime UpdateAgentRuntime DeleteAgentRuntime ListAgentRuntimeVersions"
            " ListAgentRuntimeEndpoints"
            " CreateAgentRuntimeEndpoint"
        ),
        _ENDPOINT: "GetAgentRuntimeEndpoint UpdateAgentRuntimeEndpoint DeleteAgentRuntimeEndpoint",
        "gateway/{gatewayIdentifier}": (
            "GetGateway UpdateGateway DeleteGateway ListGatewayTargets CreateGatewayTarget GetGatewayTarget"
            " UpdateGatewayTarget DeleteGatewayTarget SynchronizeGatewayTargets"
        ),
        "browser-custom/{browserId}": "GetBrowser DeleteBrowser",
        "code-interpreter-custom/{codeInterpreterId}": "GetCodeInterpreter DeleteCodeInterpreter",
        "memory/{memoryId}": "GetMemory UpdateMemory DeleteMemory",
        "workload-identity-directory/default/workload-identity/{name}": (
            "CreateWorkloadIdentity GetWorkloadIdentity UpdateWorkloadIdentity DeleteWorkloadIdentity"
        ),
        "token-vault/default/oauth2credentialprovider/{name}": (
            "CreateOauth2CredentialProvider GetOauth2CredentialProvider UpdateOauth2CredentialProvider"
            " DeleteOauth2CredentialProvider"
        ),
        "token-vault/default/apikeycredentialprovider/{name}": (
            "CreateApiKeyCredentialProvider GetApiKeyCredentialProvider UpdateApiKeyCredentialProvider"
            " DeleteApiKeyCredentialProvider"
        ),
        "{resourceArn}": (
            "GetResourcePolicy PutResourcePolicy DeleteResourcePolicy TagResource UntagResource"
            " ListTagsForResource"
        ),
        "*": (
            "CreateAgentRuntime ListAgentRuntimes CreateGateway ListGateways CreateBrowser ListBrowsers"
            " CreateCodeInterpreter ListCodeInterpreters CreateMemory ListMemories ListWorkloadIdentities"
            " ListOauth2CredentialProviders ListApiKeyCredentialProviders"
        ),
    },
)


def _browser(value: str, call: Call) -> str:
    return _tool(value, call, "browser")


def _interpreter(value: str, call: Call) -> str:
    return _tool(value, call, "code-interpreter")


def _tool(value: str, call: Call, kind: str) -> str:
    if value.startswith("arn:"):
        return value
    if value.startswith("aws."):  # the service's own, of no account
        return f"arn:aws:bedrock-agentcore:{call.region}:aws:{kind}/{value}"
    return f"{kind}-custom/{value}"


AGENTCORE = Table(
    "bedrock-agentcore",
    {
        "runtime/{agentRuntimeArn}": "InvokeAgentRuntime StopRuntimeSession",
        "{browserIdentifier:browser}": (
            "StartBrowserSession StopBrowserSession GetBrowserSession ListBrowserSessions UpdateBrowserStream"
        ),
        "{codeInterpreterIdentifier:interpreter}": (
            "StartCodeInterpreterSession StopCodeInterpreterSession GetCodeInterpreterSession"
            " ListCodeInterpreterSessions InvokeCodeInterpreter"
        ),
        "memory/{memoryId}": (
            "CreateEvent GetEvent DeleteEvent ListEvents ListSessions ListActors RetrieveMemoryRecords"
        ),
        "workload-identity-directory/default/workload-identity/{workloadName}": (
            "GetWorkloadAccessToken GetWorkloadAccessTokenForJWT GetWorkloadAccessTokenForUserId"
        ),
        "*": "GetResourceOauth2Token GetResourceApiKey",
    },
    changes={"browser": _browser, "interpreter": _interpreter},
)
CODE_PIPELINE = Table(
    "codepipeline",
    {
        "{pipelineName}": "ListPipelineExecutions StopPipelineExecution",
        "{name}": "GetPipeline GetPipelineState StartPipelineExecution DeletePipeline",
        "{pipeline.name}": "CreatePipeline UpdatePipeline",
        "{pipelineName}/{stageName}": "DisableStageTransition EnableStageTransition RetryStageExecution",
        "{resourceArn}": "TagResource UntagResource ListTagsForResource",
        "*": "ListPipelines",
    },
)
CLOUDFORMATION = Table(
    "cloudformation",
    {
        "stack/{StackName}": (
            "CancelUpdateStack CreateStack DeleteStack DescribeStackEvents DescribeStackResources"
            " GetStackPolicy"
            " GetTemplate ListStackResources SetStackPolicy UpdateStack UpdateTerminationProtection"
            " DescribeStackResource"
            " CreateChangeSet ExecuteChangeSet DescribeChangeSet DeleteChangeSet ListChangeSets"
        ),
        "stack/{StackName=*}": "DescribeStacks",
        "*": "ListStacks ValidateTemplate ListExports",
    },
)
CODE_DEPLOY = Table(
    "codedeploy",
    {
        "deploymentgroup:{applicationName}/{deploymentGroupName|currentDeploymentGroupName}": (
            "CreateDeployment CreateDeploymentGroup GetDeploymentGroup UpdateDeploymentGroup"
            " DeleteDeploymentGroup"
        ),
        "deploymentgroup:{applicationName=*}/{deploymentGroupName=*}": "ListDeployments",
        "deploymentgroup:*": "GetDeployment StopDeployment ContinueDeployment BatchGetDeployments",
        "application:{applicationName}": (
            "CreateApplication GetApplication DeleteApplication ListDeploymentGroups"
        ),
        "*": "ListApplications",
    },
)
TAGGING = Table("tag", {"*": "GetResources GetTagKeys GetTagValues TagResources UntagResources"})


def api_gateway(call: Call) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return action and resource of API Gateway: a verb of HTTP on a path (its "control plane" permissions).

    Raises:
        NoRule: the operation is unknown.
    """
    import botocore.session

    model = botocore.session.get_session().get_service_model(call.service)
    if call.operation not in model.operation_names:
        raise NoRule(f"no resource rule for {call.service} {call.operation}")
    http = model.operation_model(call.operation).http
    path = http["requestUri"].partition("?")[0]
    for name, value in call.params.items():
        path = path.replace("{" + _uri_name(model, call.operation, name) + "}", str(value))
    return (f"apigateway:{http['method']}",), (f"arn:aws:apigateway:{call.region}::{path}",)


def _uri_name(model: Any, operation: str, name: str) -> str:  # noqa: ANN401 - botocore has no types
    shape = model.operation_model(operation).input_shape
    return (
        str(shape.members[name].serialization.get("name", name)) if shape and name in shape.members else name
    )


TABLES = {
    "bedrock-agent": BEDROCK_AGENT,
    "bedrock-agent-runtime": BEDROCK_AGENT_RUNTIME,
    "bedrock-runtime": BEDROCK_RUNTIME,
    "bedrock-agentcore-control": AGENTCORE_CONTROL,
    "bedrock-agentcore": AGENTCORE,
    "codepipeline": CODE_PIPELINE,
    "cloudformation": CLOUDFORMATION,
    "codedeploy": CODE_DEPLOY,
    "resourcegroupstaggingapi": TAGGING,
}
