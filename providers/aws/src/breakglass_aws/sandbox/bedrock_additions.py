"""What moto lacks of Bedrock agents: aliases, whether they take invocations, and invoking them.

A change is seen as UPDATING once and as PREPARED from then on (Bedrock API reference, AgentAlias).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from breakglass_aws.sandbox.call import Call, Handler, Refusal

ACCEPT, REJECT = "ACCEPT_INVOCATIONS", "REJECT_INVOCATIONS"
READY = "PREPARED"
DRAFT = "TSTALIASID"
PAGE = 10
"""As many aliases as a page has where the caller names no number."""
_SUMMARY = (
    "agentAliasId",
    "agentAliasName",
    "description",
    "routingConfiguration",
    "agentAliasStatus",
    "createdAt",
    "updatedAt",
    "aliasInvocationState",
)
_ALIASES: dict[tuple[str, str, str], dict[str, dict[str, Any]]] = {}
"""(account, region, agent) -> alias id -> alias."""
_INVOKED: dict[str, int] = {}
"""Alias ARN -> how often it was invoked."""


def create_agent_alias(call: Call) -> Mapping[str, Any]:
    """Make an alias of an agent that moto holds."""
    agent = _agent(call)
    aliases = _ALIASES.setdefault((call.account, call.region, agent), {})
    name = call.params["agentAliasName"]
    if any(one["agentAliasName"] == name for one in aliases.values()):
        raise Refusal("ConflictException", f"an alias {name} exists", 409)
    seed = f"{call.account}{call.region}{agent}{name}{len(aliases)}"
    alias_id = hashlib.sha256(seed.encode()).hexdigest()[:10].upper()
    now = dt.datetime.now(dt.UTC)
    aliases[alias_id] = {
        "agentId": agent,
        "agentAliasId": alias_id,
        "agentAliasName": name,
        "agentAliasArn": f"arn:aws:bedrock:{call.region}:{call.account}:agent-alias/{agent}/{alias_id}",
        "routingConfiguration": list(call.params.get("routingConfiguration") or [{"agentVersion": "1"}]),
        "createdAt": now,
        "updatedAt": now,
        "agentAliasStatus": "CREATING",
        "aliasInvocationState": ACCEPT,
        **({"description": call.params["description"]} if call.params.get("description") else {}),
    }
    return {"agentAlias": dict(aliases[alias_id])}


def get_agent_alias(call: Call) -> Mapping[str, Any]:
    """Tell an alias; what was changing is done after that."""
    alias = _alias(call)
    told = dict(alias)
    alias["agentAliasStatus"] = READY
    return {"agentAlias": told}


def list_agent_aliases(call: Call) -> Mapping[str, Any]:
    """Tell a page of an agent's aliases."""
    agent = _agent(call)
    listed = list(_ALIASES.get((call.account, call.region, agent), {}).values())
    start, size = int(call.params.get("nextToken") or 0), int(call.params.get("maxResults") or PAGE)
    page = [{key: one[key] for key in _SUMMARY if key in one} for one in listed[start : start + size]]
    more = {"nextToken": str(start + size)} if start + size < len(listed) else {}
    return {"agentAliasSummaries": page, **more}


def update_agent_alias(call: Call) -> Mapping[str, Any]:
    """Change an alias: what the call omits is reset, but the state of its invocations."""
    alias = _alias(call)
    alias["agentAliasName"] = call.params["agentAliasName"]
    alias["routingConfiguration"] = list(call.params.get("routingConfiguration") or [{"agentVersion": "NEW"}])
    alias.pop("description", None)
    if call.params.get("description"):
        alias["description"] = call.params["description"]
    alias["aliasInvocationState"] = call.params.get("aliasInvocationState", alias["aliasInvocationState"])
    alias["agentAliasStatus"] = "UPDATING"
    alias["updatedAt"] = dt.datetime.now(dt.UTC)
    return {"agentAlias": dict(alias)}


def delete_agent_alias(call: Call) -> Mapping[str, Any]:
    """Delete an alias."""
    alias = _alias(call)
    agent, name = alias["agentId"], alias["agentAliasId"]
    del _ALIASES[call.account, call.region, agent][name]
    return {"agentId": agent, "agentAliasId": name, "agentAliasStatus": "DELETING"}


def invoke_agent(call: Call) -> Mapping[str, Any]:
    """Invoke an alias, unless it rejects; the draft's alias cannot."""
    agent = _agent(call)
    if call.params["agentAliasId"] == DRAFT:
        arn = f"arn:aws:bedrock:{call.region}:{call.account}:agent-alias/{agent}/{DRAFT}"
    else:
        alias = _alias(call)
        arn = alias["agentAliasArn"]
        if alias["aliasInvocationState"] == REJECT:
            raise Refusal("ValidationException", "The agent alias rejects invocations")
    _INVOKED[arn] = _INVOKED.get(arn, 0) + 1
    return {"completion": {}, "contentType": "application/json", "sessionId": call.params["sessionId"]}


def _agent(call: Call) -> str:
    from moto.bedrockagent.models import bedrockagent_backends

    agent = str(call.params["agentId"])
    if agent not in bedrockagent_backends[call.account][call.region].agents:
        raise Refusal("ResourceNotFoundException", f"Agent {agent} not found", 404)
    return agent


def _alias(call: Call) -> dict[str, Any]:
    name = str(call.params["agentAliasId"])
    if name == DRAFT:
        raise Refusal("ValidationException", "The draft's alias cannot be read or changed")
    found = _ALIASES.get((call.account, call.region, _agent(call)), {}).get(name)
    if found is None:
        raise Refusal("ResourceNotFoundException", f"Alias {name} not found", 404)
    return found


def _forget() -> None:
    _ALIASES.clear()
    _INVOKED.clear()


def _state() -> Any:  # noqa: ANN401 - JSON
    kept = ("agentAliasName", "description", "routingConfiguration", "aliasInvocationState")
    return {
        "/".join((*where, name)): {key: alias.get(key) for key in kept}
        for where, aliases in sorted(_ALIASES.items())
        for name, alias in sorted(aliases.items())
    }


HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("bedrock-agent", "CreateAgentAlias"): create_agent_alias,
    ("bedrock-agent", "GetAgentAlias"): get_agent_alias,
    ("bedrock-agent", "ListAgentAliases"): list_agent_aliases,
    ("bedrock-agent", "UpdateAgentAlias"): update_agent_alias,
    ("bedrock-agent", "DeleteAgentAlias"): delete_agent_alias,
    ("bedrock-agent-runtime", "InvokeAgent"): invoke_agent,
}
RESETS: tuple[Callable[[], None], ...] = (_forget,)
STATES: Mapping[str, Callable[[], Any]] = {
    "bedrock_aliases": _state,
    "bedrock_invoked": lambda: dict(_INVOKED),
}
