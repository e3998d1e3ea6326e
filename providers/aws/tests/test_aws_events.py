"""EventBridge rules and pipes: they start nothing, and are afterwards what they were."""

from __future__ import annotations

import pytest

from breakglass.provider import Outcome
from breakglass_aws.actions import events_rules, pipes
from providers.aws.tests.rig_aws import Rig, close, proposal, undo
from providers.aws.tests.rig_platform import queue, role, until
from providers.aws.tests.rig_triggers import at_once, still, verdict

PATTERN = '{"source": ["bot"]}'
ALL_EVENTS = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"


@pytest.mark.parametrize("state", ["ENABLED", ALL_EVENTS, "DISABLED"])
def test_a_rule_is_disabled_and_has_its_own_state_again(rig: Rig, state: str) -> None:
    """Also the state that EnableRule cannot give; a rule that was off stays off."""
    events = rig.boto("events")
    events.create_event_bus(Name="work")
    named = {"Name": "wake", "EventBusName": "work"}
    events.put_rule(**named, EventPattern=PATTERN, Description="wakes it", State=state)
    before = still(events.describe_rule(**named))
    provider = rig.provider(rules=["work/wake"])
    found = proposal(provider, events_rules.SPEC.name)
    action = provider.actions[found.action]

    prior, _ = close(action, found.target)

    assert events.describe_rule(**named)["State"] == "DISABLED"
    expected = Outcome.ALREADY if state == "DISABLED" else Outcome.RESTORED
    assert undo(action, found.target, prior).objects == {"rule": expected}
    assert still(events.describe_rule(**named)) == before


def test_a_rule_that_the_agent_enables_is_disabled_again_and_one_that_it_changes_is_not_restored(
    rig: Rig,
) -> None:
    """Nobody enables a pattern that the agent left there."""
    events = rig.boto("events")
    events.put_rule(Name="wake", EventPattern=PATTERN)
    provider = rig.provider(rules=["wake"])
    found = proposal(provider, events_rules.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    events.put_rule(Name="wake", EventPattern='{"source": ["all"]}', State="ENABLED")

    assert verdict(action, found.target) == "not_contained"
    close(action, found.target)
    assert undo(action, found.target, prior).objects == {"rule": Outcome.DRIFTED}
    assert events.describe_rule(Name="wake")["State"] == "DISABLED"


def test_a_rule_that_aws_manages_is_a_door_and_one_that_is_not_there_is_said(rig: Rig) -> None:
    """Neither has a step; a foreign target of a rule is named as a neighbour."""
    events = rig.boto("events")
    events.put_rule(Name="managed", EventPattern=PATTERN)
    rig.sandbox.control("platform", {"managed_rule": {"name": "managed", "by": "autoscaling.amazonaws.com"}})
    events.put_rule(Name="wake", EventPattern=PATTERN)
    (_, own), (_, other) = queue(rig, "own"), queue(rig, "other")
    events.put_targets(Rule="wake", Targets=[{"Id": "1", "Arn": own}, {"Id": "2", "Arn": other}])

    said = rig.provider(rules=["managed", "ghost", "wake"], queues=["own"]).discover()

    assert "EventBridge rule default/managed" in {one.door.name for one in said.doors}
    assert "EventBridge rule default/ghost" in {one.resource for one in said.not_touched}
    steps = [one for one in said.proposals if one.action == events_rules.SPEC.name]
    assert [(one.key, one.affects) for one in steps] == [("disable_rule:default/wake", (f"target {other}",))]


def test_a_pipe_has_stopped_once_it_says_stopped_and_runs_again(rig: Rig) -> None:
    """Stopping is not stopped; one that was stopped before is not started."""
    at_once(rig)
    client = rig.boto("pipes")
    arn = role(rig, "pipe-role", "pipes.amazonaws.com")
    (_, source), (_, target) = queue(rig, "in"), queue(rig, "out")
    client.create_pipe(Name="p", Source=source, Target=target, RoleArn=arn)
    until(lambda: client.describe_pipe(Name="p")["CurrentState"] == "RUNNING", "the pipe runs")
    provider = rig.provider(pipes=["p"])
    found = proposal(provider, pipes.SPEC.name)
    action = provider.actions[found.action]

    prior, _ = close(action, found.target)

    assert client.describe_pipe(Name="p")["CurrentState"] == "STOPPED"
    again, _ = close(action, found.target)
    assert undo(action, found.target, again).objects == {"pipe": Outcome.ALREADY}
    assert undo(action, found.target, prior).objects == {"pipe": Outcome.RESTORED}
    assert client.describe_pipe(Name="p")["DesiredState"] == "RUNNING"
