"""Eventarc: triggers; each has a Pub/Sub subscription of its own, through which its events go.

Destinations are Cloud Run services and HTTP endpoints. The control verb ``eventarc.event`` is an event of the
kind that a trigger waits for.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import policies
from breakglass_gcp.sandbox.models import backlog, pubsub, run
from breakglass_gcp.sandbox.models.pubsub_subscriptions import VERSION

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

_START = "/google.cloud.eventarc.v1.Eventarc/"


def triggers(world: World) -> dict[str, Any]:
    """Return every trigger by name."""
    return world.table("eventarc.triggers")


def _trigger(world: World, call: Call, name: str, permission: str) -> Any:  # noqa: ANN401 - a Trigger
    name = world.normal(name)
    call.needs(permission, name)
    if name not in triggers(world):
        call.fail("NOT_FOUND", f"Resource '{name}' was not found")
    return triggers(world)[name]


def _copy(message: Any) -> Any:  # noqa: ANN401 - a message
    return type(message)(message)


def _create(world: World, call: Call) -> object:
    parent = world.normal(call.request.parent)
    call.needs("eventarc.triggers.create", parent)
    made = _copy(call.request.trigger)
    made.name = f"{parent}/triggers/{call.request.trigger_id}"
    if made.name in triggers(world):
        call.fail("ALREADY_EXISTS", f"Resource '{made.name}' already exists")
    if made.service_account:
        call.needs("iam.serviceAccounts.actAs", f"projects/-/serviceAccounts/{made.service_account}")
    made.uid = str(uuid.uuid4())
    made.etag = world.new_id()
    _transport(world, made)
    triggers(world)[made.name] = made
    return world.operation("create-trigger", parent, response=_copy(made))


def _transport(world: World, trigger: Any) -> None:  # noqa: ANN401 - a Trigger
    """Make the topic and the subscription that Eventarc manages (Trigger.transport)."""
    from google.pubsub_v1.types import Subscription, Topic

    _, project, _, location, _, short = trigger.name.split("/")
    number = world.new_id(6)
    topic = (
        trigger.transport.pubsub.topic or f"projects/{project}/topics/eventarc-{location}-{short}-{number}"
    )
    pubsub.topics(world).setdefault(topic, Topic(name=topic))
    name = f"projects/{project}/subscriptions/eventarc-{location}-{short}-sub-{number}"
    config = Subscription(name=name, topic=topic, ack_deadline_seconds=backlog.DEFAULT_DEADLINE_S)
    config.state = Subscription.State.ACTIVE
    config.message_retention_duration = f"{86_400}s"
    config.expiration_policy = {}
    config.push_config = {"push_endpoint": _url(world, trigger), "attributes": {VERSION: "v1"}}
    if trigger.service_account:
        config.push_config.oidc_token = {
            "service_account_email": trigger.service_account,
            "audience": _url(world, trigger),
        }
    pubsub.subscriptions(world)[name] = backlog.Held(config, world.now_s())
    trigger.transport.pubsub.topic, trigger.transport.pubsub.subscription = topic, name


def _url(world: World, trigger: Any) -> str:  # noqa: ANN401 - a Trigger
    where = trigger.destination
    if where.http_endpoint.uri:
        return str(where.http_endpoint.uri)
    service, path = where.cloud_run, where.cloud_run.path.lstrip("/")
    project = trigger.name.split("/")[1]
    name = f"projects/{project}/locations/{service.region}/services/{service.service}"
    served = world.table(run.SERVICES).get(name)
    root = served.uri if served is not None else f"https://{service.service}-{project}.a.run.app"
    return f"{root}/{path}"


def _get(world: World, call: Call) -> object:
    return _copy(_trigger(world, call, call.request.name, "eventarc.triggers.get"))


def _list(world: World, call: Call) -> object:
    from google.cloud.eventarc_v1.types import ListTriggersResponse

    parent = world.normal(call.request.parent)
    call.needs("eventarc.triggers.list", parent)
    return ListTriggersResponse(
        triggers=[one for name, one in triggers(world).items() if name.startswith(f"{parent}/triggers/")]
    )


def _delete(world: World, call: Call) -> object:
    """Delete the trigger with its subscription: what waits in it is lost."""
    trigger = _trigger(world, call, call.request.name, "eventarc.triggers.delete")
    if call.request.etag and call.request.etag != trigger.etag:
        call.fail("ABORTED", "The etag does not match.")
    pubsub.subscriptions(world).pop(trigger.transport.pubsub.subscription, None)
    del triggers(world)[trigger.name]
    parent = trigger.name.rpartition("/triggers/")[0]
    return world.operation("delete-trigger", parent, response=trigger)


def _update(world: World, call: Call) -> object:
    """Update a trigger: the push config of its subscription is set again from what it says."""
    asked = call.request.trigger
    trigger = _trigger(world, call, asked.name, "eventarc.triggers.update")
    for path in call.request.update_mask.paths or ("service_account", "destination", "labels"):
        setattr(trigger, path, getattr(asked, path))
    trigger.etag = world.new_id()
    held = pubsub.subscriptions(world).get(trigger.transport.pubsub.subscription)
    if held is not None:
        held.config.push_config = {"push_endpoint": _url(world, trigger), "attributes": {VERSION: "v1"}}
        if trigger.service_account:
            held.config.push_config.oidc_token = {
                "service_account_email": trigger.service_account,
                "audience": _url(world, trigger),
            }
    parent = trigger.name.rpartition("/triggers/")[0]
    return world.operation("update-trigger", parent, response=_copy(trigger))


def _event(world: World, asked: Mapping[str, Any]) -> object:
    location, _, short = str(asked["trigger"]).partition("/")
    trigger = triggers(world)[f"projects/{asked['project']}/locations/{location}/triggers/{short}"]
    topic = trigger.transport.pubsub.topic
    return {"ids": [pubsub.publish(world, topic, str(one).encode()) for one in asked["events"]]}


def _state(world: World, project: str) -> object:
    from google.protobuf.json_format import MessageToDict

    told = {}
    for name, one in triggers(world).items():
        if name.startswith(f"projects/{project}/"):
            told[name] = MessageToDict(type(one).pb(one), preserving_proto_field_name=True)
            told[name].pop("etag", None)
    return told


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{_START}CreateTrigger": _create,
    f"{_START}GetTrigger": _get,
    f"{_START}ListTriggers": _list,
    f"{_START}UpdateTrigger": _update,
    f"{_START}DeleteTrigger": _delete,
}
CONTROLS: Mapping[str, Callable[[World, Mapping[str, Any]], object]] = {"eventarc.event": _event}
POLICIES: Mapping[str, tuple[str, policies.Exists]] = {
    "projects/*/locations/*/triggers/*": ("eventarc.triggers", lambda world, name: name in triggers(world)),
}
STATE = _state
