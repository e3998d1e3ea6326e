"""Lists the modules that this provider is made of: each exposes `SPECS`, `ACTION_CLASSES` and `propose`."""

from __future__ import annotations

from collections.abc import Callable

from breakglass.provider import Action, Proposed
from breakglass_aws.account import Account
from breakglass_aws.actions import (
    access_keys,
    agentcore_gateway,
    agentcore_runtime,
    agentcore_sessions,
    agentcore_tools,
    api_gateway,
    bedrock_agents,
    cloudtrail_events,
    identity_center,
    kms,
    pod_identity,
    roles_anywhere,
    secrets,
)
from breakglass_aws.found import Found

Propose = Callable[[Account, Found], Proposed]

ACTION_CLASSES: tuple[Callable[[Account], Action], ...] = (
    *access_keys.ACTION_CLASSES,
    *cloudtrail_events.ACTION_CLASSES,
    *secrets.ACTION_CLASSES,
    *kms.ACTION_CLASSES,
    *roles_anywhere.ACTION_CLASSES,
    *pod_identity.ACTION_CLASSES,
    *identity_center.ACTION_CLASSES,
    *api_gateway.ACTION_CLASSES,
    *bedrock_agents.ACTION_CLASSES,
    *agentcore_runtime.ACTION_CLASSES,
    *agentcore_sessions.ACTION_CLASSES,
    *agentcore_tools.ACTION_CLASSES,
    *agentcore_gateway.ACTION_CLASSES,
)
SPECS = (
    *access_keys.SPECS,
    *cloudtrail_events.SPECS,
    *secrets.SPECS,
    *kms.SPECS,
    *roles_anywhere.SPECS,
    *pod_identity.SPECS,
    *identity_center.SPECS,
    *api_gateway.SPECS,
    *bedrock_agents.SPECS,
    *agentcore_runtime.SPECS,
    *agentcore_sessions.SPECS,
    *agentcore_tools.SPECS,
    *agentcore_gateway.SPECS,
)
PROPOSE: tuple[Propose, ...] = (
    access_keys.propose,
    cloudtrail_events.propose,
    secrets.propose,
    kms.propose,
    roles_anywhere.propose,
    pod_identity.propose,
    identity_center.propose,
    api_gateway.propose,
    bedrock_agents.propose,
    agentcore_runtime.propose,
    agentcore_sessions.propose,
    agentcore_tools.propose,
    agentcore_gateway.propose,
)
"""In the order in which their steps should stand in a plan."""
SERVICES = (
    "sts",
    "iam",
    "secretsmanager",
    "kms",
    "rolesanywhere",
    "eks",
    "sso-admin",
    "apigateway",
    "apigatewayv2",
    "bedrock-agent",
    "bedrock-agentcore",
    "bedrock-agentcore-control",
    "cloudtrail",
    "s3",
)
"""What `connect` makes clients of, so that none is made after the second signature."""
