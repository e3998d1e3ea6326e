"""Cloud Resource Manager: projects, what is above them, and their allow policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import authorise, policies
from breakglass_gcp.sandbox.projects import ORGANIZATION

_KINDS = {"folders": "folder", "organizations": "organization"}
PARENTS = "resourcemanager.parents"

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

_START = "/google.cloud.resourcemanager.v3."


def _get_project(world: World, call: Call) -> object:
    from google.cloud.resourcemanager_v3.types import Project

    record = world.find_project(call.request.name)
    call.needs("resourcemanager.projects.get", f"projects/{record.id}" if record else call.request.name)
    record = world.project(call.request.name)
    return Project(
        name=f"projects/{record.number}",
        parent=record.parent,
        project_id=record.id,
        state=Project.State.ACTIVE,
        display_name=record.id,
        labels=record.labels,
    )


def _get_organization(_: World, call: Call) -> object:
    from google.cloud.resourcemanager_v3.types import Organization

    call.needs("resourcemanager.organizations.get", call.request.name)
    if call.request.name != ORGANIZATION:
        call.fail("NOT_FOUND", f"Organization '{call.request.name}' was not found.")
    return Organization(name=ORGANIZATION, display_name="sandbox.example")


def _get_ancestry(world: World, call: Call) -> object:
    """Answer (Resource Manager v1 reference, projects.getAncestry): from the project to the organisation."""
    asked = f"projects/{call.request.params['projectId']}"
    record = world.find_project(asked)
    call.needs("resourcemanager.projects.get", f"projects/{record.id}" if record else asked)
    record = world.project(asked)
    found = [{"resourceId": {"type": "project", "id": record.id}}]
    for name in authorise.above(world, f"projects/{record.id}"):
        kind, _, which = name.partition("/")
        if kind in _KINDS:
            found.append({"resourceId": {"type": _KINDS[kind], "id": which}})
    return {"ancestor": found}


def _place(world: World, body: Mapping[str, Any]) -> object:
    """Put a folder below the organisation, and a project below it where one is named."""
    folder = str(body["folder"])
    world.table(PARENTS)[folder] = ORGANIZATION
    if body.get("project"):
        world.project(f"projects/{body['project']}").parent = folder
    return {"folder": folder}


def _is_folder(world: World, name: str) -> bool:
    return name in world.table(PARENTS)


def _is_project(world: World, name: str) -> bool:
    return world.find_project(name) is not None


def _is_organization(_: World, name: str) -> bool:
    return name == ORGANIZATION


def _state(world: World, project: str) -> object:
    from google.protobuf import json_format

    told = json_format.MessageToDict(world.policy(f"projects/{project}"))
    told.pop("etag", None)
    return told


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{_START}Projects/GetProject": _get_project,
    f"{_START}Organizations/GetOrganization": _get_organization,
    **policies.handlers(f"{_START}Projects/", "resourcemanager.projects", _is_project),
    "cloudresourcemanager.projects.getAncestry": _get_ancestry,
    **policies.handlers(f"{_START}Folders/", "resourcemanager.folders", _is_folder),
    **policies.handlers(f"{_START}Organizations/", "resourcemanager.organizations", _is_organization),
}
CONTROLS: Mapping[str, Callable[[World, Mapping[str, Any]], object]] = {"resourcemanager.place": _place}
STATE = _state
