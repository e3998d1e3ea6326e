"""API Keys v2: keys that are made, deleted, and undeleted with the same string within 30 days."""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

START = "/google.api.apikeys.v2.ApiKeys/"
KEYS = "apikeys.keys"
KEPT_DAYS = 30


def _create(world: World, call: Call) -> object:
    from google.cloud.api_keys_v2.types import Key

    parent = world.normal(call.request.parent)
    call.needs("apikeys.keys.create", parent)
    uid = str(uuid.uuid4())
    name = f"{parent}/keys/{call.request.key_id or uid}"
    if name in world.table(KEYS):
        call.fail("ALREADY_EXISTS", f"Key {name} already exists.")
    key = Key(call.request.key)
    key.name, key.uid = _numbered(world, name), uid
    key.key_string = f"AIzaSandbox{secrets.token_urlsafe(21)}"
    key.create_time = key.update_time = _moment(call)
    return _operate(world, name, key, "create")


def _get(world: World, call: Call) -> object:
    """Answer without the string.

    Whether a deleted key is answered is not said in the API Keys API reference: here it is not found, which
    is the harder case for who wants to see that it is deleted.
    """
    name, key = _held(world, call, "get")
    if key.delete_time:
        call.fail("NOT_FOUND", f"Key {name} was not found.")
    return _told(key)


def _string(world: World, call: Call) -> object:
    from google.cloud.api_keys_v2.types import GetKeyStringResponse

    return GetKeyStringResponse(key_string=_held(world, call, "getKeyString")[1].key_string)


def _list(world: World, call: Call) -> object:
    from google.cloud.api_keys_v2.types import ListKeysResponse

    parent = world.normal(call.request.parent)
    call.needs("apikeys.keys.list", parent)
    found = [
        _told(key)
        for name, key in world.table(KEYS).items()
        if name.startswith(f"{parent}/keys/") and (call.request.show_deleted or not key.delete_time)
    ]
    return ListKeysResponse(keys=found)


def _update(world: World, call: Call) -> object:
    from google.cloud.api_keys_v2.types import Key

    name = world.normal(call.request.key.name)
    call.needs("apikeys.keys.update", name)
    if name not in world.table(KEYS):
        call.fail("NOT_FOUND", f"Key {name} was not found.")
    key = Key(world.table(KEYS)[name])
    for path in call.request.update_mask.paths or ("display_name", "restrictions", "annotations"):
        if path.partition(".")[0] not in ("display_name", "restrictions", "annotations"):
            call.fail("INVALID_ARGUMENT", f"{path} cannot be updated.")
        setattr(key, path, getattr(call.request.key, path))
    key.update_time = _moment(call)
    return _operate(world, name, key, "update")


def _delete(world: World, call: Call) -> object:
    from google.cloud.api_keys_v2.types import Key

    name, held = _held(world, call, "delete")
    if held.delete_time:
        call.fail("NOT_FOUND", f"Key {name} was not found.")
    if call.request.etag and call.request.etag != held.etag:
        call.fail("ABORTED", "The etag does not match.")
    key = Key(held)
    key.delete_time = _moment(call)
    return _operate(world, name, key, "delete")


def _undelete(world: World, call: Call) -> object:
    """Bring a key back (API Keys API reference, keys.undelete: deleted within 30 days)."""
    from google.cloud.api_keys_v2.types import Key

    name, held = _held(world, call, "undelete")
    if not held.delete_time:
        call.fail("FAILED_PRECONDITION", f"Key {name} is not deleted.")
    if _moment(call) - held.delete_time > dt.timedelta(days=KEPT_DAYS):
        call.fail("NOT_FOUND", f"Key {name} was not found.")
    key = Key(held)
    key.delete_time = None
    return _operate(world, name, key, "undelete")


def _held(world: World, call: Call, verb: str) -> tuple[str, Any]:
    name = world.normal(call.request.name)
    call.needs(f"apikeys.keys.{verb}", name)
    if name not in world.table(KEYS):
        call.fail("NOT_FOUND", f"Key {name} was not found.")
    return name, world.table(KEYS)[name]


def _operate(world: World, name: str, key: Any, verb: str) -> object:  # noqa: ANN401 - Key
    def finish() -> None:
        key.etag = f"etag-{world.new_id()}"
        world.table(KEYS)[name] = key

    # google/api/apikeys/v2/apikeys.proto: the operations of this service have no metadata.
    return world.operation(verb, name, lambda: _told(key), finish=finish)


def _told(key: Any) -> Any:  # noqa: ANN401 - Key
    """Return a key as every method but getKeyString gives it."""
    told = type(key)(key)
    told.key_string = ""
    return told


def _numbered(world: World, name: str) -> str:
    record = world.find_project(name)
    return "/".join(["projects", record.number if record else "", *name.split("/")[2:]])


def _moment(call: Call) -> dt.datetime:
    return dt.datetime.fromtimestamp(call.now_s, dt.UTC)


def _state(world: World, project: str) -> object:
    """Return every key with its string: it must be the same one after a restore."""
    from google.protobuf import json_format

    told = {}
    for name, key in world.table(KEYS).items():
        if name.startswith(f"projects/{project}/"):
            said = json_format.MessageToDict(type(key).pb(key))
            told[name] = {one: said.get(one) for one in ("uid", "keyString", "displayName", "restrictions")}
            told[name]["deleted"] = "deleteTime" in said
    return told


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{START}CreateKey": _create,
    f"{START}GetKey": _get,
    f"{START}GetKeyString": _string,
    f"{START}ListKeys": _list,
    f"{START}UpdateKey": _update,
    f"{START}DeleteKey": _delete,
    f"{START}UndeleteKey": _undelete,
}
STATE = _state
