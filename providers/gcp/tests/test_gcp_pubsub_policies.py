"""Policies of subscriptions and topics: the agent takes nothing and writes nothing by them, and others do."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.errors import Denied
from breakglass.model.action import Grade, Verdict
from breakglass.model.plan import DoorKind
from breakglass.provider import Outcome
from breakglass_gcp.actions import pubsub_members
from providers.gcp.tests.feeds_gcp import publish, pushing, still, subscription, topic, verdict
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo

PULL, WRITE = pubsub_members.SUBSCRIBERS.spec.name, pubsub_members.PUBLISHERS.spec.name
SUBSCRIBER, PUBLISHER = "roles/pubsub.subscriber", "roles/pubsub.publisher"


def grant(rig: Rig, service: str, name: str, *bindings: dict[str, Any]) -> None:
    """Set the policy of a topic or subscription."""
    policy = {"version": 3, "bindings": list(bindings)}
    rig.admin.call(service, "set_iam_policy", {"resource": name, "policy": policy})


def test_the_agent_pulls_no_more_and_its_neighbour_does(rig: Rig) -> None:
    """Also from a subscription that was pushed; what is put back stands where it stood."""
    agent, other = rig.account("bot"), rig.account("neighbour")
    topic(rig)
    name = subscription(rig)
    both = [f"serviceAccount:{agent}", f"serviceAccount:{other}"]
    grant(rig, "subscriptions", name, {"role": SUBSCRIBER, "members": both})
    before = still(rig)
    publish(rig, "one", "two")
    provider = rig.provider(subscriptions=["inbox"], service_accounts=[agent])
    found = proposal(provider, PULL)
    action = provider.actions[found.action]
    pull = {"subscription": name, "max_messages": 1}
    assert len(rig.calls_as(rig.token(agent)).call("subscriptions", "pull", pull).received_messages) == 1

    prior, _ = close(action, found.target)

    with pytest.raises(Denied):
        rig.calls_as(rig.token(agent)).call("subscriptions", "pull", pull)
    assert len(rig.calls_as(rig.token(other)).call("subscriptions", "pull", pull).received_messages) == 1
    assert set(undo(action, found.target, prior).objects.values()) == {Outcome.RESTORED}
    assert still(rig) == before


def test_the_agent_publishes_no_more_in_the_topics_that_are_named(rig: Rig) -> None:
    """With every role that it has there, conditions and all."""
    agent = rig.account("bot")
    name = topic(rig, "results")
    member = f"serviceAccount:{agent}"
    condition = {"title": "always", "expression": "request.time < timestamp('2099-01-01T00:00:00Z')"}
    once = {"role": PUBLISHER, "members": [member]}
    grant(
        rig,
        "topics",
        name,
        once,
        {"role": "roles/pubsub.editor", "members": [member], "condition": condition},
    )
    before = still(rig)
    provider = rig.provider(topics=["results"], service_accounts=[agent])
    found = proposal(provider, WRITE)
    action = provider.actions[found.action]
    calls = rig.calls_as(rig.token(agent))
    asked = {"topic": name, "messages": [{"data": b"x"}]}
    calls.call("topics", "publish", asked)

    prior, _ = close(action, found.target)

    with pytest.raises(Denied):
        calls.call("topics", "publish", asked)
    assert len(prior) == 2
    assert set(undo(action, found.target, prior).objects.values()) == {Outcome.RESTORED}
    assert still(rig) == before


def test_a_role_of_the_project_is_found_by_asking_as_the_agent(rig: Rig) -> None:
    """The policy names nobody, and the agent pulls all the same until its account is disabled."""
    agent = rig.account("bot", roles=[SUBSCRIBER])
    topic(rig)
    subscription(rig)
    rig.secrets.keep_token("proof", rig.token(agent))
    provider = rig.provider(
        subscriptions=["inbox"], service_accounts=[agent], agent_credentials={agent: "proof"}
    )
    found = proposal(provider, PULL)
    action = provider.actions[found.action]
    close(action, found.target)

    told = action.probe(found.target)
    rig.admin.call("iam_admin", "disable_service_account", {"name": f"projects/-/serviceAccounts/{agent}"})
    after = action.probe(found.target)

    assert told is not None
    assert after is not None
    assert (told.verdict, found.best_grade) == (Verdict.NOT_CONTAINED, Grade.PLATFORM_EVALUATOR)
    assert (after.verdict, after.grade) == (Verdict.CONTAINED, Grade.PLATFORM_EVALUATOR)


def test_without_a_token_of_the_agents_nothing_but_the_read_back_is_claimed(rig: Rig) -> None:
    """And only after the time that IAM may take."""
    agent = rig.account("bot")
    topic(rig)
    subscription(rig)
    provider = rig.provider(subscriptions=["inbox"], service_accounts=[agent])

    found = proposal(provider, PULL)

    assert found.best_grade is Grade.READ_BACK
    assert found.settle_s == pytest.approx(0.42)
    assert provider.actions[found.action].probe(found.target) is None


def test_a_policy_that_lets_anybody_in_is_an_open_door(rig: Rig) -> None:
    """The agent needs no credential there; whose door it is decides a person."""
    agent = rig.account("bot")
    name = topic(rig, "results")
    grant(rig, "topics", name, {"role": PUBLISHER, "members": ["allAuthenticatedUsers"]})

    doors = rig.provider(topics=["results"], service_accounts=[agent]).discover().doors

    mine = [one.door for one in doors if one.door.name.startswith("topic results")]
    assert [(one.kind, one.verdict) for one in mine] == [(DoorKind.NO_STEP, Verdict.NOT_CONTAINED)]


def test_an_agent_that_grants_itself_the_role_again_is_seen_and_does_not_get_it_back(rig: Rig) -> None:
    """What was granted after the plan was made stays away; a conflict of writers loses nobody's change."""
    agent = rig.account("bot")
    topic(rig)
    name = subscription(rig, push_config=pushing())
    provider = rig.provider(subscriptions=["inbox"], service_accounts=[agent])
    found = proposal(provider, PULL)
    action = provider.actions[found.action]
    grant(rig, "subscriptions", name, {"role": "roles/pubsub.admin", "members": [f"serviceAccount:{agent}"]})

    assert verdict(action, found.target) == "not_contained"
    rig.control("faults", {"faults": [{"method": "*SetIamPolicy", "code": "ABORTED", "times": 2}]})
    prior, _ = close(action, found.target)

    assert verdict(action, found.target) == "contained"
    assert set(undo(action, found.target, prior).objects.values()) == {Outcome.ENDED}
    assert verdict(action, found.target) == "contained"


def test_without_an_account_of_the_agents_there_is_nobody_to_take_out(rig: Rig) -> None:
    """It is said, and no step is proposed."""
    topic(rig)
    subscription(rig)

    discovery = rig.provider(subscriptions=["inbox"]).discover()

    assert PULL not in [one.action for one in discovery.proposals]
    assert "policy of subscription inbox" in [one.resource for one in discovery.not_touched]
