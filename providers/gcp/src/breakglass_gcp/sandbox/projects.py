"""The projects of the world, and which one a name is in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ORGANIZATION = "organizations/100000000001"
"""Parent of every project."""
ADMIN = "admin@sandbox.example"
_PROJECT = re.compile(r"(?:^|/)projects/([^/:]+)")
_ACCOUNT = re.compile(r"[\w.-]+@([\w-]+)\.iam\.gserviceaccount\.com$")
_LOCATION = re.compile(r"(?:locations|regions|zones)/([^/:]+)")
_FIELDS = (
    "name",
    "parent",
    "resource",
    "project",
    "project_id",
    "projectId",
    "topic",
    "subscription",
    "queue",
    "job",
)
_LATER = ("resource_name", "workflow", "service", "cluster_id", "log_name", "sink_name")


@dataclass(slots=True)
class ProjectRecord:
    """One project."""

    id: str
    number: str
    disabled_services: set[str] = field(default_factory=set)
    services: set[str] | None = None
    """What is enabled, as ``cloudscheduler.googleapis.com``; None: all but what is disabled."""
    parent: str = ORGANIZATION
    labels: dict[str, str] = field(default_factory=dict)

    def enabled(self, service: str) -> bool:
        """Tell whether a service may be called in it."""
        return service not in self.disabled_services and (self.services is None or service in self.services)


def project_in(name: str) -> str:
    """Return the id or number of the project that a name is in; "" when it says none.

    IAM REST reference, serviceAccounts.get: ``projects/-/serviceAccounts/EMAIL`` infers it from the account.
    """
    found = _PROJECT.search(name.replace("%2F", "/").replace("%2f", "/"))
    if found and found[1] != "-":
        return found[1]
    account = _ACCOUNT.search(name)
    return account[1] if account else ""


def above_projects(name: str) -> bool:
    """Tell whether a name is of a folder, of an organisation, or of what is attached to one."""
    plain = name.replace("%2F", "/").replace("%2f", "/")
    start = plain.removeprefix("policies/").removeprefix("cloudresourcemanager.googleapis.com/")
    return start.startswith(("folders/", "organizations/"))


def location_in(name: str) -> str:
    """Return the location, region or zone that a name is in; "" when it says none."""
    found = _LOCATION.search(name)
    return found[1] if found else ""


def resource_of(request: Any, params: Mapping[str, str] | None = None) -> str:  # noqa: ANN401 - a message
    """Return the name of what a request is about: the first of its fields that names something."""
    for name in (*_FIELDS, *_LATER):
        value = getattr(request, name, "") if params is None else params.get(name, "")
        if isinstance(value, str) and value:
            if name in ("project", "project_id", "projectId"):
                return _compute_name(value, request, params)
            return value
        inner = getattr(value, "name", "")
        if isinstance(inner, str) and inner:
            return inner
    for name, value in (params or {}).items():
        if value:
            return value if "/" in value else f"{name}/{value}"
    return _nested(request)


def _compute_name(project: str, request: object, params: Mapping[str, str] | None) -> str:
    parts = [project if project.startswith("projects/") else f"projects/{project}"]
    for kind in ("zone", "region"):
        value = (params or {}).get(kind) or getattr(request, kind, "")
        if isinstance(value, str) and value:
            parts.append(f"{kind}s/{value}")
    return "/".join(parts)


def _nested(request: object) -> str:
    """Return the name within the one message that an update carries."""
    meta = getattr(type(request), "meta", None)
    for name in getattr(meta, "fields", ()):
        value = getattr(getattr(request, name), "name", "")
        if isinstance(value, str) and "/" in value:
            return value
    for name in getattr(request, "resource_names", ()) or ():
        return str(name)
    return ""
