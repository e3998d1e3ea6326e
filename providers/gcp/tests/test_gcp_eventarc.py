"""Eventarc triggers: their events wait in the subscription of the trigger, and are delivered afterwards."""

from __future__ import annotations

from breakglass.provider import Outcome
from breakglass_gcp.actions import eventarc
from providers.gcp.tests.feeds_gcp import URL, effects, received, still, tick, trigger, verdict
from providers.gcp.tests.rig_gcp import LOCATION, Rig, close, proposal, undo

ENTRY = f"{LOCATION}/uploads"
ACTION = eventarc.SPEC.name


def happen(rig: Rig, *events: str) -> None:
    """Let something happen that the trigger waits for."""
    rig.control("eventarc.event", {"trigger": ENTRY, "events": list(events)})


def test_a_cut_trigger_brings_nothing_and_brings_all_of_it_after_the_restore(rig: Rig) -> None:
    """Its account's token and all; no event is lost."""
    account = rig.account("bot")
    trigger(rig, account=account)
    happen(rig, "zero")
    tick(rig)
    before = still(rig)
    provider = rig.provider(eventarc_triggers=[ENTRY])
    found = proposal(provider, ACTION)
    action = provider.actions[found.action]

    prior, _ = close(action, found.target)
    happen(rig, "one", "two")
    tick(rig, 2)

    assert received(rig, "push") == ["zero"]
    assert found.affects == (f"brings events to {URL} as {account}",)
    assert sorted(undo(action, found.target, prior).objects.values()) == [Outcome.ALREADY, Outcome.RESTORED]
    assert still(rig) == before
    tick(rig)
    assert sorted(received(rig, "push")) == ["one", "two", "zero"]


def test_a_trigger_that_is_made_anew_is_cut_and_not_revived(rig: Rig) -> None:
    """It has another subscription; what the plan named is gone."""
    made = trigger(rig)
    provider = rig.provider(eventarc_triggers=[ENTRY])
    found = proposal(provider, ACTION)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    rig.admin.operate("eventarc", "delete_trigger", {"name": made.name})
    again = trigger(rig)

    assert verdict(action, found.target) == "not_contained"
    more, _ = close(action, found.target)
    happen(rig, "one")
    tick(rig)

    assert again.transport.pubsub.subscription in more
    assert effects(rig, f"push:{again.transport.pubsub.subscription.rpartition('/')[2]}") == 0
    assert set(undo(action, found.target, {**more, **prior}).objects.values()) == {Outcome.DRIFTED}
    assert verdict(action, found.target) == "contained"


def test_an_agent_that_updates_its_trigger_pushes_again_and_is_seen(rig: Rig) -> None:
    """An update sets the push configuration from the trigger."""
    agent = rig.account("bot", roles=["roles/eventarc.admin"])
    made = trigger(rig)
    provider = rig.provider(eventarc_triggers=[ENTRY])
    found = proposal(provider, ACTION)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    changed = {"name": made.name, "labels": {"a": "b"}}
    asked = {"trigger": changed, "update_mask": {"paths": ["labels"]}}
    rig.calls_as(rig.token(agent)).operate("eventarc", "update_trigger", asked)

    assert verdict(action, found.target) == "not_contained"
    close(action, found.target)

    assert Outcome.RESTORED in undo(action, found.target, prior).objects.values()


def test_a_trigger_whose_subscription_is_gone_delivers_nothing(rig: Rig) -> None:
    """And one that is gone has no step."""
    made = trigger(rig)
    provider = rig.provider(eventarc_triggers=[ENTRY, f"{LOCATION}/none"])
    discovery = provider.discover()
    found = proposal(provider, ACTION)
    action = provider.actions[found.action]
    rig.admin.call(
        "subscriptions", "delete_subscription", {"subscription": made.transport.pubsub.subscription}
    )

    assert verdict(action, found.target) == "contained"
    assert f"eventarc trigger {LOCATION}/none" in [one.resource for one in discovery.not_touched]
    rig.admin.operate("eventarc", "delete_trigger", {"name": made.name})
    assert verdict(action, found.target) == "contained"
