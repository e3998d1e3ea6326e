"""Sessions of AgentCore, which moto lacks: of runtimes, browsers and code interpreters.

Nothing lists the sessions of a runtime, as in the real service; the sandbox's state does, for the tests.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from breakglass_aws.sandbox.agentcore_additions import DEFAULT, endpoint_of, paged, runtime_of
from breakglass_aws.sandbox.call import Call, Handler, Refusal

DATA = "bedrock-agentcore"
READY, TERMINATED = "READY", "TERMINATED"
_KINDS = {"Browser": "browserIdentifier", "CodeInterpreter": "codeInterpreterIdentifier"}
_BUILT_IN = "aws."
_RUNS: dict[tuple[str, str], str] = {}
"""(endpoint ARN, session) -> state."""
_TOOLS: dict[tuple[str, str, str, str], dict[str, dict[str, Any]]] = {}
"""(account, region, kind, tool) -> session id -> session."""
_NUMBERS = itertools.count(1)


def invoke_agent_runtime(call: Call) -> Mapping[str, Any]:
    """Start a session, or go on with one."""
    runtime = runtime_of(call, str(call.params["agentRuntimeArn"]))
    endpoint = endpoint_of(call, runtime, str(call.params.get("qualifier") or DEFAULT))
    session = str(call.params.get("runtimeSessionId") or f"{next(_NUMBERS):040d}")
    _RUNS[endpoint["agentRuntimeEndpointArn"], session] = READY
    return {
        "runtimeSessionId": session,
        "contentType": "application/json",
        "response": b"{}",
        "statusCode": 200,
    }


def stop_runtime_session(call: Call) -> Mapping[str, Any]:
    """End a session; one that is not there is not found."""
    runtime = runtime_of(call, str(call.params["agentRuntimeArn"]))
    endpoint = endpoint_of(call, runtime, str(call.params.get("qualifier") or DEFAULT))
    session = str(call.params["runtimeSessionId"])
    key = (endpoint["agentRuntimeEndpointArn"], session)
    if _RUNS.get(key) != READY:
        raise Refusal("ResourceNotFoundException", f"session {session} not found", 404)
    _RUNS[key] = TERMINATED
    return {"runtimeSessionId": session, "statusCode": 200}


def start_session(call: Call) -> Mapping[str, Any]:
    """Start a session of a browser or code interpreter; one that nobody made comes to be."""
    kind, parameter, tool = _tool(call)
    sessions = _TOOLS.setdefault((call.account, call.region, kind, tool), {})
    seed = f"{call.account}{call.region}{kind}{tool}{next(_NUMBERS)}"
    name = hashlib.sha256(seed.encode()).hexdigest()[:26].upper()
    now = dt.datetime.now(dt.UTC)
    sessions[name] = {
        parameter: tool,
        "sessionId": name,
        "name": call.params.get("name", "session"),
        "status": READY,
        "createdAt": now,
        "lastUpdatedAt": now,
    }
    return {parameter: tool, "sessionId": name, "createdAt": now}


def list_sessions(call: Call) -> Mapping[str, Any]:
    """Tell a page of sessions, by status where the caller names one."""
    kind, _, tool = _tool(call)
    wanted = call.params.get("status")
    sessions = _known(call, kind, tool).values()
    return paged(call, "items", [one for one in sessions if wanted in (None, one["status"])])


def stop_session(call: Call) -> Mapping[str, Any]:
    """End a session."""
    kind, parameter, tool = _tool(call)
    session = _known(call, kind, tool).get(str(call.params["sessionId"]))
    if session is None:
        raise Refusal("ResourceNotFoundException", f"session {call.params['sessionId']} not found", 404)
    session["status"] = TERMINATED
    session["lastUpdatedAt"] = dt.datetime.now(dt.UTC)
    return {key: session[key] for key in (parameter, "sessionId", "lastUpdatedAt")}


def _tool(call: Call) -> tuple[str, str, str]:
    kind = next(one for one in _KINDS if one in call.operation)
    return kind, _KINDS[kind], str(call.params[_KINDS[kind]])


def _known(call: Call, kind: str, tool: str) -> dict[str, dict[str, Any]]:
    found = _TOOLS.get((call.account, call.region, kind, tool))
    if found is None and not tool.startswith(_BUILT_IN):
        raise Refusal("ResourceNotFoundException", f"{tool} not found", 404)
    return found or {}


def _forget() -> None:
    _RUNS.clear()
    _TOOLS.clear()


def _runs() -> Any:  # noqa: ANN401 - JSON
    return {f"{endpoint}#{session}": state for (endpoint, session), state in sorted(_RUNS.items())}


def _tools() -> Any:  # noqa: ANN401 - JSON
    return {
        "/".join((*where, name)): session["status"]
        for where, sessions in sorted(_TOOLS.items())
        for name, session in sorted(sessions.items())
    }


HANDLERS: Mapping[tuple[str, str], Handler] = {
    (DATA, "InvokeAgentRuntime"): invoke_agent_runtime,
    (DATA, "StopRuntimeSession"): stop_runtime_session,
    **{(DATA, f"Start{kind}Session"): start_session for kind in _KINDS},
    **{(DATA, f"List{kind}Sessions"): list_sessions for kind in _KINDS},
    **{(DATA, f"Stop{kind}Session"): stop_session for kind in _KINDS},
}
RESETS: tuple[Callable[[], None], ...] = (_forget,)
STATES: Mapping[str, Callable[[], Any]] = {"agentcore_runs": _runs, "agentcore_tools": _tools}
