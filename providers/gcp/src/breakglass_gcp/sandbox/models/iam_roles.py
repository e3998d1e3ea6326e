"""google.iam.admin.v1: custom roles of projects and of the organization."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import roles
from breakglass_gcp.sandbox.models.iam_accounts import START

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

TABLE = "iam.roles"


def _create(world: World, call: Call) -> object:
    from google.cloud.iam_admin_v1.types import Role

    parent = world.normal(call.request.parent)
    call.needs("iam.roles.create", parent)
    name = f"{parent}/roles/{call.request.role_id}"
    if name in world.table(TABLE):
        call.fail("ALREADY_EXISTS", f"A role named {call.request.role_id} in {parent} already exists.")
    role = Role(call.request.role, name=name, deleted=False)
    return _keep(world, role)


def _get(world: World, call: Call) -> object:
    from google.cloud.iam_admin_v1.types import Role

    name = call.request.name
    if name in roles.PREDEFINED:
        return Role(name=name, title=name.rpartition(".")[2], included_permissions=roles.PREDEFINED[name])
    return _role(world, call, "iam.roles.get")


def _list(world: World, call: Call) -> object:
    from google.cloud.iam_admin_v1.types import ListRolesResponse, Role

    parent = world.normal(call.request.parent)
    if not parent:
        return ListRolesResponse(roles=[Role(name=name) for name in roles.PREDEFINED])
    call.needs("iam.roles.list", parent)
    found = [
        role
        for name, role in world.table(TABLE).items()
        if name.startswith(f"{parent}/roles/") and (call.request.show_deleted or not role.deleted)
    ]
    return ListRolesResponse(roles=found)


def _update(world: World, call: Call) -> object:
    role = _role(world, call, "iam.roles.update")
    _etag(call, call.request.role.etag, role.etag)
    for path in call.request.update_mask.paths or ("title", "description", "included_permissions", "stage"):
        setattr(role, path, getattr(call.request.role, path))
    return _keep(world, role)


def _delete(world: World, call: Call) -> object:
    role = _role(world, call, "iam.roles.delete")
    _etag(call, call.request.etag, role.etag)
    role.deleted = True
    return _keep(world, role)


def _undelete(world: World, call: Call) -> object:
    role = _role(world, call, "iam.roles.undelete")
    _etag(call, call.request.etag, role.etag)
    role.deleted = False
    return _keep(world, role)


def _role(world: World, call: Call, permission: str) -> Any:  # noqa: ANN401 - Role
    from google.cloud.iam_admin_v1.types import Role

    name = world.normal(call.request.name)
    call.needs(permission, name.partition("/roles/")[0])
    role = world.table(TABLE).get(name)
    if role is None:
        call.fail("NOT_FOUND", f"The role named {name} was not found.")
    return Role(role)


def _keep(world: World, role: Any) -> Any:  # noqa: ANN401 - Role
    role.etag = int(world.new_id()).to_bytes(8, "big")
    world.table(TABLE)[role.name] = role
    held = () if role.deleted else frozenset(role.included_permissions)
    world.config.put(("role", role.name), held)
    return role


def _etag(call: Call, asked: bytes, held: bytes) -> None:
    if asked and asked != held:
        call.fail("ABORTED", "There were concurrent changes to the role.")


def _state(world: World, project: str) -> object:
    return {
        name: sorted(role.included_permissions)
        for name, role in world.table(TABLE).items()
        if name.startswith(f"projects/{project}/") and not role.deleted
    }


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{START}CreateRole": _create,
    f"{START}GetRole": _get,
    f"{START}ListRoles": _list,
    f"{START}UpdateRole": _update,
    f"{START}DeleteRole": _delete,
    f"{START}UndeleteRole": _undelete,
}
STATE = _state
