"""What the platform sends on reaches the agent's services, jobs and workflows, as long as it may."""

from __future__ import annotations

import pytest

from providers.gcp.tests.rig_gcp import LOCATION, Rig, close
from providers.gcp.tests.rig_run import BOT, Run, step


@pytest.fixture
def run(rig: Rig) -> Run:
    """Return a project with the agent's account."""
    return Run.new(rig)


def fire(run: Run, name: str, uri: str) -> None:
    """Make a schedule that calls a URL as the agent's account, and let it run now."""
    token = {"service_account_email": run.account}
    kind = "oidc_token" if uri.endswith(".run.app") else "oauth_token"
    job = {
        "name": f"{run.parent}/jobs/{name}",
        "schedule": "0 0 1 1 *",
        "http_target": {"uri": uri, kind: token},
    }
    run.rig.admin.call("scheduler", "create_job", {"parent": run.parent, "job": job})
    run.rig.admin.call("scheduler", "run_job", {"name": job["name"]})
    run.tick()


def test_schedules_start_jobs_workflows_and_requests(run: Run) -> None:
    """By the URLs that Google documents for them."""
    run.job()
    run.workflow()
    run.service(scaling={})
    fire(run, "job", f"https://run.googleapis.com/v2/{run.name('jobs')}:run")
    fire(run, "flow", f"https://workflowexecutions.googleapis.com/v1/{run.name('workflows')}/executions")
    fire(run, "request", run.live_service().uri)
    run.tick(1)
    for channel in ("run-job:bot", "workflow:bot", "run:bot"):
        assert run.marks(channel), channel


def test_a_closed_service_gets_no_delivery(run: Run) -> None:
    """Nor does one of a caller that is no invoker."""
    service = run.service(scaling={}, template={"service_account": run.account})
    close(*step(run.rig.provider(run_services=[BOT]), "gcp.run.close_ingress"))
    fire(run, "request", service.uri)
    assert not run.marks("run:bot")
    assert LOCATION in service.uri
