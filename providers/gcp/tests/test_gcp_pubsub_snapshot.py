"""Snapshots of a backlog: the messages of the stop's moment come back, whoever took them."""

from __future__ import annotations

import pytest

from breakglass.errors import ProviderError
from breakglass.provider import Outcome
from breakglass_gcp.actions import pubsub_snapshot
from providers.gcp.tests.feeds_gcp import backlog, publish, subscription, topic, verdict
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo

ACTION = pubsub_snapshot.SPEC.name


def test_what_the_agent_acknowledges_after_the_snapshot_comes_back_with_a_seek(rig: Rig) -> None:
    """And the undo leaves the snapshot, which is written down as evidence."""
    topic(rig)
    name = subscription(rig)
    publish(rig, "one", "two")
    provider = rig.provider(subscriptions=["inbox"])
    found = proposal(provider, ACTION)
    action = provider.actions[found.action]

    prior, state = close(action, found.target)
    seen = rig.admin.call("subscriptions", "pull", {"subscription": name, "max_messages": 9})
    acks = [one.ack_id for one in seen.received_messages]
    rig.admin.call("subscriptions", "acknowledge", {"subscription": name, "ack_ids": acks})
    empty = backlog(rig)
    taken = state.objects["snapshot"]
    assert isinstance(taken, dict)
    rig.admin.call("subscriptions", "seek", {"subscription": name, "snapshot": taken["name"]})

    assert (empty, backlog(rig)) == ([], ["one", "two"])
    assert list((rig.folder / "incident-0" / "evidence" / "gcp" / "pubsub").iterdir())
    assert undo(action, found.target, prior).objects == {"snapshot": Outcome.ALREADY}
    assert verdict(action, found.target) == "contained"


def test_a_second_round_takes_no_second_snapshot(rig: Rig) -> None:
    """Its name is of the incident and the subscription."""
    topic(rig)
    subscription(rig)
    provider = rig.provider(subscriptions=["inbox"])
    found = proposal(provider, ACTION)
    action = provider.actions[found.action]
    before = action.observe(found.target)

    action.apply(found.target, before, "first")
    action.apply(found.target, before, "again")

    project = {"project": f"projects/{rig.project}"}
    assert len(rig.admin.every("subscriptions", "list_snapshots", project).items) == 1


def test_a_backlog_that_is_too_old_for_a_snapshot_is_said_and_is_not_contained(rig: Rig) -> None:
    """Google refuses a snapshot that would end within the hour."""
    topic(rig)
    subscription(rig)
    publish(rig, "one")
    old = {"method": "*CreateSnapshot", "code": "FAILED_PRECONDITION", "message": "too old"}
    rig.control("faults", {"faults": [old]})
    provider = rig.provider(subscriptions=["inbox"])
    found = proposal(provider, ACTION)
    action = provider.actions[found.action]

    with pytest.raises(ProviderError, match="too old"):
        close(action, found.target)

    assert verdict(action, found.target) == "not_contained"


def test_a_subscription_that_goes_has_nothing_to_take(rig: Rig) -> None:
    """Its messages went with it."""
    topic(rig)
    name = subscription(rig)
    provider = rig.provider(subscriptions=["inbox"])
    found = proposal(provider, ACTION)
    action = provider.actions[found.action]

    rig.admin.call("subscriptions", "delete_subscription", {"subscription": name})

    assert verdict(action, found.target) == "contained"
