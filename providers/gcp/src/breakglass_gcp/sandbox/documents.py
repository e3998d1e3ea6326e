"""Routes out of the discovery documents that Google's API client for Python carries."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.sources import DOCUMENTS

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.routes import Route
    from breakglass_gcp.sandbox.tables import Method


_IAM = "/google.iam.admin.v1.IAM/"
_KEYS = "ServiceAccountKey"
SAME: Mapping[str, tuple[str, str]] = {
    **{
        f"iam.projects.serviceAccounts.{verb}": (f"{_IAM}{verb.capitalize()}ServiceAccount", "*")
        for verb in ("create", "get", "patch", "delete", "undelete", "disable", "enable")
    },
    "iam.projects.serviceAccounts.list": (f"{_IAM}ListServiceAccounts", ""),
    **{
        f"iam.projects.serviceAccounts.{name[0].lower()}{name[1:]}": (f"{_IAM}{name}", "*")
        for name in ("GetIamPolicy", "SetIamPolicy", "TestIamPermissions")
    },
    **{
        f"iam.projects.serviceAccounts.keys.{verb}": (f"{_IAM}{verb.capitalize()}{_KEYS}", "*")
        for verb in ("create", "get", "delete", "disable", "enable", "upload")
    },
    "iam.projects.serviceAccounts.keys.list": (f"{_IAM}List{_KEYS}s", ""),
    **{
        f"iam.projects.roles.{verb}": (f"{_IAM}{verb.capitalize()}Role", "*")
        for verb in ("create", "get", "delete", "undelete")
    },
    "iam.projects.roles.list": (f"{_IAM}ListRoles", ""),
    "iam.projects.roles.patch": (f"{_IAM}UpdateRole", "role"),
}
"""Methods of documents that a gRPC method is the same as, whose client has no REST: id -> path, body."""
_RENAMED = {"iam.projects.serviceAccounts.patch": ("{+name}", "{+service_account.name}")}
Find = Callable[[str], "Method | None"]


def routes(name: str, find: Find) -> list[Route]:
    """Return the routes of every version of a document that is listed; [] when it is not there.

    `find` looks a gRPC method up.
    """
    found: list[Route] = []
    for version in DOCUMENTS.get(name, ()):
        path = _folder() / f"{name}.{version}.json"
        if path.is_file():
            found += _of(json.loads(path.read_text(encoding="utf-8")), find)
    return found


def _folder() -> Path:
    spec = importlib.util.find_spec("googleapiclient")
    if spec is None or not spec.submodule_search_locations:
        return Path("/nonexistent")
    return Path(spec.submodule_search_locations[0]) / "discovery_cache" / "documents"


def _of(document: Mapping[str, Any], find: Find) -> Iterator[Route]:
    from breakglass_gcp.sandbox.routes import template
    from breakglass_gcp.sandbox.tables import Method

    start = "/" + document.get("servicePath", "").lstrip("/")
    for said in _methods(document):
        method = Method(said["id"], None, None)
        patterns = {
            name: one["pattern"] for name, one in said.get("parameters", {}).items() if "pattern" in one
        }
        body = "*" if "request" in said else ""
        path, field = SAME.get(said["id"], ("", ""))
        if path and (same := find(path)) is not None:
            uri = said["path"].replace(*_RENAMED.get(said["id"], ("", "")))
            renamed = {**patterns, "service_account.name": patterns.get("name", "")}
            yield template(same, said["httpMethod"], start + uri, field if body else "", renamed)
            continue
        yield template(method, said["httpMethod"], start + said["path"], body, patterns)
        for protocol in said.get("mediaUpload", {}).get("protocols", {}).values():
            for verb in dict.fromkeys((said["httpMethod"], "PUT")):  # a resumable upload goes on with PUT
                yield template(method, verb, protocol["path"], "*", patterns, upload=True)


def _methods(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from node.get("methods", {}).values()
    for child in node.get("resources", {}).values():
        yield from _methods(child)
