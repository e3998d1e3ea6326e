"""Organization Policy v2: a project's own policies, and what is effective of a constraint in it.

google/cloud/orgpolicy/v2/orgpolicy.proto. What folders and the organisation set is one list of rules a
project and constraint here (the control verb ``orgpolicy.set``); who may use which service is decided by
`service_usage`.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import service_usage

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

_START = "orgpolicy.projects.policies."
MOST_VALUES = 500
"""Organization Policy documentation, "Using constraints": so many values, else it cannot be saved."""


def _named(world: World, call: Call, permission: str) -> tuple[str, str]:
    """Return project and constraint of a call, if the caller has the permission there."""
    project, _, constraint = world.normal(call.request.params["name"]).partition("/policies/")
    call.needs(permission, project)
    return world.project(project).id, constraint


def _held(world: World, call: Call, permission: str) -> tuple[str, str, dict[str, Any]]:
    project, constraint = _named(world, call, permission)
    found = service_usage.own_policy(world, project, constraint)
    if found is None:
        call.fail("NOT_FOUND", f"The policy {constraint} is not set on projects/{project}.")
    return project, constraint, found


def _get(world: World, call: Call) -> object:
    return copy.deepcopy(_held(world, call, "orgpolicy.policy.get")[2])


def _effective(world: World, call: Call) -> object:
    """Return the merged policy; of a constraint that nobody set it is the default."""
    project, constraint = _named(world, call, "orgpolicy.policy.get")
    rules = service_usage.effective_rules(world, project, constraint, service_usage.newest)
    number = world.project(project).number
    return {"name": f"projects/{number}/policies/{constraint}", "spec": {"rules": copy.deepcopy(rules)}}


def _create(world: World, call: Call) -> object:
    parent = world.normal(call.request.params["parent"])
    call.needs("orgpolicy.policy.set", parent)
    project = world.project(parent)
    constraint = str(call.request.body.get("name", "")).rpartition("/policies/")[2]
    if service_usage.own_policy(world, project.id, constraint) is not None:
        call.fail("ALREADY_EXISTS", f"The policy {constraint} already exists on {parent}.")
    return _keep(world, call, project.id, constraint)


def _patch(world: World, call: Call) -> object:
    project, constraint, held = _held(world, call, "orgpolicy.policy.set")
    mask = [one for one in str(call.request.query.get("updateMask", "")).split(",") if one]
    if mask not in ([], ["*"]):
        call.fail("UNIMPLEMENTED", "the sandbox models writes of the whole policy alone")
    _same(call, call.request.body.get("etag"), held["etag"])
    _same(call, _part(call.request.body, "spec").get("etag"), _part(held, "spec").get("etag"))
    return _keep(world, call, project, constraint)


def _delete(world: World, call: Call) -> object:
    project, constraint, held = _held(world, call, "orgpolicy.policy.set")
    _same(call, call.request.query.get("etag"), held["etag"])
    world.config.put(service_usage.key(project, constraint), None)
    return {}


def _same(call: Call, asked: object, held: object) -> None:
    """Refuse an etag that is another one; without one a write is blind."""
    if asked and asked != held:
        call.fail("ABORTED", "The etag does not match the etag of the policy: it was changed meanwhile.")


def _keep(world: World, call: Call, project: str, constraint: str) -> object:
    """Set what was asked, under new etags."""
    number = world.project(project).number
    made: dict[str, Any] = {"name": f"projects/{number}/policies/{constraint}"}
    for part in ("spec", "dryRunSpec"):
        if part in call.request.body:
            made[part] = _valid(call, constraint, copy.deepcopy(dict(call.request.body[part])))
            made[part] |= {"etag": _etag(world), "updateTime": _now(world)}
    made["etag"] = _etag(world)
    world.config.put(service_usage.key(project, constraint), made)
    return copy.deepcopy(made)


def _valid(call: Call, constraint: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Refuse what a list policy cannot be (PolicySpec, PolicyRule), or what names no service."""
    rules = spec.get("rules", [])
    if spec.get("reset") and (rules or spec.get("inheritFromParent")):
        call.fail("INVALID_ARGUMENT", "With reset, rules must be empty and inherit_from_parent false.")
    values: list[str] = []
    for rule in rules:
        if len({"values", "allowAll", "denyAll", "enforce"} & set(rule)) != 1:
            call.fail("INVALID_ARGUMENT", "A rule has exactly one of values, allow_all, deny_all, enforce.")
        held = rule.get("values", {})
        values += [*held.get("allowedValues", []), *held.get("deniedValues", [])]
    if len(values) > MOST_VALUES:
        call.fail("INVALID_ARGUMENT", f"A policy has at most {MOST_VALUES} values.")
    if constraint == service_usage.CONSTRAINT:
        odd = [one for one in values if not service_usage.restrictable(one.removeprefix("is:"))]
        if odd:
            call.fail("INVALID_ARGUMENT", f"{odd[0]} is not a valid value of {constraint}.")
    return spec


def _etag(world: World) -> str:
    return f"CK{world.new_id(12)}="


def _now(world: World) -> str:
    return dt.datetime.fromtimestamp(world.now_s(), dt.UTC).isoformat().replace("+00:00", "Z")


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}


def _set(world: World, asked: Mapping[str, Any]) -> object:
    """Set the rules of a constraint above a project, as its organisation would."""
    project = world.project(str(asked["project"])).id
    world.table(service_usage.ABOVE)[f"{project} {asked['constraint']}"] = list(asked["rules"])
    return {}


def _state(world: World, project: str) -> object:
    """Tell a project's own policies, without what is new at each write."""
    told = {}
    for _, of, constraint in world.config.named("orgpolicy"):
        if of == project and (held := service_usage.own_policy(world, project, constraint)) is not None:
            plain = copy.deepcopy(held)
            plain.pop("etag")
            for part in ("spec", "dryRunSpec"):
                for name in ("etag", "updateTime"):
                    plain.get(part, {}).pop(name, None)
            told[constraint] = plain
    return told


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{_START}get": _get,
    f"{_START}create": _create,
    f"{_START}patch": _patch,
    f"{_START}delete": _delete,
    f"{_START}getEffectivePolicy": _effective,
}
CONTROLS = {"orgpolicy.set": _set}
STATE = _state
