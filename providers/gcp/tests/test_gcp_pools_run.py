"""gcp.run.scale_pool_to_zero: no worker is left, and as many come back."""

from __future__ import annotations

import pytest

from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from providers.gcp.tests.rig_gcp import Rig, close, undo
from providers.gcp.tests.rig_run import BOT, Run, step

ACTION = "gcp.run.scale_pool_to_zero"
UPDATE = "/google.cloud.run.v2.WorkerPools/UpdateWorkerPool"


@pytest.fixture
def run(rig: Rig) -> Run:
    """Return a project with the agent's account."""
    return Run.new(rig)


@pytest.mark.parametrize("scaling", [{}, {"manual_instance_count": 3}])
def test_no_worker_is_left_and_the_number_comes_back(run: Run, scaling: dict[str, int]) -> None:
    """Also where no number was set, and so the usual one held."""
    run.pool(scaling=scaling)
    assert run.works("pool:bot")
    before = run.state("run_pools")
    action, target = step(run.rig.provider(worker_pools=[BOT]), ACTION)
    prior, last = close(action, target)
    assert not run.works("pool:bot")
    action.apply(target, last, "again")
    assert undo(action, target, prior).objects["scaling"] is Outcome.RESTORED
    assert run.state("run_pools") == before
    assert run.works("pool:bot")


def test_a_pool_that_was_empty_or_was_changed_since_is_left_alone(run: Run) -> None:
    """Already so, or drifted."""
    run.pool(scaling={"manual_instance_count": 0})
    action, target = step(run.rig.provider(worker_pools=[BOT]), ACTION)
    prior = action.observe(target).objects
    assert undo(action, target, prior).objects["scaling"] is Outcome.ALREADY
    pool = {"name": run.name("workerPools"), "scaling": {"manual_instance_count": 2}}
    asked = {"worker_pool": pool, "update_mask": {"paths": ["scaling"]}}
    run.rig.admin.operate("run_pools", "update_worker_pool", asked)
    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED
    assert undo(action, target, prior).objects["scaling"] is Outcome.DRIFTED


def test_a_change_that_never_comes_into_force_is_unknown(run: Run) -> None:
    """The workers work on, and nobody says contained."""
    run.pool()
    action, target = step(run.rig.provider(worker_pools=[BOT]), ACTION)
    seen = action.observe(target)
    run.rig.control("faults", {"faults": [{"method": UPDATE, "operation": "never"}]})
    action.apply(target, seen, "t")
    assert action.judge(target, action.observe(target)).verdict is Verdict.UNKNOWN
    assert run.works("pool:bot")


def test_a_pool_that_is_not_there_is_said(run: Run) -> None:
    """Not touched, and why."""
    found = run.rig.provider(worker_pools=[BOT]).discover()
    assert any(BOT in one.resource for one in found.not_touched)
