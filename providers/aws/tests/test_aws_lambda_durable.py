"""Durable executions: paused at their next checkpoint, and resumed."""

from __future__ import annotations

import pytest

from breakglass.model.resource import Resource
from breakglass.provider import Action, Outcome
from breakglass_aws.actions import durable
from breakglass_aws.tiers import UNVERIFIED
from providers.aws.tests.rig_aws import Rig, close, proposal, undo
from providers.aws.tests.rig_triggers import NAME, agent_function, verdict

MANY = 105


@pytest.fixture
def step(rig: Rig) -> tuple[Action, Resource]:
    """Make a durable function and return its step."""
    agent_function(rig, DurableConfig={"ExecutionTimeout": 3600})
    provider = rig.provider(functions=[NAME])
    found = proposal(provider, durable.SPEC.name)
    assert UNVERIFIED in found.target.label
    return provider.actions[found.action], found.target


def begin(rig: Rig, name: str, *, final: bool = False, version: str = "1") -> str:
    """Start a durable execution; `final`: it can only be stopped."""
    body = {"function": NAME, "name": name, "final": final, "version": version}
    return str(rig.sandbox.control("durable", body)["arn"])


def test_all_that_run_are_paused_and_go_on_afterwards(rig: Rig, step: tuple[Action, Resource]) -> None:
    """Of every version and on every page; pausing is not paused; what was paused before stays so."""
    action, target = step
    arns = [begin(rig, f"loop-{n}", version=str(n % 3)) for n in range(MANY)]
    client = rig.boto("lambda")
    client.pause_durable_execution(DurableExecutionArn=arns[0])
    client.list_durable_executions_by_function(FunctionName=NAME)
    first = action.observe(target)
    action.apply(target, first, "token")

    assert verdict(action, target) == "not_contained"
    prior, state = close(action, target)

    assert set(state.objects) == set(arns)
    outcomes = undo(action, target, {**prior, **first.objects}).objects
    assert outcomes == {arns[0]: Outcome.ALREADY, **dict.fromkeys(arns[1:], Outcome.RESTORED)}
    seen = client.get_paginator("list_durable_executions_by_function").paginate(FunctionName=NAME)
    statuses = [one["Status"] for page in seen for one in page["DurableExecutions"]]
    assert sorted(statuses) == ["PAUSED", *["RUNNING"] * (MANY - 1)]


def test_one_that_cannot_be_paused_is_stopped_for_good(rig: Rig, step: tuple[Action, Resource]) -> None:
    """And the restore says that it has ended."""
    action, target = step
    arn = begin(rig, "final", final=True)

    prior, state = close(action, target)

    assert not state.objects
    assert undo(action, target, prior).objects == {arn: Outcome.ENDED}


def test_one_that_the_agent_resumes_is_paused_again(rig: Rig, step: tuple[Action, Resource]) -> None:
    """Each round looks anew."""
    action, target = step
    arn = begin(rig, "loop")
    close(action, target)
    rig.boto("lambda").resume_durable_execution(DurableExecutionArn=arn)

    assert verdict(action, target) == "not_contained"
    close(action, target)


def test_a_plain_function_has_no_such_step(rig: Rig) -> None:
    """It has no durable executions."""
    agent_function(rig)

    assert durable.SPEC.name not in {
        one.action for one in rig.provider(functions=[NAME]).discover().proposals
    }
