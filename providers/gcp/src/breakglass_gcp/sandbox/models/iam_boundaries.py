"""google.iam.v3: principal access boundary policies and what binds them to principal sets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

POLICIES_START = "/google.iam.v3.PrincipalAccessBoundaryPolicies/"
BINDINGS_START = "/google.iam.v3.PolicyBindings/"
KIND = "PRINCIPAL_ACCESS_BOUNDARY"
_POLICY, _BINDING = "principal_access_boundary_policy", "policy_binding"
_PERMISSIONS = {_POLICY: "iam.principalaccessboundarypolicies", _BINDING: "iam.policybindings"}
_FOLDERS = {_POLICY: "principalAccessBoundaryPolicies", _BINDING: "policyBindings"}
_KEYS = {_POLICY: "pab", _BINDING: "binding"}


def _create(world: World, call: Call, kind: str) -> object:
    request = call.request
    parent = world.normal(request.parent)
    call.needs(f"{_PERMISSIONS[kind]}.create", _owner(parent))
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
    for path in call.request.update_mask.paths or ("display_name", "annotations", "details", "condition"):
        field = path.partition(".")[0]
        if field in type(held).meta.fields:
            setattr(made, field, getattr(said, field))
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
    call.needs("iam.policybindings.list", _owner(parent))
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
    call.needs(f"{_PERMISSIONS[kind]}.{verb}", _owner(name))
    held = world.config.get((_KEYS[kind], name))
    if held is None:
        call.fail("NOT_FOUND", f"{name} was not found.")
    return held


def _all(world: World, kind: str) -> list[Any]:
    return [held for key in world.config.named(_KEYS[kind]) if (held := world.config.get(key)) is not None]


def _owner(name: str) -> str:
    return "/".join(name.split("/")[:2])


def _etag(call: Call, asked: str, held: str) -> None:
    if asked and asked != held:
        call.fail("ABORTED", "The etag does not match.")


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
