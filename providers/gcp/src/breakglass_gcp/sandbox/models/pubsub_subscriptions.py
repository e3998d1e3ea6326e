"""Pub/Sub: subscriptions, pulled or pushed; what is not acknowledged stays."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import delivery
from breakglass_gcp.sandbox.models import backlog
from breakglass_gcp.sandbox.models.backlog import Held
from breakglass_gcp.sandbox.models.pubsub import publish, subscriptions, topics

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

_START = "/google.pubsub.v1.Subscriber/"
VERSION = "x-goog-version"
RETENTION = (dt.timedelta(minutes=10), dt.timedelta(days=31))
LEAST_EXPIRY = dt.timedelta(days=1)
AT_ONCE = 100
"""So many messages are pushed from one subscription in one tick."""


def held_by(world: World, call: Call, name: str, permission: str) -> Held:
    """Return a subscription that the caller may do this with; using it keeps it alive."""
    name = world.normal(name)
    call.needs(permission, name)
    if name not in subscriptions(world):
        call.fail("NOT_FOUND", f"Resource not found (resource={name.rpartition('/')[2]}).")
    held = subscriptions(world)[name]
    if permission != "pubsub.subscriptions.get":
        held.active_s = world.now_s()
    return held


def _may_act_as(call: Call, push_config: Any) -> None:  # noqa: ANN401 - a PushConfig
    """Refuse who may not act as the account (Pub/Sub, "Authentication for push subscriptions")."""
    if account := push_config.oidc_token.service_account_email:
        call.needs("iam.serviceAccounts.actAs", f"projects/-/serviceAccounts/{account}")


def _create(world: World, call: Call) -> object:
    name, topic = world.normal(call.request.name), world.normal(call.request.topic)
    call.needs("pubsub.subscriptions.create", "/".join(name.split("/")[:2]))
    call.needs("pubsub.topics.attachSubscription", topic)
    if topic not in topics(world):
        call.fail("NOT_FOUND", f"Resource not found (resource={topic.rpartition('/')[2]}).")
    if name in subscriptions(world):
        call.fail("ALREADY_EXISTS", f"Resource already exists in the project (resource={name}).")
    if call.request.filter:
        call.fail("UNIMPLEMENTED", "the sandbox does not model filters")
    _may_act_as(call, call.request.push_config)
    made = type(call.request)(call.request)
    made.name, made.topic = name, topic
    made.state = type(made).State.ACTIVE
    _defaults(call, made)
    if made.push_config.push_endpoint:
        made.push_config.attributes.setdefault(VERSION, "v1")
    subscriptions(world)[name] = Held(made, world.now_s())
    return type(made)(made)


def _get(world: World, call: Call) -> object:
    config = held_by(world, call, call.request.subscription, "pubsub.subscriptions.get").config
    return type(config)(config)


def _list(world: World, call: Call) -> object:
    from google.pubsub_v1.types import ListSubscriptionsResponse

    project = world.normal(call.request.project)
    call.needs("pubsub.subscriptions.list", project)
    return ListSubscriptionsResponse(
        subscriptions=[
            held.config
            for name, held in subscriptions(world).items()
            if name.startswith(f"{project}/subscriptions/")
        ]
    )


def _delete(world: World, call: Call) -> object:
    held = held_by(world, call, call.request.subscription, "pubsub.subscriptions.delete")
    del subscriptions(world)[held.config.name]
    return None


def _modify_push(world: World, call: Call) -> object:
    held = held_by(world, call, call.request.subscription, "pubsub.subscriptions.update")
    _may_act_as(call, call.request.push_config)
    _push_to(held, call.request.push_config)
    return None


def _push_to(held: Held, wanted: Any) -> None:  # noqa: ANN401 - a PushConfig
    """Set where it is pushed to (PushConfig.attributes: a version that is not given stays)."""
    before = dict(held.config.push_config.attributes)
    config = type(wanted)(wanted)
    if config.push_endpoint:
        config.attributes.setdefault(VERSION, before.get(VERSION, "v1"))
    held.config.push_config = config


def _update(world: World, call: Call) -> object:
    asked = call.request.subscription
    held = held_by(world, call, asked.name, "pubsub.subscriptions.update")
    paths = [one.partition(".")[0] for one in call.request.update_mask.paths]
    if not paths or {"name", "topic", "filter", "state", "detached"} & set(paths):
        call.fail("INVALID_ARGUMENT", "The update_mask is empty or names what cannot be updated.")
    for path in paths:
        if path == "push_config":
            _may_act_as(call, asked.push_config)
            _push_to(held, asked.push_config)
        else:
            type(held.config).pb(held.config).ClearField(path)
            if path in asked:
                setattr(held.config, path, getattr(asked, path))
    _defaults(call, held.config)
    return type(held.config)(held.config)


def _defaults(call: Call, config: Any) -> None:  # noqa: ANN401 - a Subscription
    """Set what is not given (pubsub.proto, Subscription), and refuse what is out of bounds."""
    config.ack_deadline_seconds = config.ack_deadline_seconds or backlog.DEFAULT_DEADLINE_S
    if "message_retention_duration" not in config:
        config.message_retention_duration = dt.timedelta(seconds=backlog.DEFAULT_RETENTION_S)
    if "expiration_policy" not in config:
        config.expiration_policy.ttl = dt.timedelta(seconds=backlog.DEFAULT_EXPIRY_S)
    if "ttl" in config.expiration_policy and config.expiration_policy.ttl < LEAST_EXPIRY:
        call.fail("INVALID_ARGUMENT", "expiration_policy.ttl is less than 1 day.")
    if not RETENTION[0] <= config.message_retention_duration <= RETENTION[1]:
        call.fail("INVALID_ARGUMENT", "message_retention_duration is not between 10 minutes and 31 days.")


def _pull(world: World, call: Call) -> object:
    from google.pubsub_v1.types import PullResponse

    held = held_by(world, call, call.request.subscription, "pubsub.subscriptions.consume")
    if held.config.detached or held.config.push_config.push_endpoint:
        call.fail("FAILED_PRECONDITION", "This method is not supported for this subscription.")
    if call.request.max_messages <= 0:
        call.fail("INVALID_ARGUMENT", "max_messages must be positive.")
    now_s = world.now_s()
    taken = held.due(now_s)[: call.request.max_messages]
    answer = PullResponse(received_messages=[_received(held, one, now_s) for one in taken])
    if taken:
        who, name = call.caller.principal if call.caller else "", held.config.name.rpartition("/")[2]
        world.effects.mark(
            f"pull:{name}", project=call.project, by=who, ids=[one.message.id for one in taken]
        )
    return answer


def _received(held: Held, one: backlog.Retained, now_s: float) -> dict[str, Any]:
    message = one.message
    return {
        "ack_id": held.lease(one, now_s, held.config.ack_deadline_seconds),
        "message": {
            "message_id": message.id,
            "data": message.data,
            "attributes": dict(message.attributes),
            "ordering_key": message.ordering_key,
            "publish_time": dt.datetime.fromtimestamp(message.published_s, dt.UTC),
        },
    }


def _acknowledge(world: World, call: Call) -> object:
    held = held_by(world, call, call.request.subscription, "pubsub.subscriptions.consume")
    for one in held.by_ack_id(call.request.ack_ids):
        held.acknowledge(one)
    return None


def _modify_deadline(world: World, call: Call) -> object:
    held = held_by(world, call, call.request.subscription, "pubsub.subscriptions.consume")
    for one in held.by_ack_id(call.request.ack_ids):
        one.leased_until_s = world.now_s() + call.request.ack_deadline_seconds
    return None


def _tick(world: World) -> None:
    """Forget what is too old, delete what nobody used for too long, push what is due."""
    now_s = world.now_s()
    for name, held in list(subscriptions(world).items()):
        held.forget_old(now_s)
        if held.expired(now_s):
            del subscriptions(world)[name]
        elif held.config.push_config.push_endpoint and not held.config.detached:
            for one in held.due(now_s)[:AT_ONCE]:
                _push(world, held, one)


def _push(world: World, held: Held, one: backlog.Retained) -> None:
    _, project, _, name = held.config.name.split("/")
    push = held.config.push_config
    held.active_s = world.now_s()
    one.attempts += 1
    message = {"kind": "push", "subscription": held.config.name, **one.message.as_json()}
    account = push.oidc_token.service_account_email
    if delivery.deliver(world, project, push.push_endpoint, message, account):
        held.acknowledge(one)
        world.effects.mark(f"push:{name}", project=project, id=one.message.id)
        return
    dead = held.config.dead_letter_policy
    if dead.dead_letter_topic and one.attempts >= (dead.max_delivery_attempts or 5):
        publish(world, dead.dead_letter_topic, one.message.data, dict(one.message.attributes))
        held.acknowledge(one)


def _told(world: World, asked: Mapping[str, Any]) -> object:
    """Tell all that a subscription retains."""
    held = subscriptions(world)[f"projects/{asked['project']}/subscriptions/{asked['subscription']}"]
    held.forget_old(world.now_s())
    return [
        {**one.message.as_json(), "acked": one.acked, "out": one.leased_until_s > world.now_s()}
        for one in held.retained.values()
    ]


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{_START}CreateSubscription": _create,
    f"{_START}GetSubscription": _get,
    f"{_START}ListSubscriptions": _list,
    f"{_START}UpdateSubscription": _update,
    f"{_START}DeleteSubscription": _delete,
    f"{_START}ModifyPushConfig": _modify_push,
    f"{_START}Pull": _pull,
    f"{_START}Acknowledge": _acknowledge,
    f"{_START}ModifyAckDeadline": _modify_deadline,
}
TICKS = (_tick,)
CONTROLS: Mapping[str, Callable[[World, Mapping[str, Any]], object]] = {"pubsub.backlog": _told}
