"""gcp.run.cancel_executions and gcp.run.remove_job_invokers: what runs ends, and the job starts no more."""

from __future__ import annotations

import threading
import time

import pytest

from breakglass.errors import Denied, ProviderError
from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo
from providers.gcp.tests.rig_run import BOT, Run, step

CANCEL, BLOCK = "gcp.run.cancel_executions", "gcp.run.remove_job_invokers"
CALL = "/google.cloud.run.v2.Executions/CancelExecution"


@pytest.fixture
def run(rig: Rig) -> Run:
    """Return a project with the agent's account and its job."""
    made = Run.new(rig)
    made.job()
    return made


def start(run: Run, times: int = 1) -> None:
    """Start executions of the job."""
    for _ in range(times):
        run.rig.control("run.execute_job", {"job": BOT})


def test_every_running_execution_ends_on_all_pages(run: Run) -> None:
    """More than one page of them, and none is started again by the restore."""
    start(run, 103)
    assert run.works("run-job:bot")
    action, target = step(run.rig.provider(run_jobs=[BOT]), CANCEL)
    prior, last = close(action, target, rounds=8)
    assert len(prior) == 103
    assert not run.works("run-job:bot")
    action.apply(target, last, "again")
    assert set(undo(action, target, prior).objects.values()) == {Outcome.ENDED}
    assert not run.works("run-job:bot")


def test_executions_that_the_agent_starts_meanwhile_are_cancelled_too(run: Run) -> None:
    """It races with its own token until somebody cuts that off; each round sees what came since."""
    start(run)
    token = run.rig.token(run.account)
    agent = run.rig.calls_as(token)
    action, target = step(run.rig.provider(run_jobs=[BOT]), CANCEL)
    over = threading.Event()
    started: list[str] = []

    def race() -> None:
        while not over.is_set() and len(started) < 40:
            agent.call("run_jobs", "run_job", {"name": run.name("jobs")})
            started.append("one")

    racing = threading.Thread(target=race)
    racing.start()
    for n in range(4):
        action.apply(target, action.observe(target), f"t{n}")
    over.set()
    racing.join()
    close(action, target)
    assert started
    assert not run.works("run-job:bot")
    agent.close()


def test_a_cancel_that_fails_keeps_no_other_from_being_cancelled(run: Run) -> None:
    """The failure is told, and the next round does the rest."""
    start(run, 3)
    action, target = step(run.rig.provider(run_jobs=[BOT]), CANCEL)
    seen = action.observe(target)
    run.rig.control("faults", {"faults": [{"method": CALL, "code": "INTERNAL", "times": 1}]})
    with pytest.raises(ProviderError):
        action.apply(target, seen, "t")
    time.sleep(0.2)
    assert len(action.observe(target).objects) == 1
    close(action, target)


def test_a_cancel_that_never_ends_is_never_contained(run: Run) -> None:
    """The execution runs on, and is read as running."""
    start(run)
    action, target = step(run.rig.provider(run_jobs=[BOT]), CANCEL)
    run.rig.control("faults", {"faults": [{"method": CALL, "operation": "never"}]})
    started_s = time.monotonic()
    action.apply(target, action.observe(target), "t")
    assert time.monotonic() - started_s < 40
    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED
    assert run.works("run-job:bot")


def test_nobody_starts_the_job_by_its_own_policy_and_each_comes_back(run: Run) -> None:
    """Starters lose their role, the agent every role; a reader that is not the agent keeps its own."""
    other = run.rig.account("scheduler")
    policy = {
        "version": 3,
        "bindings": [
            {"role": "roles/run.viewer", "members": ["user:kim@sandbox.example"]},
            {
                "role": "roles/run.invoker",
                "members": [f"serviceAccount:{other}", "user:kim@sandbox.example"],
                "condition": {"title": "days", "expression": "true"},
            },
            {"role": "roles/run.developer", "members": [f"serviceAccount:{run.account}"]},
        ],
    }
    resource = run.name("jobs")
    policy["etag"] = run.rig.admin.call("run_jobs", "get_iam_policy", {"resource": resource}).etag
    run.rig.admin.call("run_jobs", "set_iam_policy", {"resource": resource, "policy": policy})
    before = run.state("run_jobs")
    provider = run.rig.provider(run_jobs=[BOT], service_accounts=[run.account])
    action, target = step(provider, BLOCK)
    assert f"serviceAccount:{other}" in proposal(provider, BLOCK).affects
    starter = run.rig.calls_as(run.rig.token(other))
    starter.call("run_jobs", "run_job", {"name": resource})
    prior, _ = close(action, target)
    assert len(prior) == 3
    with pytest.raises(Denied):
        starter.call("run_jobs", "run_job", {"name": resource})
    assert set(undo(action, target, prior).objects.values()) == {Outcome.RESTORED}
    assert run.state("run_jobs") == before
    starter.close()


def test_a_job_that_is_not_there_is_said(run: Run) -> None:
    """Not touched, and why."""
    found = run.rig.provider(run_jobs=["europe-west1/other"]).discover()
    assert any("europe-west1/other" in one.resource for one in found.not_touched)
