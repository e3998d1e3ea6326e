"""The sandbox's schedules, queues and subscriptions keep the rules that Google's documents state.

A sandbox of its own: its clock is moved on by days.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass.errors import Denied, ProviderError
from breakglass_gcp.refusals import code_of
from breakglass_gcp.sandbox.process import start
from providers.gcp.tests.feeds_gcp import (
    backlog,
    effects,
    job,
    publish,
    pushing,
    queue,
    received,
    subscription,
    tick,
    topic,
    trigger,
)
from providers.gcp.tests.rig_gcp import LOCATION, Rig

DAY_S = 86_400


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Make a project in a sandbox of its own."""
    sandbox = start()
    folder: Path = tmp_path_factory.mktemp("feeds")
    made = Rig.new(sandbox, folder)
    yield made
    made.close()
    sandbox.close()


def refused(rig: Rig, service: str, method: str, **asked: object) -> str:
    """Return the code that a call of the owner's is refused with."""
    with pytest.raises(ProviderError) as error:
        rig.admin.call(service, method, asked)
    return code_of(error.value)


def test_a_job_is_paused_only_where_it_is_enabled_and_resumed_only_where_it_is_paused(rig: Rig) -> None:
    """cloudscheduler.proto, PauseJob and ResumeJob."""
    name = job(rig, "states")

    assert refused(rig, "scheduler", "resume_job", name=name) == "FAILED_PRECONDITION"
    rig.admin.call("scheduler", "pause_job", {"name": name})
    assert refused(rig, "scheduler", "pause_job", name=name) == "FAILED_PRECONDITION"
    rig.admin.call("scheduler", "run_job", {"name": name})
    assert effects(rig, "scheduler:states") == 1
    assert refused(rig, "scheduler", "get_job", name=f"{name}-none") == "NOT_FOUND"


def test_a_task_can_be_forced_out_of_a_paused_queue(rig: Rig) -> None:
    """cloudtasks.proto, RunTask; the step says that only the end of the agent's accounts ends that."""
    name = queue(rig, "forced")
    rig.admin.call("tasks", "pause_queue", {"name": name})
    task = {"http_request": {"url": "https://bot.example.com/forced", "body": b"x"}}
    made = rig.admin.call("tasks", "create_task", {"parent": name, "task": task})
    tick(rig)
    waited = effects(rig, "tasks:forced")

    rig.admin.call("tasks", "run_task", {"name": made.name})

    assert (waited, effects(rig, "tasks:forced")) == (0, 1)
    assert len(rig.admin.every("tasks", "list_tasks", {"parent": name}).items) == 0


def test_a_message_that_is_not_acknowledged_comes_again_after_its_deadline(rig: Rig) -> None:
    """pubsub.proto, Subscription.ack_deadline_seconds; an acknowledgement ends it."""
    topic(rig, "leases")
    name = subscription(rig, "leases", of="leases")
    publish(rig, "one", to="leases")
    pull = {"subscription": name, "max_messages": 5}

    first = rig.admin.call("subscriptions", "pull", pull).received_messages
    out = rig.admin.call("subscriptions", "pull", pull).received_messages
    rig.control("advance", {"seconds": 11})
    again = rig.admin.call("subscriptions", "pull", pull).received_messages
    acks = {"subscription": name, "ack_ids": [again[0].ack_id]}
    rig.admin.call("subscriptions", "acknowledge", acks)
    rig.control("advance", {"seconds": 11})

    assert ([len(first), len(out), len(again)], backlog(rig, "leases")) == ([1, 0, 1], [])
    assert len(rig.admin.call("subscriptions", "pull", pull).received_messages) == 0


def test_detaching_drops_every_message_and_ends_pulls(rig: Rig) -> None:
    """pubsub.proto, DetachSubscription: which is why nothing here detaches."""
    topic(rig, "detach")
    name = subscription(rig, "detach", of="detach")
    publish(rig, "one", to="detach")

    rig.admin.call("topics", "detach_subscription", {"subscription": name})
    publish(rig, "two", to="detach")

    assert backlog(rig, "detach") == []
    assert refused(rig, "subscriptions", "pull", subscription=name, max_messages=1) == "FAILED_PRECONDITION"


