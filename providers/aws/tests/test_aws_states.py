"""Step Functions: every running execution is stopped, of map runs too; express ones have a window."""

from __future__ import annotations

import json

import pytest

from breakglass.model.action import Grade
from breakglass.provider import Outcome
from breakglass_aws.actions import states
from providers.aws.tests.rig_aws import Rig, close, proposal, undo
from providers.aws.tests.rig_platform import role
from providers.aws.tests.rig_triggers import at_once, verdict

WAIT = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": True}}}
MAP = {
    "StartAt": "M",
    "States": {
        "M": {"Type": "Map", "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED"}}, "End": True}
    },
}
MANY = 110


def machine(rig: Rig, definition: object = WAIT, *, kind: str = "STANDARD") -> str:
    """Make the agent's state machine; return its ARN."""
    at_once(rig)
    arn = role(rig, "flow-role", "states.amazonaws.com")
    made = rig.boto("stepfunctions").create_state_machine(
        name="flow", definition=json.dumps(definition), roleArn=arn, type=kind
    )
    return str(made["stateMachineArn"])


def test_executions_of_every_page_are_stopped_and_stay_ended(rig: Rig) -> None:
    """One that starts meanwhile is stopped in a round of its own; no error or cause is given."""
    arn = machine(rig)
    client = rig.boto("stepfunctions")
    for _ in range(MANY):
        client.start_execution(stateMachineArn=arn)
    provider = rig.provider(state_machines=["flow"])
    found = proposal(provider, states.SPEC.name)
    assert found.key == "stop_executions:flow"
    assert str(found.target.params["role_arn"]).endswith(":role/flow-role")
    action = provider.actions[found.action]

    prior, _ = close(action, found.target)

    assert len(prior) == MANY
    late = client.start_execution(stateMachineArn=arn)["executionArn"]
    assert verdict(action, found.target) == "not_contained"
    close(action, found.target)
    assert client.describe_execution(executionArn=late)["status"] == "ABORTED"
    assert set(undo(action, found.target, prior).objects.values()) == {Outcome.ENDED}
    assert verdict(action, found.target) == "contained"


def test_the_children_of_a_map_run_are_stopped_after_their_parent(rig: Rig) -> None:
    """They are found below a parent that was stopped already."""
    arn = machine(rig, MAP)
    parent = rig.boto("stepfunctions").start_execution(stateMachineArn=arn)["executionArn"]
    rig.sandbox.control("map_run", {"execution": parent, "children": 3})
    rig.boto("stepfunctions").stop_execution(executionArn=parent)
    provider = rig.provider(state_machines=["flow"])
    found = proposal(provider, states.SPEC.name)
    action = provider.actions[found.action]

    assert verdict(action, found.target) == "not_contained"
    prior, _ = close(action, found.target)

    assert len(prior) == 3
    assert set(rig.sandbox.control("state")["map run children"].values()) == {"ABORTED"}


@pytest.mark.parametrize(("roles", "moot"), [(["flow-role"], ("deny_role:flow-role",)), ([], ())])
def test_express_executions_have_a_window_that_only_the_denied_role_ends(
    rig: Rig, roles: list[str], moot: tuple[str, ...]
) -> None:
    """They cannot be stopped."""
    machine(rig, kind="EXPRESS")
    provider = rig.provider(state_machines=["flow"], roles=roles)  # type: ignore[arg-type]  # JSON's list is invariant
    found = proposal(provider, states.SPEC.name)

    assert (found.best_grade, found.window_s, found.moot_by) == (Grade.NONE, 300, moot)
    assert verdict(provider.actions[found.action], found.target) == "contained"


def test_a_stop_that_was_answered_and_had_no_effect_is_not_believed(rig: Rig) -> None:
    """What is read back decides."""
    arn = machine(rig)
    rig.boto("stepfunctions").start_execution(stateMachineArn=arn)
    provider = rig.provider(state_machines=["flow", "ghost"])
    assert "state machine ghost" in {one.resource for one in provider.discover().not_touched}
    found = proposal(provider, states.SPEC.name)
    action = provider.actions[found.action]
    fault = {"service": "stepfunctions", "operation": "StopExecution", "answer": "no-effect", "times": 1}
    rig.sandbox.control("faults", {"faults": [fault]})
    action.apply(found.target, action.observe(found.target), "token")

    assert verdict(action, found.target) == "not_contained"
    close(action, found.target)
