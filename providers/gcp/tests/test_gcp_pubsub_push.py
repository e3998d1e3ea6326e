"""Push subscriptions: they push to nobody, keep every message, and push all of them after the restore."""

from __future__ import annotations

import random
from typing import Any

import pytest

from breakglass.canon import canonical
from breakglass.errors import Transient
from breakglass.provider import Outcome
from breakglass_gcp.actions import pubsub_push
from providers.gcp.tests.feeds_gcp import (
    URL,
    backlog,
    effects,
    publish,
    pushing,
    received,
    still,
    subscription,
    tick,
    topic,
    verdict,
)
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo

ACTION = pubsub_push.SPEC.name


def test_a_subscription_pushes_to_nobody_and_its_whole_configuration_comes_back(rig: Rig) -> None:
    """Token, audience, attributes and wrapper too; what may be secret in the address is not in the state."""
    account = rig.account("bot")
    topic(rig)
    wanted = {**pushing(account, f"{URL}?token=hunter2"), "no_wrapper": {"write_metadata": True}}
    subscription(rig, push_config=wanted)
    before = still(rig)
    provider = rig.provider(subscriptions=["inbox"])
    found = proposal(provider, ACTION)
    action = provider.actions[found.action]

    prior, _ = close(action, found.target)
    publish(rig, "one")
    tick(rig, 2)

    assert effects(rig, "push:inbox") == 0
    assert backlog(rig) == ["one"]
    assert b"hunter2" not in canonical(prior)
    assert undo(action, found.target, prior).objects == {"push": Outcome.RESTORED}
    assert still(rig) == before
    tick(rig)
    assert received(rig, "push") == ["one"]


@pytest.mark.parametrize("seed", range(6))
def test_no_message_is_lost_or_pushed_twice_through_a_stop_and_a_restore(rig: Rig, seed: int) -> None:
    """Messages come and the platform pushes at random moments, through rounds in which the agent fights."""
    chance = random.Random(seed)
    topic(rig)
    name = subscription(rig, push_config=pushing())
    provider = rig.provider(subscriptions=["inbox"])
    found = proposal(provider, ACTION)
    action = provider.actions[found.action]
    sent: list[str] = []

    def work() -> None:
        fresh = [f"{seed}-{len(sent) + n}" for n in range(chance.randrange(1, 6))]
        sent.extend(fresh)
        publish(rig, *fresh)
        tick(rig, chance.randrange(3))

    work()
    prior, _ = close(action, found.target)
    for _ in range(chance.randrange(1, 4)):
        work()
        if chance.random() < 0.5:
            asked = {"subscription": name, "push_config": pushing()}
            rig.admin.call("subscriptions", "modify_push_config", asked)
            work()
        close(action, found.target)
    waited = len(backlog(rig))
    tick(rig)
    assert len(backlog(rig)) == waited
    assert undo(action, found.target, prior).objects == {"push": Outcome.RESTORED}
    work()
    tick(rig, 2)

    assert sorted(received(rig, "push")) == sorted(sent)
    assert backlog(rig) == []


def test_all_that_pushes_on_a_topic_of_the_agents_is_in_the_plan(rig: Rig) -> None:
    """A second subscription of the agent's own on the same topic does not escape; a pulled one is left."""
    account = rig.account("bot")
    topic(rig)
    subscription(rig, push_config=pushing(account))
    subscription(rig, "hidden", push_config=pushing(url="https://evil.example.com/?k=hunter2"))
    subscription(rig, "pulled")
    provider = rig.provider(subscriptions=["inbox"], topics=["work"])

    found = {one.target.id: one for one in provider.discover().proposals if one.action == ACTION}

    assert sorted(found) == ["subscription/hidden", "subscription/inbox"]
    assert found["subscription/hidden"].affects[0] == "pushes to https://evil.example.com/ as nobody"
    assert found["subscription/inbox"].affects == (
        f"pushes to {URL} as {account}",
        "messages wait, and are dropped 7 days after they came",
    )


def test_what_pausing_may_cost_is_said(rig: Rig) -> None:
    """Retention and dead letters are the subscription's own."""
    topic(rig)
    dead = topic(rig, "dead")
    more: dict[str, Any] = {
        "message_retention_duration": {"seconds": 3600},
        "expiration_policy": {},
        "dead_letter_policy": {"dead_letter_topic": dead},
    }
    subscription(rig, push_config=pushing(), **more)

    told = proposal(rig.provider(subscriptions=["inbox"]), ACTION).affects

    assert told[1:] == (
        "messages wait, and are dropped 1 hours after they came",
        f"messages that were refused too often go to {dead}",
    )