def test_retention_drops_old_messages_and_an_idle_subscription_expires(rig: Rig) -> None:
    """pubsub.proto: 7 and 31 days unless set; a policy without a time never lets it expire."""
    topic(rig, "old")
    subscription(rig, "old", of="old")
    kept = subscription(rig, "kept", of="old", expiration_policy={})
    gone = f"projects/{rig.project}/subscriptions/old"
    publish(rig, "one", to="old")

    rig.control("advance", {"seconds": 8 * DAY_S})
    tick(rig)
    dropped = backlog(rig, "old")
    rig.control("advance", {"seconds": 32 * DAY_S})
    tick(rig)

    assert dropped == []
    assert refused(rig, "subscriptions", "get_subscription", subscription=gone) == "NOT_FOUND"
    rig.admin.call("subscriptions", "get_subscription", {"subscription": kept})


def test_a_seek_to_a_time_acknowledges_what_came_before(rig: Rig) -> None:
    """pubsub.proto, SeekRequest: how an agent could empty a backlog, unless a snapshot holds it."""
    topic(rig, "seek")
    name = subscription(rig, "seek", of="seek")
    publish(rig, "one", "two", to="seek")
    snapshot = f"projects/{rig.project}/snapshots/seek"
    rig.admin.call("subscriptions", "create_snapshot", {"name": snapshot, "subscription": name})

    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=1000)
    rig.admin.call("subscriptions", "seek", {"subscription": name, "time": later})
    empty = backlog(rig, "seek")
    rig.admin.call("subscriptions", "seek", {"subscription": name, "snapshot": snapshot})

    assert (empty, backlog(rig, "seek")) == ([], ["one", "two"])


def test_a_message_that_is_refused_too_often_goes_to_the_dead_letters(rig: Rig) -> None:
    """pubsub.proto, DeadLetterPolicy."""
    topic(rig, "living")
    dead = topic(rig, "dead")
    subscription(rig, "dead", of="dead")
    url = "https://refuses.example.com/x"
    rig.control("delivery.refuse", {"url": url})
    policy = {"dead_letter_topic": dead, "max_delivery_attempts": 5}
    subscription(rig, "living", of="living", push_config=pushing(url=url), dead_letter_policy=policy)
    publish(rig, "one", to="living")

    tick(rig, 4)
    before = backlog(rig, "living")
    tick(rig)

    assert before == ["one"]
    assert (backlog(rig, "living"), backlog(rig, "dead")) == ([], ["one"])
    assert "one" not in received(rig, "push")


def test_who_may_not_act_as_an_account_sets_no_push_as_it(rig: Rig) -> None:
    """Pub/Sub documentation, "Authentication for push subscriptions"."""
    account, other = rig.account("pusher"), rig.account("meddler", roles=["roles/pubsub.admin"])
    topic(rig, "acts")
    name = subscription(rig, "acts", of="acts")
    calls = rig.calls_as(rig.token(other))

    with pytest.raises(Denied, match="actAs"):
        calls.call(
            "subscriptions", "modify_push_config", {"subscription": name, "push_config": pushing(account)}
        )

    calls.call("subscriptions", "modify_push_config", {"subscription": name, "push_config": pushing()})


def test_a_trigger_takes_its_subscription_with_it_when_it_is_deleted(rig: Rig) -> None:
    """What waited there is lost; one that is made anew has another."""
    first = trigger(rig, "short")
    rig.control("eventarc.event", {"trigger": f"{LOCATION}/short", "events": ["one"]})
    rig.admin.operate("eventarc", "delete_trigger", {"name": first.name})
    second = trigger(rig, "short")

    assert first.transport.pubsub.subscription != second.transport.pubsub.subscription
    assert backlog(rig, second.transport.pubsub.subscription.rpartition("/")[2]) == []
