"""gcp.workflows.cancel_executions: what is active or queued ends; what it started is stopped there."""

from __future__ import annotations

import json

import pytest

from breakglass.errors import ProviderError
from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from providers.gcp.tests.rig_gcp import LOCATION, Rig, close, undo
from providers.gcp.tests.rig_run import BOT, Run, step

ACTION = "gcp.workflows.cancel_executions"
CALL = "/google.cloud.workflows.executions.v1.Executions/CancelExecution"


@pytest.fixture
def run(rig: Rig) -> Run:
    """Return a project with the agent's account and its workflow."""
    made = Run.new(rig)
    made.workflow()
    return made


def start(run: Run, times: int = 1, **argument: object) -> str:
    """Start executions of the workflow; return the last one."""
    body = {"workflow": BOT, "argument": json.dumps(argument)}
    return str([run.rig.control("workflows.execute", body)["execution"] for _ in range(times)][-1])


def test_active_and_queued_executions_end(run: Run) -> None:
    """A queued one would become active once the other has ended."""
    start(run)
    start(run, 2, waits=True)
    assert run.works("workflow:bot")
    action, target = step(run.rig.provider(workflows=[BOT]), ACTION)
    prior, last = close(action, target)
    assert len(prior) == 3
    assert not run.works("workflow:bot")
    action.apply(target, last, "again")
    assert set(undo(action, target, prior).objects.values()) == {Outcome.ENDED}
    assert not run.works("workflow:bot")


def test_one_that_the_agent_starts_between_rounds_is_cancelled_too(run: Run) -> None:
    """With its own token, which nothing here cuts off."""
    start(run)
    agent = run.rig.calls_as(run.rig.token(run.account))
    action, target = step(run.rig.provider(workflows=[BOT]), ACTION)
    action.apply(target, action.observe(target), "t")
    asked = {"parent": run.name("workflows"), "execution": {}}
    agent.call("workflow_executions", "create_execution", asked)
    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED
    close(action, target)
    assert not run.works("workflow:bot")
    agent.close()


def test_what_an_execution_started_elsewhere_goes_on_until_it_is_named(run: Run) -> None:
    """A child of another workflow is not cancelled with its parent."""
    run.workflow("child")
    start(run, starts=f"{LOCATION}/child")
    provider = run.rig.provider(workflows=[BOT, f"{LOCATION}/child"])
    steps = {one.target.id: one.target for one in provider.discover().proposals if one.action == ACTION}
    action = provider.actions[ACTION]
    close(action, steps[f"workflow/{BOT}"])
    assert not run.works("workflow:bot")
    assert run.works("workflow:child")
    close(action, steps[f"workflow/{LOCATION}/child"])
    assert not run.works("workflow:child")


def test_one_whose_data_nobody_can_read_is_unknown(run: Run) -> None:
    """The agent takes the key away: the execution goes on, and is not taken for ended."""
    execution = start(run)
    run.rig.control("workflows.hide", {"execution": execution})
    action, target = step(run.rig.provider(workflows=[BOT]), ACTION)
    seen = action.observe(target)
    assert action.judge(target, seen).verdict is Verdict.UNKNOWN
    action.apply(target, seen, "t")
    assert run.works("workflow:bot")
    assert action.judge(target, action.observe(target)).verdict is Verdict.UNKNOWN


def test_a_cancel_that_fails_keeps_no_other_from_being_cancelled(run: Run) -> None:
    """The failure is told, and the next round does the rest."""
    start(run, 3)
    action, target = step(run.rig.provider(workflows=[BOT]), ACTION)
    seen = action.observe(target)
    run.rig.control("faults", {"faults": [{"method": CALL, "code": "UNAVAILABLE", "times": 1}]})
    with pytest.raises(ProviderError):
        action.apply(target, seen, "t")
    assert len(action.observe(target).objects) == 1
    close(action, target)


def test_who_may_start_it_again_is_said(run: Run) -> None:
    """A workflow has neither a pause nor a policy of its own."""
    found = run.rig.provider(workflows=[BOT]).discover()
    assert any(one.resource == f"who starts workflow {BOT}" for one in found.not_touched)
