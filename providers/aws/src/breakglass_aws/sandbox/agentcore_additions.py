"""What moto lacks of AgentCore: runtimes by their real ARNs, their endpoints, resource policies, providers.

moto's runtimes have ARNs that do not hold their id, and no built-in endpoint; the real ones are
``runtime/NAME-SUFFIX`` and ``.../runtime-endpoint/DEFAULT`` (Service Authorization Reference, AgentCore).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from breakglass_aws.sandbox import resource_policies
from breakglass_aws.sandbox.call import Call, Handler, Refusal

CONTROL = "bedrock-agentcore-control"
DEFAULT = "DEFAULT"
PAGE = 10
LIFE = {"idleRuntimeSessionTimeout": 900, "maxLifetime": 28_800}
Where = tuple[str, str]
_RUNTIMES: dict[Where, dict[str, dict[str, Any]]] = {}
_ENDPOINTS: dict[tuple[str, str, str], dict[str, dict[str, Any]]] = {}
_PROVIDERS: dict[tuple[str, str, str], dict[str, dict[str, Any]]] = {}
_POLICIES: set[str] = set()


def create_agent_runtime(call: Call) -> Mapping[str, Any]:
    """Make a runtime, with its built-in endpoint."""
    runtimes = _RUNTIMES.setdefault((call.account, call.region), {})
    name = call.params["agentRuntimeName"]
    if any(one["agentRuntimeName"] == name for one in runtimes.values()):
        raise Refusal("ConflictException", f"a runtime {name} exists", 409)
    suffix = hashlib.sha256(f"{call.account}{call.region}{name}".encode()).hexdigest()[:10]
    runtime_id = f"{name}-{suffix}"
    runtimes[runtime_id] = {
        "agentRuntimeArn": f"arn:aws:bedrock-agentcore:{call.region}:{call.account}:runtime/{runtime_id}",
        "agentRuntimeName": name,
        "agentRuntimeId": runtime_id,
        "agentRuntimeVersion": "1",
        "createdAt": _now(),
        "lastUpdatedAt": _now(),
        "roleArn": call.params["roleArn"],
        "networkConfiguration": call.params["networkConfiguration"],
        "status": "READY",
        "lifecycleConfiguration": {**LIFE, **(call.params.get("lifecycleConfiguration") or {})},
        "agentRuntimeArtifact": call.params["agentRuntimeArtifact"],
    }
    _endpoint(call, runtimes[runtime_id], DEFAULT)
    return {**runtimes[runtime_id], "workloadIdentityDetails": {"workloadIdentityArn": f"{name}-identity"}}


def get_agent_runtime(call: Call) -> Mapping[str, Any]:
    """Tell a runtime."""
    return runtime_of(call, str(call.params["agentRuntimeId"]))


def delete_agent_runtime(call: Call) -> Mapping[str, Any]:
    """Delete a runtime, its endpoints and their policies."""
    gone = runtime_of(call, str(call.params["agentRuntimeId"]))
    for endpoint in _ENDPOINTS.pop((call.account, call.region, gone["agentRuntimeId"]), {}).values():
        _forget_policy(endpoint["agentRuntimeEndpointArn"])
    _forget_policy(gone["agentRuntimeArn"])
    del _RUNTIMES[call.account, call.region][gone["agentRuntimeId"]]
    return {"status": "DELETING", "agentRuntimeId": gone["agentRuntimeId"]}


def create_agent_runtime_endpoint(call: Call) -> Mapping[str, Any]:
    """Make another endpoint."""
    runtime = runtime_of(call, str(call.params["agentRuntimeId"]))
    made = _endpoint(call, runtime, str(call.params["name"]))
    return {
        **made,
        "targetVersion": "1",
        "agentRuntimeId": runtime["agentRuntimeId"],
        "endpointName": made["name"],
    }


def list_agent_runtime_endpoints(call: Call) -> Mapping[str, Any]:
    """Tell a page of endpoints; of a runtime that is not there there are none."""
    key = (call.account, call.region, str(call.params["agentRuntimeId"]))
    return paged(call, "runtimeEndpoints", list(_ENDPOINTS.get(key, {}).values()))


def put_resource_policy(call: Call) -> Mapping[str, Any]:
    """Set the policy of a runtime, an endpoint or a gateway; it must be about that resource."""
    arn, text = _policed(call), str(call.params["policy"])
    try:
        document = json.loads(text)
        statements = document["Statement"]
        listed = statements if isinstance(statements, list) else [statements]
        about = all(
            arn in (one["Resource"] if isinstance(one["Resource"], list) else [one["Resource"]])
            for one in listed
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Refusal("ValidationException", "the policy is malformed") from error
    if not about:
        raise Refusal("ValidationException", "the policy must name the resource that it is attached to")
    resource_policies.REGISTERED[arn] = text
    _POLICIES.add(arn)
    return {"policy": text}


def get_resource_policy(call: Call) -> Mapping[str, Any]:
    """Tell the policy."""
    arn = _policed(call)
    if arn not in _POLICIES:
        raise Refusal("ResourceNotFoundException", f"{arn} has no resource policy", 404)
    return {"policy": resource_policies.REGISTERED[arn]}


def delete_resource_policy(call: Call) -> Mapping[str, Any]:
    """Remove the policy."""
    _forget_policy(_policed(call))
    return {}


def create_provider(call: Call) -> Mapping[str, Any]:
    """Make a credential provider; its secret is not kept."""
    kind = "oauth2" if "Oauth2" in call.operation else "apikey"
    name = str(call.params["name"])
    vault = f"token-vault/default/{kind}credentialprovider/{name}"
    arn = f"arn:aws:bedrock-agentcore:{call.region}:{call.account}:{vault}"
    made = {"name": name, "credentialProviderArn": arn, "createdTime": _now(), "lastUpdatedTime": _now()}
    if kind == "oauth2":
        made["credentialProviderVendor"] = call.params["credentialProviderVendor"]
    _PROVIDERS.setdefault((call.account, call.region, kind), {})[name] = made
    secret = {"secretArn": f"arn:aws:secretsmanager:{call.region}:{call.account}:secret:{name}"}
    told = "clientSecretArn" if kind == "oauth2" else "apiKeySecretArn"
    return {**made, told: secret}


def list_providers(call: Call) -> Mapping[str, Any]:
    """Tell a page of credential providers."""
    kind = "oauth2" if "Oauth2" in call.operation else "apikey"
    return paged(
        call, "credentialProviders", list(_PROVIDERS.get((call.account, call.region, kind), {}).values())
    )


def runtime_of(call: Call, name: str) -> dict[str, Any]:
    """Return a runtime by its id or ARN.

    Raises:
        Refusal: there is none.
    """
    found = _RUNTIMES.get((call.account, call.region), {}).get(name.rpartition("/")[2])
    if found is None:
        raise Refusal("ResourceNotFoundException", f"agent runtime {name} not found", 404)
    return found


def endpoint_of(call: Call, runtime: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an endpoint of a runtime.

    Raises:
        Refusal: there is none.
    """
    found = _ENDPOINTS.get((call.account, call.region, runtime["agentRuntimeId"]), {}).get(name)
    if found is None:
        raise Refusal("ResourceNotFoundException", f"endpoint {name} not found", 404)
    return found


