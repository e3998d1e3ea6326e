"""google.logging.v2.ConfigServiceV2: log buckets, sinks, and the copy of entries to Cloud Storage."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import authorise
from breakglass_gcp.sandbox.call import Caller, Refusal
from breakglass_gcp.sandbox.models import storage
from breakglass_gcp.sandbox.models.logging import ACTIVITY, rows
from breakglass_gcp.sandbox.models.logging_filter import FilterError, compiled

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

_START = "/google.logging.v2.ConfigServiceV2/"
BUCKETS, SINKS = "logging.buckets", "logging.sinks"
REQUIRED, DEFAULT = "_Required", "_Default"
COPY_S = 0.2
WAITS_S = 3600.0
"""A copy that lacks its right to write waits so long (CopyLogEntriesMetadata.writerIdentity)."""


def _standing(world: World, project: str) -> None:
    """Make what every project has (Cloud Logging documentation, "Log buckets")."""
    from google.cloud.logging_v2.types import LogBucket, LogSink

    for name, days in ((REQUIRED, 400), (DEFAULT, 30)):
        full = f"projects/{project}/locations/global/buckets/{name}"
        locked = name == REQUIRED
        bucket = LogBucket(name=full, retention_days=days, locked=locked, lifecycle_state="ACTIVE")
        world.table(BUCKETS).setdefault(full, bucket)
        sink = LogSink(name=name, destination=f"logging.googleapis.com/{full}")
        world.table(SINKS).setdefault(f"projects/{project}/sinks/{name}", sink)


def _bucket(world: World, call: Call, permission: str) -> Any:  # noqa: ANN401 - LogBucket
    name = world.normal(call.request.name)
    project = world.project(name).id
    call.needs(permission, name)
    _standing(world, project)
    if name not in world.table(BUCKETS):
        call.fail("NOT_FOUND", f"Bucket {name} does not exist.")
    return world.table(BUCKETS)[name]


def _get_bucket(world: World, call: Call) -> object:
    return _bucket(world, call, "logging.buckets.get")


def _list_buckets(world: World, call: Call) -> object:
    from google.cloud.logging_v2.types import ListBucketsResponse

    project = world.project(call.request.parent).id
    call.needs("logging.buckets.list", f"projects/{project}")
    _standing(world, project)
    place = call.request.parent.rpartition("/")[2]
    start = f"projects/{project}/locations/{'' if place == '-' else place + '/'}"
    found = [one for name, one in world.table(BUCKETS).items() if name.startswith(start)]
    return ListBucketsResponse(buckets=found)


def _update_bucket(world: World, call: Call) -> object:
    bucket = _bucket(world, call, "logging.buckets.update")
    if bucket.locked:
        call.fail("FAILED_PRECONDITION", "The retention period on a locked bucket cannot be changed.")
    for path in call.request.update_mask.paths:
        setattr(bucket, path, getattr(call.request.bucket, path))
    return bucket


def _delete_bucket(world: World, call: Call) -> None:
    from google.cloud.logging_v2.types import LifecycleState

    bucket = _bucket(world, call, "logging.buckets.delete")
    if bucket.locked or bucket.name.endswith((f"/{REQUIRED}", f"/{DEFAULT}")):
        call.fail("FAILED_PRECONDITION", "This bucket cannot be deleted.")
    bucket.lifecycle_state = LifecycleState.DELETE_REQUESTED


def _list_sinks(world: World, call: Call) -> object:
    from google.cloud.logging_v2.types import ListSinksResponse

    project = world.project(call.request.parent).id
    call.needs("logging.sinks.list", f"projects/{project}")
    _standing(world, project)
    start = f"projects/{project}/sinks/"
    return ListSinksResponse(
        sinks=[one for name, one in world.table(SINKS).items() if name.startswith(start)]
    )


def _update_sink(world: World, call: Call) -> object:
    from google.cloud.logging_v2.types import LogSink

    name = world.normal(call.request.sink_name)
    project = world.project(name).id
    call.needs("logging.sinks.update", name)
    _standing(world, project)
    if name.endswith(f"/{REQUIRED}"):
        call.fail("FAILED_PRECONDITION", "The sink _Required cannot be changed.")
    held = world.table(SINKS)[name]
    world.table(SINKS)[name] = LogSink(
        call.request.sink, name=held.name, destination=call.request.sink.destination or held.destination
    )
    return world.table(SINKS)[name]


def _copy(world: World, call: Call) -> object:
    """Copy entries as files of one JSON object a line; without the right to write it waits, then ends."""
    from google.cloud.logging_v2.types import CopyLogEntriesMetadata, CopyLogEntriesResponse

    source = world.normal(call.request.name)
    project = world.project(source).id
    call.needs("logging.buckets.copyLogEntries", source)
    _standing(world, project)
    if source not in world.table(BUCKETS):
        call.fail("NOT_FOUND", f"Bucket {source} does not exist.")
    kind, _, bucket = call.request.destination.partition("/")
    if kind != "storage.googleapis.com" or not bucket:
        call.fail("INVALID_ARGUMENT", "The destination must be storage.googleapis.com/BUCKET.")
    try:
        test = compiled(call.request.filter)
    except FilterError as error:
        call.fail("INVALID_ARGUMENT", f"Unparseable filter: {error}")
    copied = CopyLogEntriesResponse()

    def finish() -> None:
        audited = source.endswith(f"/{REQUIRED}")
        kept = [
            row.said
            for row in rows(world, project)
            if (ACTIVITY in str(row.said["logName"])) is audited and test(row.said)
        ]
        if bucket not in world.table(storage.BUCKETS):
            raise Refusal("NOT_FOUND", f"The destination bucket {bucket} does not exist.")
        lines = "".join(json.dumps(one, sort_keys=True) + "\n" for one in kept).encode()
        if kept:
            storage.put(world, bucket, f"{source.rpartition('/')[2]}/{world.new_id(9)}.json", lines)
        copied.log_entries_copied_count = len(kept)

    writer = f"cloud-logs@{project}.gserviceaccount.com"
    waits = not _may_write(world, project, bucket, writer)
    metadata = CopyLogEntriesMetadata(
        state="OPERATION_STATE_WAITING_FOR_PERMISSIONS" if waits else "OPERATION_STATE_RUNNING",
        writer_identity=f"serviceAccount:{writer}",
    )

    def refuse() -> None:
        raise Refusal("PERMISSION_DENIED", f"{writer} may not write to the bucket {bucket}.")

    place = source.partition("/buckets/")[0]
    takes_s, ends = (WAITS_S, refuse) if waits else (COPY_S, finish)
    return world.operation("copy", place, lambda: copied, metadata, takes_s=takes_s, finish=ends)


def _may_write(world: World, project: str, bucket: str, writer: str) -> bool:
    """Tell whether a copy may be written: in a project's own bucket, or where the writer was granted it."""
    held = world.table(storage.BUCKETS).get(bucket)
    if held is None or held.project == project:
        return True
    caller = Caller(writer, "serviceAccount", "")
    return authorise.allowed(world, caller, "storage.objects.create", held.resource)


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{_START}GetBucket": _get_bucket,
    f"{_START}ListBuckets": _list_buckets,
    f"{_START}UpdateBucket": _update_bucket,
    f"{_START}DeleteBucket": _delete_bucket,
    f"{_START}ListSinks": _list_sinks,
    f"{_START}UpdateSink": _update_sink,
    f"{_START}CopyLogEntries": _copy,
}
