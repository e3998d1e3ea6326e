"""An AgentCore runtime in the sandbox, and an invocation of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.aws.tests.rig_aws import Rig


def make_runtime(rig: Rig, name: str = "support_bot", **more: Any) -> str:  # noqa: ANN401 - whatever the API takes
    """Make a runtime; return its ARN."""
    made = rig.boto("bedrock-agentcore-control").create_agent_runtime(
        agentRuntimeName=name,
        agentRuntimeArtifact={"containerConfiguration": {"containerUri": "repository/agent:1"}},
        roleArn="arn:aws:iam::123456789012:role/agent",
        networkConfiguration={"networkMode": "PUBLIC"},
        **more,
    )
    return str(made["agentRuntimeArn"])


def invoke(rig: Rig, runtime: str, keys: Mapping[str, Any] | None = None, **more: str) -> str:
    """Invoke it; return the id of the session."""
    answer = rig.boto("bedrock-agentcore", keys).invoke_agent_runtime(
        agentRuntimeArn=runtime, payload=b"{}", **more
    )
    return str(answer["runtimeSessionId"])
