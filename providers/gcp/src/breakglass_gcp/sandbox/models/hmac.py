"""Cloud Storage JSON API: HMAC keys of service accounts, which sign requests without any token."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import accounts
from breakglass_gcp.sandbox.call import Refusal

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

TABLE = "storage.hmac"
ACTIVE, INACTIVE, DELETED = "ACTIVE", "INACTIVE", "DELETED"
START = "storage.projects.hmacKeys."
PAGE = 250


def _create(world: World, call: Call) -> object:
    project = _project(world, call, "create")
    account = accounts.find(world, call.request.query["serviceAccountEmail"])
    now = _now(world)
    access_id = f"GOOG1E{secrets.token_hex(27).upper()}"
    world.table(TABLE)[access_id] = {
        "kind": "storage#hmacKeyMetadata",
        "id": f"{project}/{access_id}",
        "accessId": access_id,
        "projectId": project,
        "serviceAccountEmail": account.email,
        "state": ACTIVE,
        "timeCreated": now,
        "updated": now,
        "etag": world.new_id(12),
    }
    world.config.put(("hmac", access_id), ACTIVE, at_once=True)
    return {
        "kind": "storage#hmacKey",
        "metadata": world.table(TABLE)[access_id],
        "secret": secrets.token_hex(20),
    }


def _list(world: World, call: Call) -> object:
    project, query = _project(world, call, "list"), call.request.query
    email, deleted = query.get("serviceAccountEmail", ""), query.get("showDeletedKeys") == "true"
    found = [
        one
        for one in world.table(TABLE).values()
        if one["projectId"] == project
        and email in ("", one["serviceAccountEmail"])
        and (deleted or one["state"] != DELETED)
    ]
    start, size = int(query.get("pageToken") or 0), min(int(query.get("maxResults") or PAGE), PAGE)
    said: dict[str, Any] = {"kind": "storage#hmacKeysMetadata"}
    if page := found[start : start + size]:
        said["items"] = page
    if start + size < len(found):
        said["nextPageToken"] = str(start + size)
    return said


def _get(world: World, call: Call) -> object:
    return _key(world, call, "get")


def _update(world: World, call: Call) -> object:
    """Change the state; Cloud Storage JSON API reference: an ETag in the body must be the key's."""
    key, body = _key(world, call, "update"), call.request.body
    if body.get("etag") and body["etag"] != key["etag"]:
        call.fail(
            "FAILED_PRECONDITION", "The etag of the HMAC key has changed.", reason="conditionNotMet", http=412
        )
    if body.get("state") not in (ACTIVE, INACTIVE) or key["state"] == DELETED:
        call.fail("INVALID_ARGUMENT", "The state of an HMAC key is ACTIVE or INACTIVE.", reason="invalid")
    fresh = {**key, "state": body["state"], "updated": _now(world), "etag": world.new_id(12)}
    world.table(TABLE)[key["accessId"]] = fresh
    world.config.put(("hmac", key["accessId"]), fresh["state"])
    return fresh


def _delete(world: World, call: Call) -> None:
    """Delete; Cloud Storage documentation, "Manage HMAC keys": it must be inactive."""
    key = _key(world, call, "delete")
    if key["state"] != INACTIVE:
        call.fail("INVALID_ARGUMENT", "An HMAC key must be inactive to be deleted.", reason="invalid")
    world.table(TABLE)[key["accessId"]] = {**key, "state": DELETED}


def _project(world: World, call: Call, verb: str) -> str:
    project = world.project(call.request.params["projectId"]).id
    call.needs(f"storage.hmacKeys.{verb}", f"projects/{project}")
    return project


def _key(world: World, call: Call, verb: str) -> dict[str, Any]:
    project = _project(world, call, verb)
    key: dict[str, Any] | None = world.table(TABLE).get(call.request.params["accessId"])
    if key is None or key["projectId"] != project:
        call.fail("NOT_FOUND", "Access ID not found in project.", reason="notFound")
    return key


def _now(world: World) -> str:
    return datetime.fromtimestamp(world.now_s(), UTC).isoformat().replace("+00:00", "Z")


def _works(world: World, asked: Mapping[str, Any]) -> object:
    """Tell whether a request that is signed with a key would be taken now.

    Raises:
        Refusal: NOT_FOUND.
    """
    key = world.table(TABLE).get(str(asked["access_id"]))
    if key is None:
        raise Refusal("NOT_FOUND", "there is no such key")
    return {"works": world.config.seen(("hmac", key["accessId"]), ACTIVE) == ACTIVE}


def _state(world: World, project: str) -> object:
    return {
        key: {"state": one["state"], "account": one["serviceAccountEmail"]}
        for key, one in world.table(TABLE).items()
        if one["projectId"] == project
    }


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{START}create": _create,
    f"{START}list": _list,
    f"{START}get": _get,
    f"{START}update": _update,
    f"{START}delete": _delete,
}
CONTROLS = {"hmac.works": _works}
STATE = _state
