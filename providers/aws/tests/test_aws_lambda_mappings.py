"""Event source mappings: every one of a function is disabled, and back as it was."""

from __future__ import annotations

from typing import Any

from breakglass.provider import Outcome
from breakglass_aws.actions import lambda_mappings
from breakglass_aws.sandbox.process import ACCOUNT, REGION
from providers.aws.tests.rig_aws import Rig, close, proposal, undo
from providers.aws.tests.rig_platform import function, queue, until
from providers.aws.tests.rig_triggers import NAME, agent_function, at_once, still, verdict

MANY = 120


def mapping(rig: Rig, name: str, of: str = NAME, **more: Any) -> str:  # noqa: ANN401 - what boto3 takes
    """Map a queue of its own to a function; return the UUID."""
    _, source = queue(rig, name)
    made = rig.boto("lambda").create_event_source_mapping(EventSourceArn=source, FunctionName=of, **more)
    return str(made["UUID"])


def _read(client: Any, uuid: str) -> dict[str, Any]:  # noqa: ANN401 - boto3 has no types
    return still(client.get_event_source_mapping(UUID=uuid))


def test_mappings_of_the_function_and_of_its_alias_are_disabled_and_only_those_on_come_back(rig: Rig) -> None:
    """What was off stays off; a neighbour's mapping is not touched; the rest is equal byte for byte."""
    at_once(rig)
    arn = agent_function(rig)
    function(rig, "neighbour", f"arn:aws:iam::{ACCOUNT}:role/bot-role")
    client = rig.boto("lambda")
    client.publish_version(FunctionName=NAME)
    client.create_alias(FunctionName=NAME, Name="live", FunctionVersion="1")
    plain, aliased = mapping(rig, "q1"), mapping(rig, "q2", f"{arn}:live")
    off, other = mapping(rig, "q3", Enabled=False), mapping(rig, "q4", "neighbour")
    before = {
        uuid: still(client.get_event_source_mapping(UUID=uuid)) for uuid in (plain, aliased, off, other)
    }
    provider = rig.provider(functions=[NAME])
    found = proposal(provider, lambda_mappings.SPEC.name)
    action = provider.actions[found.action]

    prior, state = close(action, found.target)

    assert set(state.objects) == {plain, aliased, off}
    assert client.get_event_source_mapping(UUID=other)["State"] == "Enabled"
    outcomes = undo(action, found.target, prior).objects
    assert outcomes == {plain: Outcome.RESTORED, aliased: Outcome.RESTORED, off: Outcome.ALREADY}
    until(lambda: all(_read(client, uuid) == was for uuid, was in before.items()), "all are as before")


def test_disabling_is_not_disabled(rig: Rig) -> None:
    """A mapping that is being disabled may take another batch."""
    agent_function(rig)
    mapping(rig, "q1")
    rig.sandbox.control("platform", {"transition_s": 3600, "on": False})
    provider = rig.provider(functions=[NAME])
    found = proposal(provider, lambda_mappings.SPEC.name)
    action = provider.actions[found.action]
    action.apply(found.target, action.observe(found.target), "token")

    assert verdict(action, found.target) == "not_contained"
    rig.sandbox.control("platform", {"transition_s": 0})
    assert verdict(action, found.target) == "contained"


def test_a_mapping_that_the_agent_makes_or_enables_again_is_a_new_round(rig: Rig) -> None:
    """The one that it made is disabled too and, at the restore, comes back as it was first seen."""
    at_once(rig)
    agent_function(rig)
    first = mapping(rig, "q1")
    provider = rig.provider(functions=[NAME])
    found = proposal(provider, lambda_mappings.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    rig.boto("lambda").update_event_source_mapping(UUID=first, Enabled=True)
    second = mapping(rig, "q2")

    assert verdict(action, found.target) == "not_contained"
    again, state = close(action, found.target)

    assert set(state.objects) == {first, second}
    outcomes = undo(action, found.target, {**again, **prior}).objects
    assert outcomes == {first: Outcome.RESTORED, second: Outcome.RESTORED}


def test_a_mapping_that_changed_or_is_gone_is_left_alone_at_the_restore(rig: Rig) -> None:
    """Nobody enables what others gave another batch size, or what others deleted."""
    at_once(rig)
    agent_function(rig)
    changed, deleted = mapping(rig, "q1"), mapping(rig, "q2")
    provider = rig.provider(functions=[NAME])
    found = proposal(provider, lambda_mappings.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    client = rig.boto("lambda")
    client.update_event_source_mapping(UUID=changed, BatchSize=3)
    client.delete_event_source_mapping(UUID=deleted)

    assert undo(action, found.target, prior).objects == dict.fromkeys((changed, deleted), Outcome.DRIFTED)
    assert client.get_event_source_mapping(UUID=changed)["State"] == "Disabled"


def test_mappings_of_every_page_are_disabled(rig: Rig) -> None:
    """The listing goes on to its end."""
    at_once(rig)
    agent_function(rig)
    client = rig.boto("lambda")
    source = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s"
    rig.boto("kinesis").create_stream(StreamName="s", ShardCount=1)
    for _ in range(MANY):
        client.create_event_source_mapping(
            EventSourceArn=source, FunctionName=NAME, StartingPosition="LATEST", Enabled=False
        )
    last = mapping(rig, "last")
    provider = rig.provider(functions=[NAME])
    found = proposal(provider, lambda_mappings.SPEC.name)
    action = provider.actions[found.action]

    _, state = close(action, found.target)

    assert len(state.objects) == MANY + 1
    assert client.get_event_source_mapping(UUID=last)["State"] == "Disabled"


def test_a_function_that_is_not_there_is_said(rig: Rig) -> None:
    """It is in the list of what is not touched, once."""
    said = rig.provider(functions=["ghost"]).discover()

    resources = [one.resource for one in said.not_touched]
    assert resources.count("Lambda function ghost") == 1
    assert not said.incomplete
