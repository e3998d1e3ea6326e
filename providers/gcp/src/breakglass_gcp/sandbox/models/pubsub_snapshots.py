"""Pub/Sub: snapshots of a backlog, and seeks to them or to a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.models.backlog import Snapshot
from breakglass_gcp.sandbox.models.pubsub import snapshots
from breakglass_gcp.sandbox.models.pubsub_subscriptions import held_by

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

_START = "/google.pubsub.v1.Subscriber/"
LONGEST_S = 7 * 86_400
SHORTEST_S = 3600
"""google/pubsub/v1/pubsub.proto, Snapshot.expire_time."""


def _message(kept: Snapshot) -> object:
    from google.pubsub_v1.types import Snapshot as Told

    expires = dt.datetime.fromtimestamp(kept.expires_s, dt.UTC)
    return Told(name=kept.name, topic=kept.topic, expire_time=expires, labels=kept.labels)


def _create(world: World, call: Call) -> object:
    held = held_by(world, call, call.request.subscription, "pubsub.subscriptions.consume")
    project = "/".join(held.config.name.split("/")[:2])
    call.needs("pubsub.snapshots.create", project)
    name = world.normal(call.request.name) or f"{project}/snapshots/{world.new_id()}"
    if name in snapshots(world):
        call.fail("ALREADY_EXISTS", f"Resource already exists in the project (resource={name}).")
    waiting = [one.message for one in held.unacked()]
    now_s = world.now_s()
    oldest_s = max((now_s - one.published_s for one in waiting), default=0.0)
    if LONGEST_S - oldest_s < SHORTEST_S:
        call.fail("FAILED_PRECONDITION", "The backlog is too old: the snapshot would expire within an hour.")
    kept = Snapshot(
        name,
        held.config.topic,
        now_s + LONGEST_S - oldest_s,
        dict(call.request.labels),
        {one.id: one for one in waiting},
    )
    snapshots(world)[name] = kept
    return _message(kept)


def _snapshot(world: World, call: Call, name: str, permission: str) -> Snapshot:
    name = world.normal(name)
    call.needs(permission, name)
    if name not in snapshots(world):
        call.fail("NOT_FOUND", f"Resource not found (resource={name.rpartition('/')[2]}).")
    return snapshots(world)[name]


def _get(world: World, call: Call) -> object:
    return _message(_snapshot(world, call, call.request.snapshot, "pubsub.snapshots.get"))


def _list(world: World, call: Call) -> object:
    from google.pubsub_v1.types import ListSnapshotsResponse

    project = world.normal(call.request.project)
    call.needs("pubsub.snapshots.list", project)
    return ListSnapshotsResponse(
        snapshots=[
            _message(one)
            for name, one in snapshots(world).items()
            if name.startswith(f"{project}/snapshots/")
        ]
    )


def _delete(world: World, call: Call) -> object:
    del snapshots(world)[_snapshot(world, call, call.request.snapshot, "pubsub.snapshots.delete").name]
    return None


def _seek(world: World, call: Call) -> object:
    from google.pubsub_v1.types import SeekResponse

    held = held_by(world, call, call.request.subscription, "pubsub.subscriptions.consume")
    if call.request.snapshot:
        kept = _snapshot(world, call, call.request.snapshot, "pubsub.snapshots.seek")
        if kept.topic != held.config.topic:
            call.fail("FAILED_PRECONDITION", "The snapshot is of another topic.")
        held.seek_snapshot(kept.messages)
    else:
        held.seek_time(call.request.time.timestamp())
    return SeekResponse()


def _tick(world: World) -> None:
    for name, kept in list(snapshots(world).items()):
        if kept.expires_s < world.now_s():
            del snapshots(world)[name]


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{_START}CreateSnapshot": _create,
    f"{_START}GetSnapshot": _get,
    f"{_START}ListSnapshots": _list,
    f"{_START}DeleteSnapshot": _delete,
    f"{_START}Seek": _seek,
}
TICKS = (_tick,)
