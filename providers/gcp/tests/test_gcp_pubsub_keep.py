"""A contained subscription does not expire, whatever its ttl; its restore sets the ttl as it was."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.errors import Denied, Transient
from breakglass.model.action import Capability, Grade
from breakglass.model.resource import Resource
from breakglass.provider import Action, Outcome, Proposal
from breakglass_gcp.actions import eventarc, pubsub_keep, pubsub_push
from breakglass_gcp.connect import GcpProvider
from breakglass_gcp.messages import as_json
from providers.gcp.tests.feeds_gcp import (
    backlog,
    publish,
    pushing,
    received,
    still,
    subscription,
    tick,
    topic,
    trigger,
)
from providers.gcp.tests.rig_gcp import EXECUTOR, LOCATION, Rig, close, proposal, undo

ACTION = pubsub_keep.SPEC.name
DAY_S = 86_400
A_DAY: dict[str, Any] = {"expiration_policy": {"ttl": {"seconds": DAY_S}}}


def expiration(rig: Rig, name: str = "inbox") -> Any:  # noqa: ANN401 - JSON
    """Return the expiration policy of a subscription."""
    asked = {"subscription": f"projects/{rig.project}/subscriptions/{name}"}
    return as_json(rig.admin.call("subscriptions", "get_subscription", asked))["expiration_policy"]


def there(rig: Rig) -> list[str]:
    """Return the ids of all subscriptions of the project."""
    asked = {"project": f"projects/{rig.project}"}
    found = rig.admin.every("subscriptions", "list_subscriptions", asked).items
    return sorted(str(one.name).rpartition("/")[2] for one in found)


def keeping(provider: GcpProvider) -> tuple[Action, Resource]:
    """Return the action and the one target that it has."""
    found = proposal(provider, ACTION)
    return provider.actions[ACTION], found.target


def verdict(action: Action, target: Resource) -> str:
    """Return what is judged of it now."""
    return action.judge(target, action.observe(target)).verdict.value


def by_action(provider: GcpProvider, action: str) -> dict[str, Proposal]:
    """Return the proposals of an action by the id of their target."""
    return {one.target.id: one for one in provider.discover().proposals if one.action == action}


def test_what_would_have_expired_while_it_was_contained_loses_no_message(rig: Rig) -> None:
    """The attack: a ttl of one day on the agent's own inbox. One that nobody contained is gone after it."""
    topic(rig)
    subscription(rig, push_config=pushing(), **A_DAY)
    subscription(rig, "neglected", **A_DAY)
    rig.secrets.keep_token(EXECUTOR, rig.token(rig.email(EXECUTOR), life_s=30 * DAY_S))
    provider = rig.provider(subscriptions=["inbox"])
    push = proposal(provider, pubsub_push.SPEC.name)
    pushed, _ = close(provider.actions[push.action], push.target)
    action, target = keeping(provider)
    prior, _ = close(action, target)
    publish(rig, "one", "two")

    rig.control("advance", {"seconds": 3 * DAY_S})
    tick(rig, 2)

    assert there(rig) == ["inbox"]
    assert backlog(rig) == ["one", "two"]
    assert undo(action, target, prior).objects == {"expiration": Outcome.RESTORED}
    assert undo(provider.actions[push.action], push.target, pushed).objects == {"push": Outcome.RESTORED}
    tick(rig, 2)
    assert received(rig, "push") == ["one", "two"]
    assert expiration(rig) == {"ttl": f"{DAY_S}s"}


def test_only_the_expiration_changes_and_it_comes_back_equal(rig: Rig) -> None:
    """Retention, deadline, push and dead letters are as they were all the time."""
    topic(rig)
    more: dict[str, Any] = {"message_retention_duration": {"seconds": 7200}, "ack_deadline_seconds": 42}
    subscription(rig, push_config=pushing(), labels={"team": "x"}, **more, **A_DAY)
    before = still(rig)
    action, target = keeping(rig.provider(subscriptions=["inbox"]))

    prior, state = close(action, target)

    assert action.judge(target, state).reason == "inbox does not expire"
    assert expiration(rig) == {}
    changed = still(rig)
    assert changed != before
    assert undo(action, target, prior).objects == {"expiration": Outcome.RESTORED}
    assert still(rig) == before
    assert undo(action, target, prior).objects == {"expiration": Outcome.ALREADY}


def test_one_that_never_expired_stays_so(rig: Rig) -> None:
    """Nothing is written, and the restore has nothing to do."""
    topic(rig)
    subscription(rig, expiration_policy={})
    provider = rig.provider(subscriptions=["inbox"])
    found = proposal(provider, ACTION)
    seen = len(rig.control("calls", {}))
    prior, _ = close(provider.actions[ACTION], found.target)

    assert found.affects[0] == "it never expires: nothing is to be changed"
    assert [one["method"] for one in rig.control("calls", {})[seen:] if not one["read"]] == []
    assert undo(provider.actions[ACTION], found.target, prior).objects == {"expiration": Outcome.ALREADY}


def test_the_plan_tells_what_is_lost_and_when(rig: Rig) -> None:
    """Retention stays: it says so with its length."""
    topic(rig)
    subscription(rig, message_retention_duration={"seconds": 3 * DAY_S})

    assert proposal(rig.provider(subscriptions=["inbox"]), ACTION).affects == (
        "expires after 31 days without any use, and with it all that waits: never, until the restore",
        "what waits longer than 3 days is lost: the retention stays as it is",
    )