def paged(call: Call, key: str, items: list[Any]) -> Mapping[str, Any]:
    """Return one page of a listing."""
    start, size = int(call.params.get("nextToken") or 0), int(call.params.get("maxResults") or PAGE)
    more = {"nextToken": str(start + size)} if start + size < len(items) else {}
    return {key: items[start : start + size], **more}


def _endpoint(call: Call, runtime: Mapping[str, Any], name: str) -> dict[str, Any]:
    made = {
        "name": name,
        "id": name,
        "liveVersion": "1",
        "agentRuntimeEndpointArn": f"{runtime['agentRuntimeArn']}/runtime-endpoint/{name}",
        "agentRuntimeArn": runtime["agentRuntimeArn"],
        "status": "READY",
        "createdAt": _now(),
        "lastUpdatedAt": _now(),
    }
    _ENDPOINTS.setdefault((call.account, call.region, runtime["agentRuntimeId"]), {})[name] = made
    return made


def _policed(call: Call) -> str:
    """Return the ARN that a policy call is about.

    Raises:
        Refusal: there is no such resource of this account and region.
    """
    from moto.bedrockagentcorecontrol.models import bedrockagentcorecontrol_backends

    arn = str(call.params["resourceArn"])
    gateways = bedrockagentcorecontrol_backends[call.account][call.region].gateways.values()
    known = {one["agentRuntimeArn"] for one in _RUNTIMES.get((call.account, call.region), {}).values()}
    known |= {
        endpoint["agentRuntimeEndpointArn"]
        for (account, region, _), endpoints in _ENDPOINTS.items()
        for endpoint in endpoints.values()
        if (account, region) == (call.account, call.region)
    }
    if arn not in known | {one.gateway_arn for one in gateways}:
        raise Refusal("ResourceNotFoundException", f"{arn} not found", 404)
    return arn


def _forget_policy(arn: str) -> None:
    _POLICIES.discard(arn)
    resource_policies.REGISTERED.pop(arn, None)


def _forget() -> None:
    for arn in list(_POLICIES):
        _forget_policy(arn)
    for store in (_RUNTIMES, _ENDPOINTS, _PROVIDERS):
        store.clear()


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _state() -> Any:  # noqa: ANN401 - JSON
    return {arn: resource_policies.REGISTERED[arn] for arn in sorted(_POLICIES)}


HANDLERS: Mapping[tuple[str, str], Handler] = {
    (CONTROL, "CreateAgentRuntime"): create_agent_runtime,
    (CONTROL, "GetAgentRuntime"): get_agent_runtime,
    (CONTROL, "DeleteAgentRuntime"): delete_agent_runtime,
    (CONTROL, "CreateAgentRuntimeEndpoint"): create_agent_runtime_endpoint,
    (CONTROL, "ListAgentRuntimeEndpoints"): list_agent_runtime_endpoints,
    (CONTROL, "PutResourcePolicy"): put_resource_policy,
    (CONTROL, "GetResourcePolicy"): get_resource_policy,
    (CONTROL, "DeleteResourcePolicy"): delete_resource_policy,
    (CONTROL, "CreateOauth2CredentialProvider"): create_provider,
    (CONTROL, "CreateApiKeyCredentialProvider"): create_provider,
    (CONTROL, "ListOauth2CredentialProviders"): list_providers,
    (CONTROL, "ListApiKeyCredentialProviders"): list_providers,
}
RESETS: tuple[Callable[[], None], ...] = (_forget,)
STATES: Mapping[str, Callable[[], Any]] = {"agentcore_policies": _state}
