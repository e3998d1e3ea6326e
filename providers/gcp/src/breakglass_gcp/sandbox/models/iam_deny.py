"""google.iam.v2.Policies: deny policies, attached to projects, folders and the organization."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

START = "/google.iam.v2.Policies/"
_HOST = "cloudresourcemanager.googleapis.com/"
_PERMISSION = re.compile(r"[a-z0-9-]+\.googleapis\.com/[A-Za-z*]+\.[A-Za-z*]+")
_PRINCIPAL = re.compile(r"(?:deleted:)?principal(?:Set)?://\S+")


def _create(world: World, call: Call) -> object:
    from google.cloud.iam_v2.types import Policy

    resource = _attached(world, call, call.request.parent, "create")
    policy_id = call.request.policy_id or f"policy-{world.new_id(8)}"
    if policy_id in _held(world, resource):
        call.fail("ALREADY_EXISTS", f"Policy {policy_id} already exists.")
    policy = Policy(call.request.policy)
    _check(call, policy)
    policy.name = f"policies/{_HOST.replace('/', '%2F')}{_numbered(world, resource)}/denypolicies/{policy_id}"
    policy.uid, policy.kind = world.new_id(), "DenyPolicy"
    policy.create_time = _moment(call)
    return _operate(world, call, resource, policy, "create")


def _get(world: World, call: Call) -> object:
    return _policy(world, call, call.request.name, "get")[1]


def _list(world: World, call: Call) -> object:
    """List; IAM v2 reference, policies.listPolicies: metadata only, rules are omitted."""
    from google.cloud.iam_v2.types import ListPoliciesResponse, Policy

    resource = _attached(world, call, call.request.parent, "list")
    found = []
    for held in _held(world, resource).values():
        policy = Policy(held)
        policy.rules = []
        found.append(policy)
    return ListPoliciesResponse(policies=found)


def _update(world: World, call: Call) -> object:
    from google.cloud.iam_v2.types import Policy

    resource, held = _policy(world, call, call.request.policy.name, "update")
    said = call.request.policy
    _etag(call, said.etag, held.etag)
    _check(call, said)
    policy = Policy(held)
    policy.rules, policy.display_name, policy.annotations = said.rules, said.display_name, said.annotations
    return _operate(world, call, resource, policy, "update")


def _delete(world: World, call: Call) -> object:
    resource, held = _policy(world, call, call.request.name, "delete")
    _etag(call, call.request.etag, held.etag)
    return _operate(world, call, resource, held, "delete")


def _operate(world: World, call: Call, resource: str, policy: Any, verb: str) -> object:  # noqa: ANN401 - Policy
    """Carry a change out when its operation ends."""
    from google.cloud.iam_v2.types import Policy, PolicyOperationMetadata

    short = policy.name.rpartition("/")[2]
    before = _held(world, resource).get(short)

    def finish() -> None:
        held = dict(_held(world, resource))
        if held.get(short) is not before:
            call.fail("ABORTED", "The policy was changed concurrently.")
        held.pop(short, None)
        if verb != "delete":
            policy.etag = f"etag-{world.new_id()}"
            policy.update_time = dt.datetime.fromtimestamp(world.now_s(), dt.UTC)
            held[short] = policy
        world.config.put(("deny", resource), held)

    metadata = PolicyOperationMetadata(create_time=_moment(call))
    return world.operation(verb, policy.name, lambda: Policy(policy), metadata, finish=finish)


def _policy(world: World, call: Call, name: str, verb: str) -> tuple[str, Any]:
    resource = _attached(world, call, name, verb)
    held = _held(world, resource).get(name.rpartition("/")[2])
    if held is None:
        call.fail("NOT_FOUND", f"Policy {name} was not found.")
    return resource, held


def _attached(world: World, call: Call, name: str, verb: str) -> str:
    """Return the resource that a policy's name attaches it to; the caller may do the verb there."""
    plain = name.replace("%2F", "/").replace("%2f", "/").removeprefix("policies/")
    resource = world.normal(plain.removeprefix(_HOST).partition("/denypolicies")[0])
    if not plain.startswith(_HOST) or "/denypolicies" not in plain:
        call.fail("INVALID_ARGUMENT", f"Invalid attachment point or kind of policy: {name}")
    call.needs(f"iam.denypolicies.{verb}", resource)
    return resource


def _held(world: World, resource: str) -> Mapping[str, Any]:
    held: Mapping[str, Any] = world.config.get(("deny", resource), {})
    return held


def _numbered(world: World, resource: str) -> str:
    record = world.find_project(resource) if resource.startswith("projects/") else None
    return (f"projects/{record.number}" if record else resource).replace("/", "%2F")


def _check(call: Call, policy: Any) -> None:  # noqa: ANN401 - Policy
    for rule in policy.rules:
        deny = rule.deny_rule
        for permission in (*deny.denied_permissions, *deny.exception_permissions):
            if _PERMISSION.fullmatch(permission) is None:
                call.fail("INVALID_ARGUMENT", f"Permission {permission} is not supported in deny policies.")
        for principal in (*deny.denied_principals, *deny.exception_principals):
            if _PRINCIPAL.fullmatch(principal) is None:
                call.fail("INVALID_ARGUMENT", f"Invalid principal {principal}.")


def _etag(call: Call, asked: str, held: str) -> None:
    if asked and asked != held:
        call.fail("ABORTED", "The etag does not match: the policy was changed concurrently.")


def _moment(call: Call) -> dt.datetime:
    return dt.datetime.fromtimestamp(call.now_s, dt.UTC)


def _state(world: World, project: str) -> object:
    """Return the project's policies by id, and those of what is above it by their whole names."""
    from google.protobuf import json_format

    from breakglass_gcp.sandbox import authorise

    told = {}
    for resource in authorise.above(world, f"projects/{project}"):
        for short, policy in _held(world, resource).items():
            said = json_format.MessageToDict(type(policy).pb(policy))
            name = short if resource.startswith("projects/") else f"{resource}/{short}"
            told[name] = {part: said.get(part) for part in ("displayName", "rules", "annotations")}
    return told


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{START}CreatePolicy": _create,
    f"{START}GetPolicy": _get,
    f"{START}ListPolicies": _list,
    f"{START}UpdatePolicy": _update,
    f"{START}DeletePolicy": _delete,
}
STATE = _state