def test_it_is_no_claim_of_containment(rig: Rig) -> None:
    """It counts as evidence does, and the step that contains the subscription makes its failure moot."""
    topic(rig)
    subscription(rig)
    provider = rig.provider(subscriptions=["inbox"])
    steps = provider.discover().proposals
    found = proposal(provider, ACTION)
    action = provider.actions[ACTION]

    judged = action.judge(found.target, action.observe(found.target))

    assert pubsub_keep.SPEC.capability is Capability.SNAPSHOT_LOGS
    assert (judged.verdict.value, judged.grade) == ("unknown", Grade.NONE)
    stops = {one.key for one in steps if one.action == pubsub_push.SPEC.name}
    assert set(found.moot_by) == stops
    assert len(stops) == 1


def test_who_changes_it_meanwhile_is_left_alone_and_told(rig: Rig) -> None:
    """Somebody's own ttl, and one that is deleted, made anew on another topic, or detached."""
    topic(rig)
    topic(rig, "other")
    name = subscription(rig, **A_DAY)
    action, target = keeping(rig.provider(subscriptions=["inbox"]))
    prior, _ = close(action, target)

    asked = {
        "subscription": {"name": name, "expiration_policy": {"ttl": {"seconds": 9 * DAY_S}}},
        "update_mask": {"paths": ["expiration_policy"]},
    }
    rig.admin.call("subscriptions", "update_subscription", asked)
    assert verdict(action, target) == "unknown"
    assert undo(action, target, prior).objects == {"expiration": Outcome.DRIFTED}
    assert expiration(rig) == {"ttl": f"{9 * DAY_S}s"}

    rig.admin.call("subscriptions", "delete_subscription", {"subscription": name})
    assert verdict(action, target) == "contained"
    assert undo(action, target, prior).objects == {"expiration": Outcome.DRIFTED}
    subscription(rig, of="other", expiration_policy={})
    assert undo(action, target, prior).objects == {"expiration": Outcome.DRIFTED}
    assert expiration(rig) == {}


def test_one_that_is_detached_has_nothing_to_keep_and_that_is_said(rig: Rig) -> None:
    """Before the plan and after it."""
    topic(rig)
    name = subscription(rig, **A_DAY)
    provider = rig.provider(subscriptions=["inbox"])
    action, target = keeping(provider)
    prior = dict(action.observe(target).objects)
    rig.admin.call("topics", "detach_subscription", {"subscription": name})

    action.apply(target, action.observe(target), "token")

    assert "no messages to keep" in action.judge(target, action.observe(target)).reason
    assert expiration(rig) == {"ttl": f"{DAY_S}s"}
    assert undo(action, target, prior).objects == {"expiration": Outcome.DRIFTED}
    again = rig.provider(subscriptions=["inbox"]).discover()
    assert [one for one in again.proposals if one.action == ACTION] == []
    told = {one.resource: one.reason for one in again.not_touched}
    assert "has no messages any more" in told["expiration of subscription inbox"]


def test_those_that_push_on_a_topic_and_that_of_a_trigger_are_kept_as_well(rig: Rig) -> None:
    """Each beside the step that leaves its messages waiting; what nothing contains is left."""
    account = rig.account("bot", roles=["roles/run.invoker"])
    topic(rig)
    subscription(rig, "pushed", push_config=pushing())
    subscription(rig, "pulled")
    subscription(rig, "export", bigquery_config={"table": "p.d.t"})
    made = trigger(rig, account=account)
    transport = str(made.transport.pubsub.subscription).rpartition("/")[2]
    provider = rig.provider(
        topics=["work"], subscriptions=["export"], eventarc_triggers=[f"{LOCATION}/uploads"]
    )

    found = by_action(provider, ACTION)

    assert sorted(found) == sorted(["expiration/pushed", f"expiration/{transport}"])
    assert found[f"expiration/{transport}"].moot_by == (eventarc.step_key(f"{LOCATION}/uploads"),)
    for one in found.values():
        close(provider.actions[ACTION], one.target)
    assert (expiration(rig, "pushed"), expiration(rig, transport)) == ({}, {})


def test_a_lost_answer_is_read_back_and_a_refusal_is_unknown(rig: Rig) -> None:
    """A write that is repeated changes nothing more; the first prior state stays."""
    topic(rig)
    subscription(rig, **A_DAY)
    action, target = keeping(rig.provider(subscriptions=["inbox"]))
    first = action.observe(target)
    lost = {"method": "*UpdateSubscription", "code": "UNAVAILABLE", "after": True, "times": 1}
    rig.control("faults", {"faults": [lost]})
    with pytest.raises(Transient):
        action.apply(target, first, "token")
    assert verdict(action, target) == "contained"
    action.apply(target, first, "token")
    assert undo(action, target, first.objects).objects == {"expiration": Outcome.RESTORED}
    assert expiration(rig) == {"ttl": f"{DAY_S}s"}

    rig.control("faults", {"faults": [{"method": "*UpdateSubscription", "code": "PERMISSION_DENIED"}]})
    with pytest.raises(Denied):
        action.apply(target, action.observe(target), "token")
    assert verdict(action, target) == "unknown"
