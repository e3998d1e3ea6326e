"""iam v1 over REST: workload identity pools and providers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import operations
from breakglass_gcp.sandbox.call import Refusal
from breakglass_gcp.sandbox.federation import POOLS, PROVIDERS, numbered

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

START = "iam.projects.locations.workloadIdentityPools"
_RIGHTS = {POOLS: "iam.workloadIdentityPools", PROVIDERS: "iam.workloadIdentityPoolProviders"}
_KEYS = {POOLS: "pool", PROVIDERS: "provider"}
_LISTS = {POOLS: "workloadIdentityPools", PROVIDERS: "workloadIdentityPoolProviders"}
_IDS = {POOLS: "workloadIdentityPoolId", PROVIDERS: "workloadIdentityPoolProviderId"}
_FOLDERS = {POOLS: "workloadIdentityPools", PROVIDERS: "providers"}
_CHANGED = {"displayName", "description", "disabled", "attributeMapping", "attributeCondition", "oidc", "aws"}


def _create(world: World, call: Call, kind: str) -> object:
    parent = numbered(world, call.request.params["parent"])
    call.needs(f"{_RIGHTS[kind]}.create", parent)
    if kind == PROVIDERS and parent not in world.table(POOLS):
        call.fail("NOT_FOUND", f"{parent} was not found.")
    name = f"{parent}/{_FOLDERS[kind]}/{call.request.query[_IDS[kind]]}"
    if name in world.table(kind):
        call.fail("ALREADY_EXISTS", f"Requested entity already exists: {name}")
    said = {key: value for key, value in call.request.body.items() if key not in ("name", "state")}
    return _keep(world, kind, {**said, "name": name, "state": "ACTIVE"})


def _get(world: World, call: Call, kind: str) -> object:
    return _one(world, call, kind, "get")


def _list(world: World, call: Call, kind: str) -> object:
    parent = numbered(world, call.request.params["parent"])
    call.needs(f"{_RIGHTS[kind]}.list", parent)
    deleted = call.request.query.get("showDeleted") == "true"
    found = [
        one
        for name, one in world.table(kind).items()
        if name.startswith(f"{parent}/{_FOLDERS[kind]}/") and (deleted or one["state"] == "ACTIVE")
    ]
    return {_LISTS[kind]: found} if found else {}


def _patch(world: World, call: Call, kind: str) -> object:
    held = _one(world, call, kind, "update")
    mask = call.request.query.get("updateMask", "")
    paths = [one for one in mask.split(",") if one] or list(call.request.body)
    unknown = {path.partition(".")[0] for path in paths} - _CHANGED
    if unknown or held["state"] != "ACTIVE":
        call.fail("INVALID_ARGUMENT", f"Cannot be updated: {', '.join(sorted(unknown)) or held['name']}")
    fresh = dict(held)
    for path in paths:
        value = call.request.body.get(path)
        if value in (None, False, ""):
            fresh.pop(path, None)
        else:
            fresh[path] = value
    return _keep(world, kind, fresh)


def _delete(world: World, call: Call, kind: str) -> object:
    return _keep(world, kind, {**_one(world, call, kind, "delete"), "state": "DELETED"})


def _undelete(world: World, call: Call, kind: str) -> object:
    return _keep(world, kind, {**_one(world, call, kind, "undelete"), "state": "ACTIVE"})


def _one(world: World, call: Call, kind: str, verb: str) -> dict[str, Any]:
    name = numbered(world, call.request.params["name"])
    call.needs(f"{_RIGHTS[kind]}.{verb}", name)
    held: dict[str, Any] | None = world.table(kind).get(name)
    if held is None:
        call.fail("NOT_FOUND", f"Requested entity was not found: {name}")
    return held


def _keep(world: World, kind: str, fresh: dict[str, Any]) -> object:
    """Write one down when its operation ends; the evaluator sees later whether it may be used."""

    def finish() -> None:
        first = fresh["name"] not in world.table(kind)
        world.table(kind)[fresh["name"]] = fresh
        usable = fresh["state"] == "ACTIVE" and not fresh.get("disabled")
        state = "enabled" if usable else "disabled"
        world.config.put((_KEYS[kind], fresh["name"]), state, at_once=first)

    return world.operation("wif", fresh["name"], fresh, {}, finish=finish)


def _operation(world: World, call: Call) -> object:
    pending = world.operations.get(numbered(world, call.request.params["name"]))
    if pending is None:
        raise Refusal("NOT_FOUND", "Operation was not found.")
    pending.settle(world)
    return operations.as_json(pending)


def _state(world: World, project: str) -> object:
    start = numbered(world, f"projects/{project}") + "/"
    return {
        name.removeprefix(start): one
        for kind in (POOLS, PROVIDERS)
        for name, one in world.table(kind).items()
        if name.startswith(start)
    }


def _bound(verb: Callable[[World, Call, str], object], kind: str) -> Callable[[World, Call], object]:
    return lambda world, call: verb(world, call, kind)


_VERBS: Mapping[str, Callable[[World, Call, str], object]] = {
    "create": _create,
    "get": _get,
    "list": _list,
    "patch": _patch,
    "delete": _delete,
    "undelete": _undelete,
}
HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    **{f"{START}.{name}": _bound(verb, POOLS) for name, verb in _VERBS.items()},
    **{f"{START}.providers.{name}": _bound(verb, PROVIDERS) for name, verb in _VERBS.items()},
    f"{START}.operations.get": _operation,
    f"{START}.providers.operations.get": _operation,
}
STATE = _state
