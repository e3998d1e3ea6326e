"""Tier 2 cannot be drilled, so its calls are held against botocore's own models of the services.

Read from the code itself: each operation exists, has every parameter that is sent and is sent every one
that it needs, and answers with the field that is read; each error code that is named is one of its own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

import breakglass_aws
from breakglass.errors import Gone, Transient
from breakglass_aws import parts
from breakglass_aws.actions import (
    agentcore_gateway,
    agentcore_runtime,
    agentcore_sessions,
    agentcore_tools,
    api_gateway,
    bedrock_agents,
    identity_center,
    kms,
    pod_identity,
    roles_anywhere,
    secrets,
)
from breakglass_aws.refusals import translate
from breakglass_aws.sandbox import additions
from breakglass_aws.tiers import UNVERIFIED

MODULES = (
    agentcore_gateway,
    agentcore_runtime,
    agentcore_sessions,
    agentcore_tools,
    api_gateway,
    bedrock_agents,
    identity_center,
    kms,
    pod_identity,
    roles_anywhere,
    secrets,
)
FILES = sorted(
    {Path(str(one.__file__)) for one in MODULES}
    | {Path(str(breakglass_aws.__file__)).parent / "actions" / "stage_limits.py"}
)
CALLS = {"call": 2, "pages": 3, "call_as": 3}
"""How a call is made -> how many arguments stand before the parameters."""
CONSTANTS = {"CONTROL": agentcore_runtime.CONTROL, "DATA": agentcore_sessions.DATA}
READS = {
    ("apigateway", "get_api_key"): ("enabled",),
    ("apigateway", "get_stage"): (
        "methodSettings.*.throttlingRateLimit",
        "methodSettings.*.throttlingBurstLimit",
    ),
    ("apigatewayv2", "get_stage"): (
        "DefaultRouteSettings.ThrottlingRateLimit",
        "DefaultRouteSettings.ThrottlingBurstLimit",
        "RouteSettings.*.ThrottlingRateLimit",
        "RouteSettings.*.ThrottlingBurstLimit",
    ),
    ("bedrock-agent", "get_agent_alias"): (
        "agentAlias.agentAliasName",
        "agentAlias.description",
        "agentAlias.routingConfiguration.agentVersion",
        "agentAlias.agentAliasStatus",
        "agentAlias.aliasInvocationState",
    ),
    ("bedrock-agent", "list_agent_aliases"): (
        "agentAliasSummaries.agentAliasId",
        "agentAliasSummaries.aliasInvocationState",
    ),
    ("bedrock-agentcore", "list_browser_sessions"): ("items.sessionId", "nextToken"),
    ("bedrock-agentcore", "list_code_interpreter_sessions"): ("items.sessionId", "nextToken"),
    ("bedrock-agentcore-control", "get_agent_runtime"): (
        "lifecycleConfiguration.idleRuntimeSessionTimeout",
        "lifecycleConfiguration.maxLifetime",
        "roleArn",
    ),
    ("bedrock-agentcore-control", "get_resource_policy"): ("policy",),
    ("bedrock-agentcore-control", "list_agent_runtime_endpoints"): (
        "runtimeEndpoints.agentRuntimeEndpointArn",
        "runtimeEndpoints.name",
    ),
    ("bedrock-agentcore-control", "list_api_key_credential_providers"): ("credentialProviders.name",),
    ("bedrock-agentcore-control", "list_oauth2_credential_providers"): (
        "credentialProviders.name",
        "credentialProviders.credentialProviderVendor",
    ),
    ("eks", "describe_pod_identity_association"): tuple(
        f"association.{key}"
        for key in (*pod_identity._KEPT, "namespace", "serviceAccount", "ownerArn")  # noqa: SLF001 - what is kept
    ),
    ("eks", "list_pod_identity_associations"): ("associations.associationId",),
    ("kms", "describe_key"): (
        "KeyMetadata.Arn",
        "KeyMetadata.KeyId",
        "KeyMetadata.KeyManager",
        "KeyMetadata.KeySpec",
        "KeyMetadata.MultiRegionConfiguration.PrimaryKey.Arn",
        "KeyMetadata.MultiRegionConfiguration.ReplicaKeys.Region",
    ),
    ("kms", "get_key_policy"): ("Policy",),
    ("kms", "list_grants"): ("Grants.GrantId", "Grants.GranteePrincipal"),
    ("rolesanywhere", "get_profile"): ("profile.enabled",),
    ("rolesanywhere", "list_profiles"): (
        "profiles.profileId",
        "profiles.name",
        "profiles.roleArns",
        "profiles.enabled",
    ),
    ("secretsmanager", "describe_secret"): ("ARN", "Name"),
    ("secretsmanager", "get_resource_policy"): ("ResourcePolicy",),
    ("sso-admin", "get_inline_policy_for_permission_set"): ("InlinePolicy",),
    ("sso-admin", "list_account_assignments_for_principal"): ("AccountAssignments.PermissionSetArn",),
    ("sso-admin", "list_accounts_for_provisioned_permission_set"): ("AccountIds",),
}
"""What the code reads of an answer; ``*`` is any key of a map."""
_SESSION = botocore.session.get_session()


@dataclass(frozen=True, slots=True)
class Made:
    """One call as the code spells it."""

    service: str
    operation: str
    sent: frozenset[str]
    open: bool
    """More parameters come from a mapping."""
    result_key: str


def _calls(file: Path) -> Iterator[Made]:
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        count = CALLS.get(node.func.attr)
        if count is None or len(node.args) != count:
            continue
        arguments = node.args[1:] if node.func.attr == "call_as" else node.args
        service = _text(arguments[0])
        keywords = frozenset(one.arg for one in node.keywords if one.arg)
        more = any(one.arg is None for one in node.keywords)
        key = _text(arguments[2]) if node.func.attr == "pages" else ""
        for operation in _operations(arguments[1]):
            yield Made(service, operation, keywords, more, key)


def _operations(node: ast.expr) -> tuple[str, ...]:
    """Return the operation that stands there; of a tool's, both kinds'."""
    if isinstance(node, ast.Attribute):
        return tuple(str(getattr(tool, node.attr)) for tool in agentcore_tools._TOOLS)  # noqa: SLF001 - as above
    return (_text(node),)


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return CONSTANTS[node.id]
    assert isinstance(node, ast.Constant), ast.dump(node)
    return str(node.value)


def _model(service: str, operation: str) -> Any:  # noqa: ANN401 - botocore has no types
    model = _SESSION.get_service_model(service)
    names = {xform_name(name): name for name in model.operation_names}
    assert operation in names, f"{service} has no {operation}"
    return model.operation_model(names[operation])


ALL = sorted({made for file in FILES for made in _calls(file)}, key=repr)


def test_the_calls_of_every_file_were_found() -> None:
    """A call that is spelled in another way would go unchecked."""
    silent = [file.name for file in FILES if not list(_calls(file))]

    assert silent == []
    assert len({(one.service, one.operation) for one in ALL}) > 30


@pytest.mark.parametrize("made", ALL, ids=lambda made: f"{made.service}:{made.operation}")
def test_a_call_sends_what_the_model_knows_and_needs(made: Made) -> None:
    """Unknown parameters are refused by botocore at three in the morning; here they are refused now."""
    shape = _model(made.service, made.operation).input_shape

    assert made.sent <= set(shape.members)
    assert made.open or set(shape.required_members) <= made.sent


@pytest.mark.parametrize("made", ALL, ids=lambda made: f"{made.service}:{made.operation}")
def test_a_listing_is_read_under_its_own_key_and_to_its_end(made: Made) -> None:
    """Where botocore has no paginator the code must follow the token itself."""
    model = _model(made.service, made.operation)
    if not made.result_key:
        tokens = {"nextToken", "NextToken", "Marker"} & set(getattr(model.input_shape, "members", ()))
        assert not tokens or made.operation in {"list_browser_sessions", "list_code_interpreter_sessions"}
        return

    pager = _SESSION.get_paginator_model(made.service).get_paginator(model.name)
    assert pager["result_key"] == made.result_key


@pytest.mark.parametrize(("where", "paths"), sorted(READS.items()), ids=lambda one: str(one)[:60])
def test_what_is_read_of_an_answer_is_in_the_model(where: tuple[str, str], paths: tuple[str, ...]) -> None:
    """A misspelled field would read as absent, and absent means a lot here."""
    for path in paths:
        shape = _model(*where).output_shape
        for part in path.split("."):
            while shape.type_name == "list":
                shape = shape.member
            if part == "*":
                shape = shape.value
                continue
            assert part in shape.members, f"{where}: {path}"
            shape = shape.members[part]


def test_every_reading_call_says_what_it_reads() -> None:
    """The table above has a line for each call whose answer matters."""
    reading = {
        (one.service, one.operation)
        for one in ALL
        if one.operation.startswith(("get_", "list_", "describe_"))
    }

    assert reading - READS.keys() == {
        ("bedrock-agentcore-control", "get_gateway"),
        ("secretsmanager", "get_secret_value"),
    }


@pytest.mark.parametrize("where", sorted(READS), ids=":".join)
def test_what_is_not_there_is_said_in_a_code_that_is_understood_as_gone(where: tuple[str, str]) -> None:
    """But for listings of which the service says that they are empty."""
    codes = {shape.name for shape in _model(*where).error_shapes}
    gone = {code for code in codes if isinstance(_error(code), Gone)}

    assert gone or where[1] in {
        "list_profiles",
        "list_agent_runtime_endpoints",
        "list_account_assignments_for_principal",
    }


PREFIXES = {"bedrock-agent": "bedrock", "bedrock-agentcore-control": "bedrock-agentcore", "sso-admin": "sso"}
BESIDE = {
    pod_identity: {"eks:TagResource", "iam:PassRole", "iam:GetRole"},
    agentcore_gateway: {f"bedrock-agentcore:{verb}ResourcePolicy" for verb in ("Get", "Put", "Delete")},
}
"""What a module needs beside its own calls: dependent actions, and calls that another module makes for it."""


@pytest.mark.parametrize(
    "module", [one for one in MODULES if one is not api_gateway], ids=lambda one: one.__name__
)
def test_an_action_declares_exactly_the_permissions_of_its_calls(module: Any) -> None:  # noqa: ANN401 - a module
    """Least privilege is what is called and nothing else (API Gateway's are verbs of HTTP)."""
    called = {
        f"{PREFIXES.get(one.service, one.service)}:{_model(one.service, one.operation).name}"
        for one in _calls(Path(str(module.__file__)))
        if one.operation not in {"get_secret_value", "generate_data_key_without_plaintext"}  # as the agent
    }

    declared = {name for spec in module.SPECS for name in (*spec.permissions, *spec.undo_permissions)}

    assert declared == called | BESIDE.get(module, set())


def test_a_provisioning_that_runs_already_is_the_models_own_conflict() -> None:
    """The code looks for this code by name."""
    model = _model("sso-admin", "provision_permission_set")

    assert "ConflictException" in {shape.name for shape in model.error_shapes}
    assert isinstance(_error("ConflictException"), Transient)


def _error(code: str) -> Exception:
    return translate(ClientError({"Error": {"Code": code, "Message": ""}}, "Get"), "GetThing", "here")


def test_the_sandbox_answers_only_operations_that_exist() -> None:
    """An operation of ours that AWS does not have would prove nothing."""
    for service, operation in additions.HANDLERS:
        model = _SESSION.get_service_model(service)

        assert operation in model.operation_names, f"{service}: {operation}"


def test_every_tier_2_action_says_that_nobody_ran_it_on_a_real_account() -> None:
    """Wherever it shows: in its sources, and in its targets' labels (see each action's test)."""
    specs = [spec for module in MODULES for spec in module.SPECS]

    assert all(any(UNVERIFIED in one.reference for one in spec.sources) for spec in specs)
    assert {spec.name for spec in specs} <= {spec.name for spec in parts.SPECS}
