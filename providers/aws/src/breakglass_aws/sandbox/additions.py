"""Lists what the sandbox adds to moto; each module exposes some of HANDLERS, GUARDS, RESETS and STATES."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from breakglass_aws.sandbox import (
    agentcore_additions,
    agentcore_sessions_additions,
    api_additions,
    bedrock_additions,
    bucket_additions,
    cloudtrail_additions,
    deploy_additions,
    guards_kms,
    guards_s3,
    iam_additions,
    identity_additions,
    lambda_additions,
    logs_additions,
    map_runs_additions,
    metadata_additions,
    org_entities,
    org_invitations,
    peacetime,
    platform,
    queue_corrections,
    quota_guards,
    resource_policies,
    simulate,
    sso_additions,
    state,
)
from breakglass_aws.sandbox.call import Guard, Handler


def _together(
    *parts: Mapping[tuple[str, str], tuple[Guard, ...]],
) -> Mapping[tuple[str, str], tuple[Guard, ...]]:
    """Let every part's guards look, where several look at the same operation."""
    found: dict[tuple[str, str], tuple[Guard, ...]] = {}
    for part in parts:
        for operation, guards in part.items():
            found[operation] = (*found.get(operation, ()), *guards)
    return found


HANDLERS: Mapping[tuple[str, str], Handler] = {
    **platform.HANDLERS,
    **cloudtrail_additions.HANDLERS,
    **logs_additions.HANDLERS,
    **deploy_additions.HANDLERS,
    **agentcore_additions.HANDLERS,
    **agentcore_sessions_additions.HANDLERS,
    **api_additions.HANDLERS,
    **bedrock_additions.HANDLERS,
    **iam_additions.HANDLERS,
    **simulate.HANDLERS,
    **org_invitations.HANDLERS,
    **identity_additions.HANDLERS,
    **sso_additions.HANDLERS,
    **lambda_additions.HANDLERS,
    **map_runs_additions.HANDLERS,
    **metadata_additions.HANDLERS,
}
"""(service, operation) -> who answers in place of moto."""
GUARDS: Mapping[tuple[str, str], tuple[Guard, ...]] = _together(
    bucket_additions.GUARDS,
    guards_kms.GUARDS,
    guards_s3.GUARDS,
    quota_guards.GUARDS,
    iam_additions.GUARDS,
    org_entities.GUARDS,
    logs_additions.GUARDS,
    deploy_additions.GUARDS,
    platform.GUARDS,
    lambda_additions.GUARDS,
)
"""(service, operation) -> who looks before moto answers."""
RESETS: tuple[Callable[[], None], ...] = (
    *cloudtrail_additions.RESETS,
    *logs_additions.RESETS,
    *deploy_additions.RESETS,
    platform.reset,
    *agentcore_additions.RESETS,
    *agentcore_sessions_additions.RESETS,
    *bedrock_additions.RESETS,
    *iam_additions.RESETS,
    *org_invitations.RESETS,
    *peacetime.RESETS,
    *resource_policies.RESETS,
    *identity_additions.RESETS,
    *sso_additions.RESETS,
    *lambda_additions.RESETS,
    *map_runs_additions.RESETS,
)
"""Forget everything, with moto's own reset."""
STATES: Mapping[str, Callable[[], Any]] = {
    **logs_additions.STATES,
    **deploy_additions.STATES,
    **state.STATES,
    **agentcore_additions.STATES,
    **agentcore_sessions_additions.STATES,
    **bedrock_additions.STATES,
    **iam_additions.STATES,
    **identity_additions.STATES,
    **sso_additions.STATES,
    **lambda_additions.STATES,
    **map_runs_additions.STATES,
}
"""Name -> JSON of state, for comparing before and after."""
CONTROLS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    **platform.CONTROLS,
    **peacetime.CONTROLS,
    **lambda_additions.CONTROLS,
    **map_runs_additions.CONTROLS,
}
"""Verb of the control address -> who answers it, beside the front's own."""

SETTINGS: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    **cloudtrail_additions.SETTINGS,
    **deploy_additions.SETTINGS,
}
"""Key of the control verb `settings` -> who takes it, out of all that was sent."""
STARTS: tuple[Callable[[str], None], ...] = (
    platform.start,
    *lambda_additions.STARTS,
    *queue_corrections.STARTS,
)
"""Called once with the endpoint, before the first request."""