def test_an_export_is_named_and_not_touched_and_one_that_appears_is_seen(rig: Rig) -> None:
    """An agent that has its messages written elsewhere after the plan was made is not contained."""
    topic(rig)
    subscription(rig, "export", bigquery_config={"table": "p.d.t"})
    name = subscription(rig, push_config=pushing())
    provider = rig.provider(subscriptions=["inbox", "export"])
    left = {one.resource: one.reason for one in provider.discover().not_touched}
    found = proposal(provider, ACTION)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)

    changed = {"name": name, "bigquery_config": {"table": "evil.d.t"}}
    asked = {"subscription": changed, "update_mask": {"paths": ["bigquery_config"]}}
    rig.admin.call("subscriptions", "update_subscription", asked)

    assert "BigQuery table p.d.t" in left["subscription export"]
    assert verdict(action, found.target) == "not_contained"
    assert undo(action, found.target, prior).objects == {"push": Outcome.DRIFTED}


def test_an_agent_that_pushes_again_is_seen_and_what_was_first_seen_comes_back(rig: Rig) -> None:
    """Even where it pushes elsewhere meanwhile."""
    agent = rig.account("bot", roles=["roles/pubsub.editor"])
    topic(rig)
    name = subscription(rig, push_config=pushing())
    before = still(rig)
    provider = rig.provider(subscriptions=["inbox"])
    found = proposal(provider, ACTION)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    elsewhere = {"subscription": name, "push_config": pushing(url="https://evil.example.com")}
    rig.calls_as(rig.token(agent)).call("subscriptions", "modify_push_config", elsewhere)

    assert verdict(action, found.target) == "not_contained"
    assert undo(action, found.target, prior).objects == {"push": Outcome.DRIFTED}
    close(action, found.target)
    assert undo(action, found.target, prior).objects == {"push": Outcome.RESTORED}
    assert still(rig) == before


def test_one_that_was_pulled_before_stays_so_and_one_that_is_gone_or_detached_is_left(rig: Rig) -> None:
    """Nothing is made up."""
    topic(rig)
    subscription(rig)
    name = subscription(rig, "second", push_config=pushing())
    provider = rig.provider(subscriptions=["inbox", "second", "none"])
    discovery = provider.discover()
    steps = {one.target.id: one for one in discovery.proposals if one.action == ACTION}
    action = provider.actions[ACTION]
    pulled, second = steps["subscription/inbox"].target, steps["subscription/second"].target
    prior, _ = close(action, pulled)
    assert undo(action, pulled, prior).objects == {"push": Outcome.ALREADY}
    prior, _ = close(action, second)

    rig.admin.call("topics", "detach_subscription", {"subscription": name})
    assert verdict(action, second) == "contained"
    assert undo(action, second, prior).objects == {"push": Outcome.DRIFTED}
    rig.admin.call("subscriptions", "delete_subscription", {"subscription": name})
    assert verdict(action, second) == "contained"
    assert undo(action, second, prior).objects == {"push": Outcome.DRIFTED}
    assert ("subscription none", "there is none") in [
        (one.resource, one.reason) for one in discovery.not_touched
    ]


def test_a_push_as_a_disabled_account_is_refused_and_its_message_waits(rig: Rig) -> None:
    """Of the platform, not of this step: whoever is disabled is given no token."""
    account = rig.account("bot")
    topic(rig)
    subscription(rig, push_config=pushing(account))
    rig.admin.call("iam_admin", "disable_service_account", {"name": f"projects/-/serviceAccounts/{account}"})

    publish(rig, "one")
    tick(rig, 2)

    assert (effects(rig, "push:inbox"), backlog(rig)) == (0, ["one"])


def test_a_lost_answer_is_read_back_and_a_service_that_is_down_is_unknown(rig: Rig) -> None:
    """The step stays, also where its subscription cannot be read for the plan."""
    topic(rig)
    subscription(rig, push_config=pushing())
    rig.control("faults", {"faults": [{"method": "/google.pubsub.v1.*", "code": "UNAVAILABLE"}]})
    provider = rig.provider(subscriptions=["inbox"])
    found = proposal(provider, ACTION)
    action = provider.actions[found.action]

    with pytest.raises(Transient):
        action.observe(found.target)

    lost = {"method": "*ModifyPushConfig", "code": "UNAVAILABLE", "after": True, "times": 1}
    rig.control("faults", {"faults": [lost]})
    with pytest.raises(Transient):
        action.apply(found.target, action.observe(found.target), "token")
    assert verdict(action, found.target) == "contained"
