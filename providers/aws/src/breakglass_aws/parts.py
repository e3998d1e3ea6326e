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
)
SPECS = (
    *access_keys.SPECS,
    *cloudtrail_events.SPECS,
)
PROPOSE: tuple[Propose, ...] = (
    access_keys.propose,
    cloudtrail_events.propose,
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
