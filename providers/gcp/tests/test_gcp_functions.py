"""Functions of the 2nd generation are stopped as Cloud Run services; older ones stay open."""

from __future__ import annotations

import pytest

from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from providers.gcp.tests.rig_gcp import LOCATION, Rig, close, proposal, undo
from providers.gcp.tests.rig_run import BOT, Run, step

SCALE = "gcp.run.scale_service_to_zero"


@pytest.fixture
def run(rig: Rig) -> Run:
    """Return a project with the agent's account."""
    return Run.new(rig)


def deploy(run: Run, method: str = "create_function", **more: object) -> None:
    """Deploy the agent's function."""
    config = {"service_account_email": run.account, "min_instance_count": 1}
    function = {"service_config": config, **more}
    asked: dict[str, object] = {"parent": run.parent, "function_id": "bot", "function": function}
    if method == "update_function":
        asked = {"function": {"name": run.name("functions"), **function}}
    assert run.rig.admin.operate("functions", method, asked)


def test_a_function_stops_with_its_service_and_comes_back(run: Run) -> None:
    """The function itself is not written; its service is as before."""
    deploy(run)
    assert run.works("run:bot")
    before = (run.state("run"), run.state("functions"))
    action, target = step(run.rig.provider(functions=[BOT]), SCALE)
    prior, _ = close(action, target)
    run.later()
    assert not run.works("run:bot")
    undo(action, target, prior)
    assert (run.state("run"), run.state("functions")) == before


def test_a_deploy_overwrites_the_stop_and_the_next_round_sees_it(run: Run) -> None:
    """The agent deploys its function again: scaling is as the function says."""
    deploy(run)
    action, target = step(run.rig.provider(functions=[BOT]), SCALE)
    prior, _ = close(action, target)
    deploy(run, "update_function")
    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED
    close(action, target)
    assert undo(action, target, prior).objects["scaling"] is Outcome.RESTORED


def test_a_function_whose_service_is_named_too_gets_no_second_steps(run: Run) -> None:
    """One service, one set of steps."""
    deploy(run)
    provider = run.rig.provider(functions=[BOT], run_services=[BOT])
    assert proposal(provider, SCALE)
    assert any("steps of its own" in one.reason for one in provider.discover().not_touched)


def test_a_function_of_the_first_generation_stays_open(run: Run) -> None:
    """No setting keeps it from running, and the verdict says so."""
    deploy(run, environment="GEN_1")
    found = run.rig.provider(functions=[BOT, f"{LOCATION}/none"]).discover()
    [door] = [one.door for one in found.doors if "Function" in one.door.name]
    assert (door.name, door.verdict) == (f"Cloud Function {BOT}", Verdict.NOT_CONTAINED)
    assert any(f"{LOCATION}/none" in one.resource for one in found.not_touched)
