"""Cloud Storage JSON API: buckets with a retention policy that can be locked for good, and their objects.

Storage reference, Bucket.retentionPolicy: objects younger than the period can be neither overwritten nor
deleted (PERMISSION_DENIED); a locked policy can be neither removed nor shortened.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import authorise
from breakglass_gcp.sandbox.call import Raw, Refusal

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

BUCKETS = "storage.buckets"


@dataclass(slots=True)
class Stored:
    """One object."""

    data: bytes
    generation: int
    created_s: float


@dataclass(slots=True)
class Bucket:
    """One bucket of the world-wide name space."""

    name: str
    project: str
    metageneration: int = 1
    retention_s: int = 0
    retention_from_s: float = 0.0
    locked: bool = False
    objects: dict[str, Stored] = field(default_factory=dict)

    @property
    def resource(self) -> str:
        """Return the name that rights are held under."""
        return f"projects/{self.project}/buckets/{self.name}"


def put(world: World, bucket: str, name: str, data: bytes) -> Stored:
    """Store an object.

    Raises:
        Refusal: PERMISSION_DENIED: one of that name is retained.
    """
    held: Bucket = world.table(BUCKETS)[bucket]
    _check_retention(world, held, name)
    held.objects[name] = Stored(data, int(world.new_id(16)), world.now_s())
    return held.objects[name]


def _check_retention(world: World, bucket: Bucket, name: str) -> None:
    stored = bucket.objects.get(name)
    if stored is not None and bucket.retention_s and stored.created_s + bucket.retention_s > world.now_s():
        raise Refusal(
            "PERMISSION_DENIED",
            f"Object '{bucket.name}/{name}' is subject to bucket's retention policy and cannot be deleted,"
            f" overwritten or archived until {_time(stored.created_s + bucket.retention_s)}",
            reason="retentionPolicyNotMet",
        )


def _held(world: World, call: Call) -> Bucket:
    bucket: Bucket | None = world.table(BUCKETS).get(call.request.params["bucket"])
    if bucket is None:
        call.fail("NOT_FOUND", "The specified bucket does not exist.", reason="notFound")
    return bucket


def _insert_bucket(world: World, call: Call) -> object:
    project, name = world.project(call.request.query["project"]).id, str(call.request.body["name"])
    call.needs("storage.buckets.create", f"projects/{project}")
    if name in world.table(BUCKETS):
        call.fail("ALREADY_EXISTS", "The requested bucket name is not available.", reason="conflict")
    bucket = Bucket(name, project)
    _retain(world, call, bucket)
    world.table(BUCKETS)[name] = bucket
    return _told(world, bucket)


def _get_bucket(world: World, call: Call) -> object:
    bucket = _held(world, call)
    call.needs("storage.buckets.get", bucket.resource)
    return _told(world, bucket)


def _test_bucket(world: World, call: Call) -> object:
    """Storage reference, buckets.testIamPermissions: what its caller holds; it needs no right itself."""
    bucket = _held(world, call)
    asked = call.request.queries["permissions"]
    held = [one for one in asked if authorise.allowed(world, call.caller, one, bucket.resource)]
    return {"kind": "storage#testIamPermissionsResponse", **({"permissions": held} if held else {})}


def _patch_bucket(world: World, call: Call) -> object:
    bucket = _held(world, call)
    call.needs("storage.buckets.update", bucket.resource)
    _retain(world, call, bucket)
    bucket.metageneration += 1
    return _told(world, bucket)


def _retain(world: World, call: Call, bucket: Bucket) -> None:
    if "retentionPolicy" not in call.request.body:
        return
    period_s = int((call.request.body["retentionPolicy"] or {}).get("retentionPeriod") or 0)
    if bucket.locked and period_s < bucket.retention_s:
        call.fail("PERMISSION_DENIED", "Cannot remove or shorten a locked retention policy.")
    bucket.retention_s, bucket.retention_from_s = period_s, world.now_s()


def _lock(world: World, call: Call) -> object:
    bucket = _held(world, call)
    call.needs("storage.buckets.update", bucket.resource)
    if int(call.request.query.get("ifMetagenerationMatch", 0)) != bucket.metageneration:
        call.fail("FAILED_PRECONDITION", "Metageneration does not match.", reason="conditionNotMet", http=412)
    if not bucket.retention_s:
        call.fail("INVALID_ARGUMENT", "The bucket has no retention policy.")
    bucket.locked = True
    bucket.metageneration += 1
    return _told(world, bucket)


def _delete_bucket(world: World, call: Call) -> None:
    bucket = _held(world, call)
    call.needs("storage.buckets.delete", bucket.resource)
    if bucket.objects:
        call.fail("ALREADY_EXISTS", "The bucket you tried to delete is not empty.", reason="conflict")
    del world.table(BUCKETS)[bucket.name]


def _insert(world: World, call: Call) -> object:
    bucket, name = _held(world, call), call.request.query["name"]
    call.needs("storage.objects.create", bucket.resource)
    if not call.request.upload or call.request.query.get("uploadType") != "media":
        call.fail("UNIMPLEMENTED", "the sandbox takes simple uploads only")
    if name in bucket.objects:
        if call.request.query.get("ifGenerationMatch") == "0":
            said = "At least one of the pre-conditions you specified did not hold."
            call.fail("FAILED_PRECONDITION", said, reason="conditionNotMet", http=412)
        call.needs("storage.objects.delete", bucket.resource)
    return _object(bucket, name, put(world, bucket.name, name, call.request.raw))


def _get(world: World, call: Call) -> object:
    bucket, name = _held(world, call), call.request.params["object"]
    call.needs("storage.objects.get", bucket.resource)
    if name not in bucket.objects:
        call.fail("NOT_FOUND", f"No such object: {bucket.name}/{name}", reason="notFound")
    if call.request.query.get("alt") == "media":
        return Raw(bucket.objects[name].data)
    return _object(bucket, name, bucket.objects[name])


def _list(world: World, call: Call) -> object:
    bucket = _held(world, call)
    call.needs("storage.objects.list", bucket.resource)
    start = call.request.query.get("prefix", "")
    found = [_object(bucket, name, one) for name, one in sorted(bucket.objects.items())]
    return {"kind": "storage#objects", "items": [one for one in found if one["name"].startswith(start)]}


def _delete(world: World, call: Call) -> None:
    bucket, name = _held(world, call), call.request.params["object"]
    call.needs("storage.objects.delete", bucket.resource)
    if name not in bucket.objects:
        call.fail("NOT_FOUND", f"No such object: {bucket.name}/{name}", reason="notFound")
    _check_retention(world, bucket, name)
    del bucket.objects[name]


def _told(world: World, bucket: Bucket) -> dict[str, Any]:
    said: dict[str, Any] = {
        "kind": "storage#bucket",
        "name": bucket.name,
        "projectNumber": world.project(bucket.project).number,
        "metageneration": str(bucket.metageneration),
    }
    if bucket.retention_s:
        said["retentionPolicy"] = {
            "retentionPeriod": str(bucket.retention_s),
            "effectiveTime": _time(bucket.retention_from_s),
            **({"isLocked": True} if bucket.locked else {}),
        }
    return said


def _object(bucket: Bucket, name: str, stored: Stored) -> dict[str, Any]:
    said = {
        "kind": "storage#object",
        "name": name,
        "bucket": bucket.name,
        "generation": str(stored.generation),
        "size": str(len(stored.data)),
        "timeCreated": _time(stored.created_s),
        "md5Hash": base64.b64encode(hashlib.md5(stored.data, usedforsecurity=False).digest()).decode(),
    }
    if bucket.retention_s:
        said["retentionExpirationTime"] = _time(stored.created_s + bucket.retention_s)
    return said


def _time(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _read(world: World, asked: Mapping[str, Any]) -> object:
    """Tell what lies in a bucket: name -> text."""
    bucket: Bucket = world.table(BUCKETS)[str(asked["bucket"])]
    return {name: one.data.decode("utf-8", "replace") for name, one in bucket.objects.items()}


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    "storage.buckets.insert": _insert_bucket,
    "storage.buckets.get": _get_bucket,
    "storage.buckets.testIamPermissions": _test_bucket,
    "storage.buckets.patch": _patch_bucket,
    "storage.buckets.lockRetentionPolicy": _lock,
    "storage.buckets.delete": _delete_bucket,
    "storage.objects.insert": _insert,
    "storage.objects.get": _get,
    "storage.objects.list": _list,
    "storage.objects.delete": _delete,
}
CONTROLS: Mapping[str, Callable[[World, Mapping[str, Any]], object]] = {"storage.read": _read}
