"""google.iam.v3: principal access boundary policies and what binds them to principal sets."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

POLICIES_START = "/google.iam.v3.PrincipalAccessBoundaryPolicies/"
BINDINGS_START = "/google.iam.v3.PolicyBindings/"
KIND = "PRINCIPAL_ACCESS_BOUNDARY"
LONGEST_CONDITION = 250
_ATTRIBUTE = re.compile(r"\b(?:principal|resource|request|destination|origin)\.\w+")
_ATTRIBUTES = frozenset({"principal.type", "principal.subject"})
_CHANGED = {
    "principal_access_boundary_policy": ("display_name", "annotations", "details"),
    "policy_binding": ("display_name", "annotations", "condition"),
}
"""What an update may change ("Edit principal access boundary policies"); of a binding neither the policy nor
the principal set."""
_POLICY, _BINDING = "principal_access_boundary_policy", "policy_binding"
_PERMISSIONS = {_POLICY: "iam.principalaccessboundarypolicies", _BINDING: "iam.policybindings"}
_FOLDERS = {_POLICY: "principalAccessBoundaryPolicies", _BINDING: "policyBindings"}
_KEYS = {_POLICY: "pab", _BINDING: "binding"}


def _create(world: World, call: Call, kind: str) -> object:
    request = call.request
    parent = world.normal(request.parent)
    if kind == _POLICY:
        call.needs(f"{_PERMISSIONS[kind]}.create", _owner(parent))
    else:
        _may_bind(world, call, "create", parent, request.policy_binding)
    short = getattr(request, f"{kind}_id")
    name = f"{parent}/{_FOLDERS[kind]}/{short}"
    if world.config.get((_KEYS[kind], name)) is not None:
        call.fail("ALREADY_EXISTS", f"{name} already exists.")
    said = getattr(request, kind)
    made = type(said)(said)
    made.name, made.uid = name, world.new_id()
    made.create_time = dt.datetime.fromtimestamp(call.now_s, dt.UTC)
    if kind == _BINDING:
        made.policy_kind = KIND
        _check_condition(call, made)
        policy = world.config.get(("pab", made.policy))
        if policy is None:
            call.fail("NOT_FOUND", f"{made.policy} was not found.")
        made.policy_uid = policy.uid
    elif not made.details.enforcement_version:
        made.details.enforcement_version = "latest"
    return _operate(world, kind, name, made)


def _get(world: World, call: Call, kind: str) -> object:
    return _one(world, call, kind, call.request.name, "get")


def _list(world: World, call: Call, kind: str) -> object:
    from google.cloud import iam_v3

    parent = world.normal(call.request.parent)
    call.needs(f"{_PERMISSIONS[kind]}.list", _owner(parent))
    found = [one for one in _all(world, kind) if one.name.startswith(f"{parent}/")]
    if kind == _POLICY:
        return iam_v3.ListPrincipalAccessBoundaryPoliciesResponse(principal_access_boundary_policies=found)
    return iam_v3.ListPolicyBindingsResponse(policy_bindings=found)


def _update(world: World, call: Call, kind: str) -> object:
    said = getattr(call.request, kind)
    held = _one(world, call, kind, said.name, "update")
    _etag(call, said.etag, held.etag)
    made = type(held)(held)
    for path in call.request.update_mask.paths or _CHANGED[kind]:
        field, _, inner = path.partition(".")
        if field not in _CHANGED[kind]:
            call.fail("INVALID_ARGUMENT", f"{path} cannot be updated.")
        if field == "condition" and inner:
            setattr(made.condition, inner, getattr(said.condition, inner))
        else:
            setattr(made, field, getattr(said, field))
    if kind == _BINDING:
        _check_condition(call, made)
    made.update_time = dt.datetime.fromtimestamp(call.now_s, dt.UTC)
    return _operate(world, kind, held.name, made)


def _delete(world: World, call: Call, kind: str) -> object:
    held = _one(world, call, kind, call.request.name, "delete")
    _etag(call, call.request.etag, held.etag)
    bound = [one for one in _all(world, _BINDING) if kind == _POLICY and one.policy == held.name]
    if bound and not call.request.force:
        call.fail("FAILED_PRECONDITION", f"{held.name} is bound by {bound[0].name}.")
    return _operate(world, kind, held.name, None)


def _search_target(world: World, call: Call) -> object:
    from google.cloud import iam_v3

    parent = world.normal(call.request.parent)
    call.needs(f"{_owned_by(call.request.target, parent)}.searchPolicyBindings", _owner(parent))
    found = [one for one in _all(world, _BINDING) if one.target.principal_set == call.request.target]
    return iam_v3.SearchTargetPolicyBindingsResponse(policy_bindings=found)


def _search_policy(world: World, call: Call) -> object:
    from google.cloud import iam_v3

    held = _one(world, call, _POLICY, call.request.name, "searchPolicyBindings")
    found = [one for one in _all(world, _BINDING) if one.policy == held.name]
    return iam_v3.SearchPrincipalAccessBoundaryPolicyBindingsResponse(policy_bindings=found)


def _operate(world: World, kind: str, name: str, made: Any) -> object:  # noqa: ANN401 - a policy or binding
    from google.cloud.iam_v3.types import OperationMetadata
    from google.protobuf import empty_pb2

    def finish() -> None:
        if made is not None:
            made.etag = f"etag-{world.new_id()}"
        world.config.put((_KEYS[kind], name), made)

    response = made if made is not None else empty_pb2.Empty()
    parent = name.partition(f"/{_FOLDERS[kind]}/")[0]
    return world.operation(kind, parent, lambda: response, OperationMetadata(target=name), finish=finish)


def _one(world: World, call: Call, kind: str, name: str, verb: str) -> Any:  # noqa: ANN401 - as above
    name = world.normal(name)
    held = world.config.get((_KEYS[kind], name))
    if kind == _BINDING and held is not None and verb != "get":
        _may_bind(world, call, verb, name, held)
    else:
        call.needs(f"{_PERMISSIONS[kind]}.{verb}", _owner(name))
    if held is None:
        call.fail("NOT_FOUND", f"{name} was not found.")
    return held


def _may_bind(world: World, call: Call, verb: str, under: str, binding: Any) -> None:  # noqa: ANN401 - as above
    """Ask for the right over the principal set and for that over the policy.

    "Edit principal access boundary policies", Required permissions; IAM audit logging, google.iam.v3.
    """
    call.needs(f"{_owned_by(binding.target.principal_set, under)}.{verb}PolicyBinding", _owner(under))
    over = "unbind" if verb == "delete" else "bind"
    call.needs(f"{_PERMISSIONS[_POLICY]}.{over}", _owner(world.normal(binding.policy)))


def _owned_by(target: str, under: str) -> str:
    """Return the beginning of the permissions over a principal set."""
    if "/workloadIdentityPools/" in target:
        return "iam.workloadIdentityPools"
    return f"resourcemanager.{under.partition('/')[0]}"


def _check_condition(call: Call, binding: Any) -> None:  # noqa: ANN401 - PolicyBinding
    """Refuse what IAM API v3 reference, PolicyBinding.condition, does not let a condition say."""
    expression = binding.condition.expression
    if len(expression) > LONGEST_CONDITION:
        call.fail("INVALID_ARGUMENT", f"The condition is longer than {LONGEST_CONDITION} characters.")
    if odd := sorted(set(_ATTRIBUTE.findall(expression)) - _ATTRIBUTES):
        call.fail("INVALID_ARGUMENT", f"A policy binding's condition cannot name {odd[0]}.")


def _all(world: World, kind: str) -> list[Any]:
    return [held for key in world.config.named(_KEYS[kind]) if (held := world.config.get(key)) is not None]


def _owner(name: str) -> str:
    return "/".join(name.split("/")[:2])


def _etag(call: Call, asked: str, held: str) -> None:
    if asked and asked != held:
        call.fail("ABORTED", "The etag does not match.")


def _state(world: World, project: str) -> object:
    """Return the project's bindings by id."""
    return {
        one.name.rpartition("/")[2]: {
            "policy": one.policy,
            "principal_set": one.target.principal_set,
            "title": one.condition.title,
            "expression": one.condition.expression,
        }
        for one in _all(world, _BINDING)
        if one.name.startswith(f"projects/{project}/")
    }


def _bound(verb: Callable[[World, Call, str], object], kind: str) -> Callable[[World, Call], object]:
    return lambda world, call: verb(world, call, kind)


def _of(start: str, name: str, several: str, kind: str) -> Mapping[str, Callable[[World, Call], Any]]:
    return {
        f"{start}Create{name}": _bound(_create, kind),
        f"{start}Get{name}": _bound(_get, kind),
        f"{start}List{several}": _bound(_list, kind),
        f"{start}Update{name}": _bound(_update, kind),
        f"{start}Delete{name}": _bound(_delete, kind),
    }


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    **_of(POLICIES_START, "PrincipalAccessBoundaryPolicy", "PrincipalAccessBoundaryPolicies", _POLICY),
    **_of(BINDINGS_START, "PolicyBinding", "PolicyBindings", _BINDING),
    f"{BINDINGS_START}SearchTargetPolicyBindings": _search_target,
    f"{POLICIES_START}SearchPrincipalAccessBoundaryPolicyBindings": _search_policy,
}
STATE = _state
