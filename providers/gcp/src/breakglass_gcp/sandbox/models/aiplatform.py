"""Agent Engine of Vertex AI: reasoning engines, their allow policies, and their changes.

Only what the discovery document of aiplatform v1 describes; an update is blind without an etag, and is a
long-running operation (ReasoningEngine, field etag).
"""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import policies

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

ENGINES = "aiplatform.engines"
START = "aiplatform.projects.locations.reasoningEngines."
KIND = "aiplatform.reasoningEngines"
PATCH_S = 0.15
_TYPES = "type.googleapis.com/google.cloud.aiplatform.v1."
ORGANIZATION_ID = "100000000001"


def engine(world: World, call: Call, permission: str, name: str = "") -> dict[str, Any]:
    """Return the engine that a call is about, if the caller has the permission on it."""
    name = world.normal(name or call.request.params["name"])
    name = re.sub(r"(/reasoningEngines/[^/]+)/.*", r"\1", name)
    call.needs(permission, name)
    found: dict[str, Any] | None = world.table(ENGINES).get(name)
    if found is None:
        call.fail("NOT_FOUND", f"The ReasoningEngine {name} does not exist.")
    return found


def _create(world: World, call: Call) -> object:
    parent = world.normal(call.request.params["parent"])
    project = world.project(parent)
    call.needs(f"{KIND}.create", parent)
    name = f"{parent}/reasoningEngines/{world.new_id()}"
    made = {"displayName": "", **copy.deepcopy(dict(call.request.body)), "name": name}
    spec = made.setdefault("spec", {})
    spec["effectiveIdentity"] = _identity(spec, name, project.number)
    _stamp(world, made)

    def finish() -> None:
        world.table(ENGINES)[name] = made

    return world.operation("create", name, {"name": name}, {}, takes_s=PATCH_S, finish=finish)


def _identity(spec: Mapping[str, Any], name: str, number: str) -> str:
    """Return who an engine is (ReasoningEngineSpec, effectiveIdentity)."""
    if spec.get("identityType") == "AGENT_IDENTITY":
        parts = name.split("/")
        place = f"projects/{number}/{'/'.join(parts[2:])}"
        return f"agents.global.org-{ORGANIZATION_ID}.system.id.goog/resources/aiplatform/{place}"
    return str(spec.get("serviceAccount") or f"service-{number}@gcp-sa-aiplatform-re.googleapis.com")


def _stamp(world: World, made: dict[str, Any]) -> None:
    made["etag"] = f"e{world.new_id(9)}"
    made["updateTime"] = f"{world.now_s():.3f}"


def _get(world: World, call: Call) -> object:
    return copy.deepcopy(engine(world, call, f"{KIND}.get"))


def _list(world: World, call: Call) -> object:
    parent = world.normal(call.request.params["parent"])
    call.needs(f"{KIND}.list", parent)
    found = [one for name, one in world.table(ENGINES).items() if name.startswith(f"{parent}/")]
    return {"reasoningEngines": copy.deepcopy(found)}


def _patch(world: World, call: Call) -> object:
    held = engine(world, call, f"{KIND}.update")
    body = copy.deepcopy(dict(call.request.body))
    if body.get("etag") and body["etag"] != held["etag"]:
        call.fail("ABORTED", "The etag does not match: the engine was changed meanwhile.")
    mask = [one for one in str(call.request.query.get("updateMask", "")).split(",") if one]
    if not mask:
        call.fail("INVALID_ARGUMENT", "The update mask is empty.")
    paths = [[_camel(part) for part in one.split(".")] for one in mask]
    for path in paths:
        _valid(call, path, _at(body, path))

    def finish() -> None:
        for path in paths:
            _put(held, path, _at(body, path))
        _stamp(world, held)

    told = {"@type": f"{_TYPES}UpdateReasoningEngineOperationMetadata"}
    return world.operation(
        "update", held["name"], {"name": held["name"]}, told, takes_s=PATCH_S, finish=finish
    )


def _valid(call: Call, path: list[str], value: object) -> None:
    """Refuse what is out of the range (ReasoningEngineSpecDeploymentSpec)."""
    ranges = {"minInstances": (0, 75), "maxInstances": (1, 1000)}
    if path[-1] in ranges and value is not None:
        least, most = ranges[path[-1]]
        if not isinstance(value, int) or not least <= value <= most:
            call.fail("INVALID_ARGUMENT", f"{path[-1]} must be within [{least}, {most}].")


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)


def _at(value: Any, path: list[str]) -> Any:  # noqa: ANN401 - JSON
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _put(held: dict[str, Any], path: list[str], value: object) -> None:
    for name in path[:-1]:
        held = held.setdefault(name, {})
    if value is None:
        held.pop(path[-1], None)
    else:
        held[path[-1]] = value


def _delete(world: World, call: Call) -> object:
    held = engine(world, call, f"{KIND}.delete")
    del world.table(ENGINES)[held["name"]]
    return world.operation("delete", held["name"], {}, {}, takes_s=PATCH_S)


def _exists(world: World, name: str) -> bool:
    return name in world.table(ENGINES)


def _get_policy(world: World, call: Call) -> object:
    from google.iam.v1 import iam_policy_pb2

    asked = iam_policy_pb2.GetIamPolicyRequest(resource=call.request.params["resource"])
    asked.options.requested_policy_version = int(call.request.query.get("options.requestedPolicyVersion", 0))
    return _said(policies.read(world, dataclasses.replace(call, request=asked), KIND, _exists))


def _set_policy(world: World, call: Call) -> object:
    from google.iam.v1 import iam_policy_pb2
    from google.protobuf import json_format

    asked = iam_policy_pb2.SetIamPolicyRequest(resource=call.request.params["resource"])
    try:
        json_format.ParseDict(call.request.body.get("policy", {}), asked.policy)
    except json_format.ParseError as error:
        call.fail("INVALID_ARGUMENT", f"Invalid JSON payload received. {error}")
    return _said(policies.write(world, dataclasses.replace(call, request=asked), KIND, _exists))


def _said(policy: Any) -> dict[str, Any]:  # noqa: ANN401 - Policy
    from google.protobuf import json_format

    told: dict[str, Any] = json_format.MessageToDict(policy)
    return told


def _state(world: World, project: str) -> object:
    start = f"projects/{project}/"
    told = {}
    for name, one in world.table(ENGINES).items():
        if name.startswith(start):
            kept = {key: value for key, value in one.items() if key not in ("etag", "updateTime")}
            policy = _said(world.policy(name))
            policy.pop("etag", None)
            told[name] = {"engine": kept, "policy": policy}
    return told


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{START}create": _create,
    f"{START}get": _get,
    f"{START}list": _list,
    f"{START}patch": _patch,
    f"{START}delete": _delete,
    f"{START}getIamPolicy": _get_policy,
    f"{START}setIamPolicy": _set_policy,
}
STATE = _state
