"""A function's concurrency: none at all, and back to what it was or was not."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.model.action import Grade
from breakglass.provider import Outcome
from breakglass_aws.actions import lambda_concurrency, lambda_invocations, lambda_mappings
from providers.aws.tests.rig_aws import Rig, close, proposal, undo
from providers.aws.tests.rig_platform import queue
from providers.aws.tests.rig_triggers import NAME, agent_function, at_once, still, verdict


def reserved(rig: Rig) -> dict[str, Any]:
    """Return what GetFunctionConcurrency says."""
    return still(rig.boto("lambda").get_function_concurrency(FunctionName=NAME))


@pytest.mark.parametrize("number", [None, 7, 0])
def test_no_invocation_starts_and_the_number_comes_back_or_its_absence(rig: Rig, number: int | None) -> None:
    """Absent stays absent, and 0 was a stop of somebody else's."""
    agent_function(rig)
    if number is not None:
        rig.boto("lambda").put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=number)
    before = reserved(rig)
    provider = rig.provider(functions=[NAME])
    found = proposal(provider, lambda_concurrency.SPEC.name)
    action = provider.actions[found.action]

    prior, _ = close(action, found.target)

    assert reserved(rig) == {"ReservedConcurrentExecutions": 0}
    expected = Outcome.ALREADY if number == 0 else Outcome.RESTORED
    assert undo(action, found.target, prior).objects == {"reserved": expected}
    assert reserved(rig) == before


def test_provisioned_concurrency_goes_first_and_comes_back_with_its_number(rig: Rig) -> None:
    """Lambda refuses to reserve less than is provisioned."""
    agent_function(rig)
    client = rig.boto("lambda")
    client.publish_version(FunctionName=NAME)
    client.create_alias(FunctionName=NAME, Name="live", FunctionVersion="1")
    client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=9)
    for qualifier, number in (("1", 3), ("live", 4)):
        client.put_provisioned_concurrency_config(
            FunctionName=NAME, Qualifier=qualifier, ProvisionedConcurrentExecutions=number
        )
    before = still(client.list_provisioned_concurrency_configs(FunctionName=NAME))
    provider = rig.provider(functions=[NAME])
    found = proposal(provider, lambda_concurrency.SPEC.name)
    action = provider.actions[found.action]

    prior, state = close(action, found.target)

    assert state.objects == {"reserved": {"executions": 0}}
    outcomes = undo(action, found.target, prior).objects
    assert set(outcomes.values()) == {Outcome.RESTORED}
    assert still(client.list_provisioned_concurrency_configs(FunctionName=NAME)) == before
    assert reserved(rig) == {"ReservedConcurrentExecutions": 9}


def test_a_number_that_somebody_changed_since_is_left_alone(rig: Rig) -> None:
    """An operator who gave the function 5 keeps them."""
    agent_function(rig)
    provider = rig.provider(functions=[NAME])
    found = proposal(provider, lambda_concurrency.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    rig.boto("lambda").put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=5)

    assert verdict(action, found.target) == "not_contained"
    assert undo(action, found.target, prior).objects == {"reserved": Outcome.DRIFTED}
    assert reserved(rig) == {"ReservedConcurrentExecutions": 5}


def test_an_answer_without_effect_is_not_believed(rig: Rig) -> None:
    """200 is no proof: what is read back decides."""
    agent_function(rig)
    provider = rig.provider(functions=[NAME])
    found = proposal(provider, lambda_concurrency.SPEC.name)
    action = provider.actions[found.action]
    rig.sandbox.control(
        "faults",
        {
            "faults": [
                {
                    "service": "lambda",
                    "operation": "PutFunctionConcurrency",
                    "answer": "no-effect",
                    "times": 1,
                }
            ]
        },
    )
    action.apply(found.target, action.observe(found.target), "token")

    assert verdict(action, found.target) == "not_contained"
    close(action, found.target)


def test_a_function_that_was_deleted_and_made_again_is_closed_again_and_not_restored(rig: Rig) -> None:
    """The new one has no reserved concurrency, which is what the old one had: nothing is to be undone."""
    agent_function(rig)
    client = rig.boto("lambda")
    client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=5)
    provider = rig.provider(functions=[NAME])
    found = proposal(provider, lambda_concurrency.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    client.delete_function(FunctionName=NAME)

    assert verdict(action, found.target) == "contained"
    assert undo(action, found.target, prior).objects == {"reserved": Outcome.DRIFTED}


def test_the_mappings_of_a_queue_are_waited_for_and_running_invocations_have_a_window(rig: Rig) -> None:
    """A throttled function would send its queue's messages to the dead-letter queue."""
    at_once(rig)
    agent_function(rig)
    _, source = queue(rig, "work")
    rig.boto("lambda").create_event_source_mapping(EventSourceArn=source, FunctionName=NAME)
    provider = rig.provider(functions=[NAME])
    stop, wait = (
        proposal(provider, spec.name) for spec in (lambda_concurrency.SPEC, lambda_invocations.SPEC)
    )

    assert [one.key for one in stop.after] == [lambda_mappings.key_of(NAME)]
    assert [one.key for one in wait.after] == [stop.key]
    assert (wait.best_grade, wait.window_s, wait.moot_by) == (Grade.NONE, 900, ())
    action = provider.actions[wait.action]
    assert verdict(action, wait.target) == "not_contained"
    close(provider.actions[stop.action], stop.target)
    assert verdict(action, wait.target) == "contained"


def test_who_may_invoke_the_function_is_named_as_a_neighbour(rig: Rig) -> None:
    """By the function's own policy."""
    agent_function(rig)
    rig.boto("lambda").add_permission(
        FunctionName=NAME,
        StatementId="s",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn="arn:aws:events:eu-west-1:123456789012:rule/nightly",
    )

    affected = proposal(rig.provider(functions=[NAME]), lambda_concurrency.SPEC.name).affects

    assert affected == ("events.amazonaws.com for arn:aws:events:eu-west-1:123456789012:rule/nightly",)


def test_a_function_on_managed_instances_is_an_open_door(rig: Rig) -> None:
    """No concurrency can be reserved there."""
    provider_config = {"CapacityProviderArn": "arn:aws:lambda:eu-west-1:123456789012:capacity-provider:p"}
    agent_function(
        rig, CapacityProviderConfig={"LambdaManagedInstancesCapacityProviderConfig": provider_config}
    )

    said = rig.provider(functions=[NAME]).discover()

    assert f"Lambda function {NAME}" in [one.door.name for one in said.doors]
    assert lambda_concurrency.SPEC.name not in {one.action for one in said.proposals}
