"""Pub/Sub: topics, publishing, and who may; subscriptions are `pubsub_subscriptions`'."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.models.backlog import Held, Message, Snapshot

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

_START = "/google.pubsub.v1.Publisher/"
GONE = "_deleted-topic_"


def topics(world: World) -> dict[str, Any]:
    """Return every topic by name."""
    return world.table("pubsub.topics")


def subscriptions(world: World) -> dict[str, Held]:
    """Return every subscription by name."""
    return world.table("pubsub.subscriptions")


def snapshots(world: World) -> dict[str, Snapshot]:
    """Return every snapshot by name."""
    return world.table("pubsub.snapshots")


def put(world: World, topic: str, message: Message) -> None:
    """Give a message to every subscription and snapshot of a topic."""
    for held in subscriptions(world).values():
        if held.config.topic == topic:
            held.add(message)
    for kept in snapshots(world).values():
        if kept.topic == topic:
            kept.messages[message.id] = message


def publish(
    world: World, topic: str, data: bytes, attributes: Mapping[str, str] | None = None, key: str = ""
) -> str:
    """Publish as the platform; return the message's id, or nothing where there is no such topic."""
    topic = world.normal(topic)
    if topic not in topics(world):
        return ""
    made = Message(world.new_id(16), bytes(data), tuple((attributes or {}).items()), key, world.now_s())
    put(world, topic, made)
    return made.id


def _topic(world: World, call: Call, name: str, permission: str) -> str:
    name = world.normal(name)
    call.needs(permission, name)
    if name not in topics(world):
        call.fail("NOT_FOUND", f"Resource not found (resource={name.rpartition('/')[2]}).")
    return name


def _create(world: World, call: Call) -> object:
    name = world.normal(call.request.name)
    call.needs("pubsub.topics.create", "/".join(name.split("/")[:2]))
    if name in topics(world):
        call.fail("ALREADY_EXISTS", f"Resource already exists in the project (resource={name}).")
    made = type(call.request)(call.request)
    made.name = name
    topics(world)[name] = made
    return type(made)(made)


def _get(world: World, call: Call) -> object:
    return topics(world)[_topic(world, call, call.request.topic, "pubsub.topics.get")]


def _list(world: World, call: Call) -> object:
    from google.pubsub_v1.types import ListTopicsResponse

    project = world.normal(call.request.project)
    call.needs("pubsub.topics.list", project)
    return ListTopicsResponse(
        topics=[one for name, one in topics(world).items() if name.startswith(f"{project}/topics/")]
    )


def _delete(world: World, call: Call) -> object:
    name = _topic(world, call, call.request.topic, "pubsub.topics.delete")
    del topics(world)[name]
    for held in subscriptions(world).values():
        if held.config.topic == name:
            held.config.topic = GONE
    return None


def _publish(world: World, call: Call) -> object:
    from google.pubsub_v1.types import PublishResponse

    name = _topic(world, call, call.request.topic, "pubsub.topics.publish")
    if not call.request.messages:
        call.fail("INVALID_ARGUMENT", "A request must have at least one message.")
    ids = [
        publish(world, name, one.data, dict(one.attributes), one.ordering_key)
        for one in call.request.messages
    ]
    who = call.caller.principal if call.caller else ""
    world.effects.mark(f"publish:{name.rpartition('/')[2]}", project=call.project, by=who, ids=ids)
    return PublishResponse(message_ids=ids)


def _list_subscriptions(world: World, call: Call) -> object:
    from google.pubsub_v1.types import ListTopicSubscriptionsResponse

    name = _topic(world, call, call.request.topic, "pubsub.topics.get")
    return ListTopicSubscriptionsResponse(
        subscriptions=[
            id_
            for id_, held in subscriptions(world).items()
            if held.config.topic == name and not held.config.detached
        ]
    )


def _list_snapshots(world: World, call: Call) -> object:
    from google.pubsub_v1.types import ListTopicSnapshotsResponse

    name = _topic(world, call, call.request.topic, "pubsub.topics.get")
    return ListTopicSnapshotsResponse(
        snapshots=[id_ for id_, one in snapshots(world).items() if one.topic == name]
    )


def _detach(world: World, call: Call) -> object:
    from google.pubsub_v1.types import DetachSubscriptionResponse

    name = world.normal(call.request.subscription)
    held = subscriptions(world).get(name)
    call.needs("pubsub.topics.detachSubscription", held.config.topic if held else name)
    if held is None:
        call.fail("NOT_FOUND", f"Resource not found (resource={name.rpartition('/')[2]}).")
    held.config.detached = True
    held.drop_all()
    return DetachSubscriptionResponse()


def _published(world: World, asked: Mapping[str, Any]) -> object:
    """Publish from outside, as somebody whom nothing of this is about."""
    name = f"projects/{asked['project']}/topics/{asked['topic']}"
    return {"ids": [publish(world, name, str(one).encode()) for one in asked["messages"]]}


def _state(world: World, project: str) -> object:
    from google.protobuf.json_format import MessageToDict

    start = f"projects/{project}/"
    told: dict[str, Any] = {}
    for name, one in topics(world).items():
        if name.startswith(start):
            told[name] = MessageToDict(type(one).pb(one), preserving_proto_field_name=True)
    for name, held in subscriptions(world).items():
        if name.startswith(start):
            config = held.config
            told[name] = MessageToDict(type(config).pb(config), preserving_proto_field_name=True)
    for name in list(told):
        policy = MessageToDict(world.policy(name), preserving_proto_field_name=True)
        policy.pop("etag", None)
        told[f"{name} policy"] = policy
    return told


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{_START}CreateTopic": _create,
    f"{_START}GetTopic": _get,
    f"{_START}ListTopics": _list,
    f"{_START}DeleteTopic": _delete,
    f"{_START}Publish": _publish,
    f"{_START}ListTopicSubscriptions": _list_subscriptions,
    f"{_START}ListTopicSnapshots": _list_snapshots,
    f"{_START}DetachSubscription": _detach,
}
CONTROLS: Mapping[str, Callable[[World, Mapping[str, Any]], object]] = {"pubsub.publish": _published}
POLICIES = {
    "projects/*/topics/*": ("pubsub.topics", lambda world, name: name in topics(world)),
    "projects/*/subscriptions/*": ("pubsub.subscriptions", lambda world, name: name in subscriptions(world)),
    "projects/*/snapshots/*": ("pubsub.snapshots", lambda world, name: name in snapshots(world)),
}
STATE = _state
